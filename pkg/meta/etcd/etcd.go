// Package etcd keeps metadata in an etcd cluster, under one root prefix. The server for standalone is in the package
// embedded below; processes of a cluster link only this client.
//
// Every call has a deadline: the context's, or RequestTimeout. A transaction is sent once: it is never repeated after
// it may have reached a server. Every read is linearizable. Leases count their time from before a renewal is sent, so
// a holder knows of the loss before the server lets another take its keys.
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Config says where the etcd cluster is.
type Config struct {
	// Endpoints are host:port, http(s)://host:port or unix:///path.
	Endpoints []string
	// Root is the prefix of all keys; a slash is added at its end.
	Root string
	// DialTimeout bounds the first contact (default 5 s), RequestTimeout each call without a deadline (default 5 s).
	DialTimeout, RequestTimeout time.Duration
	// TLS, Username and Password are optional.
	TLS                *tls.Config
	Username, Password string
}

// Validate says what is missing, and fills in defaults.
func (c *Config) Validate() error {
	if len(c.Endpoints) == 0 {
		return errors.New("etcd: no endpoints")
	}
	for _, e := range c.Endpoints {
		if e == "" {
			return errors.New("etcd: an endpoint is empty")
		}
	}
	if c.DialTimeout < 0 || c.RequestTimeout < 0 {
		return errors.New("etcd: negative timeout")
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 5 * time.Second
	}
	c.Root = strings.Trim(c.Root, "/") + "/"
	return nil
}

// Store is a metadata store in etcd.
type Store struct {
	cfg    Config
	client *clientv3.Client
	log    *slog.Logger
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // watches and leases

	mu      sync.Mutex         // guards orphans
	orphans []clientv3.LeaseID // given up while the server was away, see leaseGivenUp
}

var (
	_ meta.Store      = (*Store)(nil)
	_ meta.Progresser = (*Store)(nil)
)

// Open connects, and reads once to see that the cluster answers.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          cfg.DialTimeout,
		DialKeepAliveTime:    10 * time.Second, // grpc allows no less
		DialKeepAliveTimeout: 3 * time.Second,  // also the kernel's bound for unacknowledged data
		TLS:                  cfg.TLS,
		Username:             cfg.Username,
		Password:             cfg.Password,
		Logger:               zap.New(Logger(log)),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 3 * time.Second,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd: connect to %s: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	s := &Store{cfg: cfg, client: client, log: log}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	dctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	if _, err := s.Get(dctx, "probe"); err != nil && !errors.Is(err, meta.ErrNotFound) {
		return nil, errors.Join(fmt.Errorf("etcd: %s does not answer: %w", strings.Join(cfg.Endpoints, ","), err), s.Close())
	}
	return s, nil
}

// Close ends every watch and the renewal of every lease of this client.
func (s *Store) Close() error {
	s.cancel()
	err := s.client.Close()
	s.wg.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("etcd: close: %w", err)
	}
	return nil
}

// call gives a context for one call: with a deadline, ended by Close (the client would repeat some calls until the
// deadline), and refused at once by a member that has lost its leader.
func (s *Store) call(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := s.cfg.RequestTimeout
	if end, has := ctx.Deadline(); has {
		timeout = time.Until(end)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	detach := context.AfterFunc(s.ctx, cancel)
	return clientv3.WithRequireLeader(ctx), func() {
		detach()
		cancel()
	}
}

func (s *Store) full(key string) string     { return s.cfg.Root + key }
func (s *Store) relative(key []byte) string { return strings.TrimPrefix(string(key), s.cfg.Root) }
