package datanode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// Deps are what a datanode works with. Cache must be running; Registerer may be nil.
type Deps struct {
	Meta        meta.Store
	Cache       *catalog.Cache
	Queue       mq.Queue
	Objects     objstore.Store
	Coordinator pb.CoordinatorClient
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Node is a datanode. It implements pb.DataNodeServer.
type Node struct {
	cfg     Config
	deps    Deps
	id      catalog.NodeID
	log     *slog.Logger
	metrics *metrics
	oracle  *oracle
	ids     *idReserve
	uploads *semaphore.Weighted
	// writeSegment is segment.Write; tests in virtual time write plainer files.
	writeSegment func(ctx context.Context, store objstore.Store, dir string, s *schema.Schema, rows segment.Rows) (segment.Info, error)

	unsealed atomic.Int64 // memory of what is not in the bucket, over all logs

	mu   sync.Mutex // guards logs
	logs map[int]*owner
}

var _ pb.DataNodeServer = (*Node)(nil)

// New returns a datanode; Run makes it work.
func New(cfg Config, deps Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, deps: deps, id: cfg.NodeID, log: deps.Logger.With("role", "datanode"), logs: map[int]*owner{},
		oracle:  newOracle(deps.Coordinator, 2*time.Second),
		ids:     newIDReserve(deps.Coordinator, cfg.IDReserve, deps.Logger),
		uploads: semaphore.NewWeighted(int64(cfg.UploadWorkers)), writeSegment: segment.Write,
	}
	if n.id == 0 {
		n.id = rand.Int64N(1<<53-1) + 1
	}
	n.metrics = newMetrics(deps.Registerer, n)
	return n, nil
}

// ID is the node's id in the catalog.
func (n *Node) ID() catalog.NodeID { return n.id }

// Run owns logs until ctx ends; it then lets writes in flight finish and hands its logs over.
func (n *Node) Run(ctx context.Context) error {
	if err := n.deps.Cache.Ready(ctx); err != nil {
		return nil // ctx ended
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ends when the last log is handed over
	var wg sync.WaitGroup
	wg.Go(func() { n.oracle.run(work) })
	wg.Go(func() { n.ids.run(work) })
	defer wg.Wait()
	defer cancel()
	for ctx.Err() == nil {
		if err := n.session(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("datanode: registration lost, registering again", "error", err)
			sleep(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// session registers under a new lease and owns logs until ctx ends or the lease is lost.
func (n *Node) session(ctx context.Context) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	lease, err := n.deps.Meta.Grant(work, n.cfg.LeaseTTL)
	if err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	defer n.revoke(lease)
	self := catalog.Node{ID: n.id, Role: catalog.RoleDataNode, Addr: n.cfg.Addr, Metrics: n.cfg.Metrics, Version: n.cfg.Version, Started: time.Now().UnixMilli()}
	if err := n.register(ctx, lease, self); err != nil {
		return err
	}
	s := &session{n: n, lease: lease, held: map[int]*tenure{}, rest: map[int]*tenure{}}
	changes, unsubscribe := n.deps.Cache.Subscribe()
	defer unsubscribe()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s.step(work)
		select {
		case <-changes:
		case <-tick.C:
		case <-lease.Lost():
			cancel(meta.ErrLeaseLost) // others may own the logs from now on
			s.wait()
			return meta.ErrLeaseLost
		case <-ctx.Done():
			self.Draining = true
			end, stop := context.WithTimeout(work, n.cfg.LeaseTTL)
			defer stop()
			if err := n.register(end, lease, self); err != nil {
				n.log.Warn("datanode: cannot say that this node stops", "error", err)
			}
			s.releaseAll()
			s.wait()
			return nil
		}
	}
}

func (n *Node) register(ctx context.Context, lease meta.Lease, self catalog.Node) error {
	value, err := json.Marshal(self)
	if err == nil {
		_, _, err = n.deps.Meta.Txn(ctx, nil, []meta.Op{{Key: catalog.NodeKey(self.Role, self.ID), Value: value, Lease: lease.ID()}})
	}
	if err != nil {
		return fmt.Errorf("register datanode %d: %w", self.ID, err)
	}
	return nil
}

func (n *Node) revoke(lease meta.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.LeaseTTL)
	defer cancel()
	if err := lease.Revoke(ctx); err != nil && !errors.Is(err, meta.ErrLeaseLost) {
		n.log.Warn("datanode: revoke the lease", "error", err)
	}
}

func (s *session) releaseAll() {
	for _, t := range s.held {
		if !t.released {
			t.released = true
			close(t.release)
		}
	}
}

func (s *session) wait() {
	for _, t := range s.held {
		<-t.done
	}
}

func (n *Node) serve(number int, o *owner) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logs[number] = o
}

func (n *Node) unserve(number int, o *owner) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.logs[number] == o {
		delete(n.logs, number)
	}
}

// owner returns the ownership of a log, or an error with code NotOwner.
func (n *Node) owner(log int32) (*owner, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if o := n.logs[int(log)]; o != nil {
		return o, nil
	}
	return nil, errs.New(errs.NotOwner, "datanode %d does not own log %d", n.id, log)
}

func (n *Node) owners() []*owner {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*owner, 0, len(n.logs))
	for _, o := range n.logs {
		out = append(out, o)
	}
	return out
}
