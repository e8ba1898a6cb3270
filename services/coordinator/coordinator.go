package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Coordinator is one coordinator process: the leader, or a standby that takes over when the leader's lease ends.
// It implements pb.CoordinatorServer.
type Coordinator struct {
	cfg  Config
	deps Deps
	now  func() time.Time
	met  *metrics
	look *probes

	term atomic.Pointer[term] // the term in which this process leads; nil on a standby
}

var _ pb.CoordinatorServer = (*Coordinator)(nil)

// New makes a coordinator; Run makes it work.
func New(cfg Config, deps Deps) (*Coordinator, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("coordinator configuration: %w", err)
	}
	c := &Coordinator{cfg: cfg, deps: deps, now: deps.Now}
	if c.now == nil {
		c.now = time.Now
	}
	c.met = newMetrics(deps.Registerer)
	c.look = newProbes(c)
	return c, nil
}

// Run campaigns, and leads when elected, until ctx ends. It hands its lease back at the end, so that a standby takes
// over at once.
func (c *Coordinator) Run(ctx context.Context) error {
	if err := c.deps.Cache.Ready(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	for ctx.Err() == nil {
		if err := c.live(ctx); err != nil && ctx.Err() == nil {
			if lost := (*LostCatalogError)(nil); errors.As(err, &lost) {
				return lost // waiting does not help
			}
			c.deps.Logger.Warn("coordinator: session ended, starting another", "error", err)
			sleep(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// live is the life of one lease: register, then campaign and lead until the lease is lost.
func (c *Coordinator) live(ctx context.Context) error {
	lease, err := c.deps.Meta.Grant(ctx, c.cfg.LeaseTTL)
	if err != nil {
		return fmt.Errorf("grant a lease: %w", err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.LeaseTTL)
		defer cancel()
		if err := lease.Revoke(end); err != nil {
			c.deps.Logger.Warn("coordinator: revoke the lease", "error", err)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-lease.Lost():
			cancel(errs.New(errs.NotLeader, "the coordinator's lease is lost"))
		case <-stop:
		}
	}()
	if err := c.register(ctx, lease.ID()); err != nil {
		return err
	}
	for ctx.Err() == nil {
		epoch, err := c.campaign(ctx, lease.ID())
		if err != nil {
			return err
		}
		if err := c.lead(ctx, epoch); err != nil && ctx.Err() == nil {
			c.deps.Logger.Warn("coordinator: leadership ended", "epoch", epoch, "error", err)
			return err // the new lease also frees the leader key
		}
	}
	return context.Cause(ctx)
}

// lead runs one term.
func (c *Coordinator) lead(ctx context.Context, epoch int64) error {
	t, err := c.newTerm(ctx, epoch)
	if err != nil {
		return fmt.Errorf("begin the term: %w", err)
	}
	defer t.end(nil)
	c.deps.Logger.Info("coordinator: leading", "epoch", epoch, "node", c.cfg.Node.ID)
	c.term.Store(t)
	c.met.leader.Set(1)
	defer func() {
		c.term.Store(nil)
		c.met.leader.Set(0)
	}()
	group, gctx := errgroup.WithContext(t.ctx)
	for _, work := range t.works() {
		group.Go(func() error { return work(gctx) })
	}
	err = group.Wait()
	t.end(err)
	if cause := context.Cause(t.ctx); cause != nil && errs.Is(cause, errs.NotLeader) {
		return cause
	}
	return err
}

// leader returns the term in which this process leads, or NotLeader.
func (c *Coordinator) leader() (*term, error) {
	if t := c.term.Load(); t != nil && t.ctx.Err() == nil {
		return t, nil
	}
	node, _ := c.deps.Cache.Leader()
	switch {
	case node == nil:
		return nil, errs.New(errs.NotLeader, "this coordinator is a standby; no leader is known at present")
	case node.ID == c.cfg.Node.ID:
		return nil, errs.New(errs.NotLeader, "this coordinator was elected, but is not ready to lead yet")
	}
	return nil, errs.New(errs.NotLeader, "this coordinator is a standby; the leader is node %d at %s", node.ID, node.Addr)
}

// Leading reports whether this process leads at present.
func (c *Coordinator) Leading() bool {
	_, err := c.leader()
	return err == nil
}

// nodesOf are the live nodes of a role.
func (c *Coordinator) nodesOf(role catalog.Role) []*catalog.Node { return c.deps.Cache.Nodes(role) }

// sleep waits for d or ctx's end.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ignoreEnd drops the error that the end of ctx caused.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
