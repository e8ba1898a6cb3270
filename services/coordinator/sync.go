package coordinator

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Delays between two attempts to reach a node.
const (
	syncRetryMin = 20 * time.Millisecond
	syncRetryMax = 500 * time.Millisecond
)

// syncer is the call that proxies and datanodes share.
type syncer func(ctx context.Context, revision int64) error

// sync returns when every live proxy, and every owner of the given logs, acts on the catalog of that revision, or has lost
// its lease. Processes that start later read the catalog after they have taken their key, so they see it anyway.
func (t *term) sync(ctx context.Context, revision int64, logs ...int) error {
	if err := t.c.deps.Cache.WaitRevision(ctx, revision); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range t.c.nodesOf(catalog.RoleProxy) {
		group.Go(func() error {
			alive := func() bool { return t.c.deps.Cache.Node(catalog.RoleProxy, node.ID) != nil }
			return t.syncOne(ctx, "proxy "+node.Addr, revision, alive, t.syncProxy(node.Addr))
		})
	}
	done := map[catalog.NodeID]bool{}
	for _, n := range logs {
		owner := t.c.deps.Cache.Owner(n)
		if owner == nil || done[owner.Node] {
			continue // the next owner reads the catalog once it has its epoch
		}
		done[owner.Node] = true
		group.Go(func() error {
			alive := func() bool { return t.ownsAny(owner.Node, logs) }
			return t.syncOne(ctx, "datanode "+owner.Addr, revision, alive, t.syncDataNode(owner.Addr))
		})
	}
	return group.Wait()
}

// ownsAny reports whether a node still owns one of the logs.
func (t *term) ownsAny(node catalog.NodeID, logs []int) bool {
	for _, n := range logs {
		if o := t.c.deps.Cache.Owner(n); o != nil && o.Node == node {
			return true
		}
	}
	return false
}

func (t *term) syncProxy(addr string) syncer {
	return func(ctx context.Context, revision int64) error {
		client, err := t.c.deps.Peers.Proxy(addr)
		if err != nil {
			return err
		}
		_, err = client.SyncCatalog(ctx, &pb.SyncCatalogRequest{Revision: revision})
		return err
	}
}

func (t *term) syncDataNode(addr string) syncer {
	return func(ctx context.Context, revision int64) error {
		client, err := t.c.deps.Peers.DataNode(addr)
		if err != nil {
			return err
		}
		_, err = client.SyncCatalog(ctx, &pb.SyncCatalogRequest{Revision: revision})
		return err
	}
}

// syncOne calls a node until it has confirmed or its lease is gone.
func (t *term) syncOne(ctx context.Context, who string, revision int64, alive func() bool, call syncer) error {
	for delay := syncRetryMin; ; delay = min(2*delay, syncRetryMax) {
		callCtx, cancel := context.WithTimeout(ctx, t.c.cfg.CallTimeout)
		err := call(callCtx, revision)
		cancel()
		if err == nil || !alive() {
			return nil
		}
		if ctx.Err() != nil {
			return errs.New(errs.Unavailable, "the change is made, but %s has not confirmed it: %w", who, err)
		}
		sleep(ctx, delay)
	}
}

// finish waits for a change to be acted upon and makes the answer.
func (t *term) finish(ctx context.Context, revision, id int64, logs ...int) (*pb.Ack, error) {
	if err := t.sync(ctx, revision, logs...); err != nil {
		return nil, err
	}
	return &pb.Ack{Revision: revision, Id: id}, nil
}
