// Package querynode serves reads: it keeps the growing rows of the shards in its views and the sealed segments that
// views give it, and answers searches and queries at a fixed snapshot.
//
// It owns no truth. Everything it holds comes from the log (by the one accept rule of package wal) and from the
// bucket, and can be thrown away. It knows the coordinator only through the views that it is asked to prepare and
// the catalog that it mirrors.
//
// Invariants:
//   - A request names (shard, view number) and per log a pair (P, R). It is answered from exactly that view, after
//     the log has been applied through P, showing exactly the row versions alive at R.
//   - A view counts as ready when its files are open, every delete behind each segment's position is applied, and
//     the log is applied through a tail read after the preparation began.
//   - Parts of an old view are freed only a grace period after a newer view was published and its last request ended.
package querynode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// Config of a query node.
type Config struct {
	// Addr is the internal address under which other services reach this node; Metrics its metrics address.
	Addr, Metrics, Version string
	// LeaseTTL bounds how long a dead node is taken for alive.
	LeaseTTL time.Duration
	// RetireAfter is how long an old view is still served after a newer one was published.
	RetireAfter time.Duration
	// MaxRequests bounds the requests in work or waiting; more are refused.
	MaxRequests int64
	// LoadWorkers bounds the segments and index files being read at the same time.
	LoadWorkers int64
	// Processors is how many tasks of reads run at the same time before requests get no more than one each.
	Processors int
	// MemoryLimit bounds the memory of segments and growing rows; 0 is no limit.
	MemoryLimit int64
	// CacheDir is the folder of the disk cache, and CacheLimit bounds it; 0 takes 4/5 of what is free.
	CacheDir   string
	CacheLimit int64
	// ReadBytes bounds one read from the log.
	ReadBytes int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		LeaseTTL: 2 * time.Second, RetireAfter: 30 * time.Second, MaxRequests: 4096, LoadWorkers: 4, Processors: runtime.GOMAXPROCS(0), MemoryLimit: defaultMemoryLimit(),
		CacheDir: filepath.Join(os.TempDir(), "gyr-cache"), ReadBytes: 4 << 20,
	}
}

// Validate reports the first value that cannot work.
func (c Config) Validate() error {
	if c.Addr == "" || c.LeaseTTL <= 0 || c.MaxRequests <= 0 || c.LoadWorkers <= 0 || c.ReadBytes <= 0 || c.Processors <= 0 || c.RetireAfter < 0 || c.MemoryLimit < 0 || c.CacheLimit < 0 || c.CacheDir == "" {
		return errors.New("querynode: addr, lease ttl, max requests, load workers, processors, read bytes and the cache's folder must be set and positive")
	}
	return nil
}

// Deps are what a query node works with.
type Deps struct {
	Meta       meta.Store
	Cache      *catalog.Cache
	Queue      mq.Queue
	Objects    objstore.Store
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Node is a query node. It implements pb.QueryNodeServer.
type Node struct {
	cfg  Config
	deps Deps
	id   catalog.NodeID
	log  *slog.Logger

	requests *semaphore.Weighted // admission
	loads    *semaphore.Weighted // segments being read
	budget   budget
	cacheMu  sync.Mutex
	cache    *diskcache.Cache // nil until something goes there; cacheMu guards it
	sched    *scheduler       // of reads
	metrics  *metrics

	joining sync.Mutex // taken before mu

	ctx  context.Context // ends when Run ends; background loads hang on it
	wg   sync.WaitGroup  // joins background loads
	mu   sync.Mutex      // guards what follows
	open map[shardID]*shard
	logs map[int]*tailer
	// views by shard and replica, by number: prepared, served and retiring ones.
	views   map[viewID]map[uint64]*viewState
	changed chan struct{} // closed and replaced when a view becomes ready or is retired
}

type shardID struct {
	collection int64
	shard      int
}

type viewID struct {
	collection     int64
	shard, replica int
}

// New returns a query node; Run makes it work.
func New(cfg Config, deps Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, deps: deps, log: deps.Logger.With("role", "querynode"),
		id:       rand.Int64N(1<<53-1) + 1,
		requests: semaphore.NewWeighted(cfg.MaxRequests),
		loads:    semaphore.NewWeighted(cfg.LoadWorkers),
		sched:    newScheduler(cfg.Processors),
		open:     map[shardID]*shard{}, logs: map[int]*tailer{},
		views: map[viewID]map[uint64]*viewState{}, changed: make(chan struct{}),
		ctx: context.Background(),
	}
	n.metrics = newMetrics(deps.Registerer, n)
	return n, nil
}

// ID is this process's node id.
func (n *Node) ID() catalog.NodeID { return n.id }

// Run registers the node and works until ctx ends.
func (n *Node) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	n.ctx = work
	n.mu.Unlock()
	g, work := errgroup.WithContext(work)
	g.Go(func() error { return n.stayRegistered(work) })
	g.Go(func() error { return n.followCatalog(work) })
	err := g.Wait()
	cancel()
	n.wg.Wait()
	n.closeAll()
	n.closeCache()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// stayRegistered keeps the node's key under a lease. After a loss the node registers again with the same id: what
// it holds is still true, and the coordinator decides anew what it shall serve.
func (n *Node) stayRegistered(ctx context.Context) error {
	self := catalog.Node{
		ID: n.id, Role: catalog.RoleQueryNode, Addr: n.cfg.Addr, Metrics: n.cfg.Metrics,
		Version: n.cfg.Version, Started: time.Now().UnixMilli(), Memory: n.cfg.MemoryLimit,
	}
	return catalog.KeepRegistered(ctx, n.deps.Meta, n.cfg.LeaseTTL, self, n.log)
}

// followCatalog reacts to changes: new index files, newer views, schema changes, dropped collections.
func (n *Node) followCatalog(ctx context.Context) error {
	changes, cancel := n.deps.Cache.Subscribe()
	defer cancel()
	tick := time.NewTicker(max(n.cfg.RetireAfter/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-changes:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		n.retireViews(time.Now())
		n.refreshShards()
	}
}

func (n *Node) closeAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.logs {
		t.stop()
	}
	for _, s := range n.open {
		s.close()
	}
	n.open, n.logs, n.views = map[shardID]*shard{}, map[int]*tailer{}, map[viewID]map[uint64]*viewState{}
}

// background runs fn until it ends, joined by Run.
func (n *Node) background(fn func(ctx context.Context)) {
	n.wg.Add(1)
	ctx := n.ctx
	go func() {
		defer n.wg.Done()
		fn(ctx)
	}()
}

// broadcast wakes everybody who waits for a view. The caller holds n.mu.
func (n *Node) broadcast() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (id shardID) String() string { return fmt.Sprintf("%d/%d", id.collection, id.shard) }
