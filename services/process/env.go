package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/etcd"
	"github.com/gyr-db/gyr/pkg/mq"
	mqopen "github.com/gyr-db/gyr/pkg/mq/open"
	"github.com/gyr-db/gyr/pkg/objstore"
	objopen "github.com/gyr-db/gyr/pkg/objstore/open"
	"github.com/gyr-db/gyr/pkg/obs"
	"github.com/gyr-db/gyr/pkg/rpc"
)

// Env is what a role builds its services from.
type Env struct {
	Settings Settings
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Health   *obs.Health
	Meta     meta.Store
	Cache    *catalog.Cache
	Queue    mq.Queue
	Objects  objstore.Store
	Peers    *rpc.Peers
	// Public is the listener of the public API (roles that have one), Internal that of internal calls.
	Public, Internal net.Listener
	// Addr is the address that others use for internal calls, PublicAddr for the API, MetricsAddr for metrics.
	Addr, PublicAddr, MetricsAddr string
	closers                       []func() error
}

// OnClose registers fn to run at the process's end, in reverse order.
func (e *Env) OnClose(fn func() error) { e.closers = append(e.closers, fn) }

// Close releases everything.
func (e *Env) Close() error {
	var err error
	for i := len(e.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, e.closers[i]())
	}
	return err
}

// openTimeout bounds each step of a start against servers that do not answer.
const openTimeout = 30 * time.Second

// openCluster connects a cluster role to etcd, storage and the queue.
func openCluster(ctx context.Context, e *Env) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if e.Settings.Storage == "" || e.Settings.MQ == "" {
		return errors.New("--storage and --mq must be given; see --help for their form")
	}
	store, err := etcd.Open(ctx, etcd.Config{Endpoints: strings.Split(e.Settings.Etcd, ","), Root: e.Settings.EtcdRoot}, e.Logger)
	if err != nil {
		return fmt.Errorf("connect to etcd at %s: %w", e.Settings.Etcd, err)
	}
	e.OnClose(store.Close)
	e.Meta = store
	return e.OpenStores(ctx)
}

// OpenStores opens object storage and the queue by their URLs.
func (e *Env) OpenStores(ctx context.Context) error {
	objects, err := objopen.Store(ctx, e.Settings.Storage)
	if err != nil {
		return fmt.Errorf("open object storage: %w", err)
	}
	e.Objects = objects
	deps := mqopen.Deps{ObjectStore: objects, Logger: e.Logger}
	if u, err := url.Parse(e.Settings.Storage); err == nil && u.Scheme == "s3" {
		deps.Bucket = u.Host
	}
	queue, err := mqopen.Queue(ctx, e.Settings.MQ, deps)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	e.OnClose(queue.Close)
	e.Queue = queue
	return nil
}

// mirror makes the catalog's mirror and the peers that follow its leader.
func (e *Env) mirror() {
	e.Cache = catalog.NewCache(e.Meta, e.Logger)
	cache := e.Cache
	e.Peers = rpc.NewPeers(func() string {
		if leader, _ := cache.Leader(); leader != nil {
			return leader.Addr
		}
		return ""
	})
	e.OnClose(func() error { e.Peers.Close(); return nil })
}

// objectEntryBytes is what reading one more object of a log weighs, in bytes of log: at most 2,000 objects lie between the
// checkpoint and the end of a log then, 1 to 3 s of reading at a takeover.
const objectEntryBytes = 128 << 10

// LogEntryBytes is the least weight of one entry of the log when it is decided how much may lie behind a checkpoint.
func (e *Env) LogEntryBytes() int64 {
	if mqopen.EntryIsObject(e.Settings.MQ) {
		return objectEntryBytes
	}
	return 0
}
