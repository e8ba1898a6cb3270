package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
)

// register announces this process under its lease.
func (c *Coordinator) register(ctx context.Context, lease meta.LeaseID) error {
	op, err := catalog.Put(catalog.NodeKey(catalog.RoleCoordinator, c.cfg.Node.ID), c.cfg.Node)
	if err != nil {
		return err
	}
	op.Lease = lease
	if _, _, err := c.deps.Meta.Txn(ctx, nil, []meta.Op{op}); err != nil {
		return fmt.Errorf("register the coordinator: %w", err)
	}
	return nil
}

// campaign waits until this process holds the leader key and returns the epoch: the revision at which the key was made.
// The key is written once per term, so its ModRev is the epoch too, and that is what transactions compare.
func (c *Coordinator) campaign(ctx context.Context, lease meta.LeaseID) (int64, error) {
	op, err := catalog.Put(catalog.LeaderKey, c.cfg.Node)
	if err != nil {
		return 0, err
	}
	op.Lease = lease
	changed, cancel := c.deps.Cache.Subscribe()
	defer cancel()
	for {
		rev, ok, err := c.deps.Meta.Txn(ctx, []meta.Compare{{Key: catalog.LeaderKey}}, []meta.Op{op})
		if err == nil && ok {
			return rev, nil
		}
		if err != nil && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		// A transaction whose outcome is unknown may have made the key; it is ours if it hangs on our lease.
		kv, getErr := c.deps.Meta.Get(ctx, catalog.LeaderKey)
		if getErr == nil && kv.Lease == lease {
			return kv.CreateRev, nil
		}
		if errors.Is(err, meta.ErrLeaseLost) {
			return 0, err
		}
		if getErr == nil {
			c.awaitVacancy(ctx, changed, kv.ModRev)
		} else {
			sleep(ctx, 50*time.Millisecond)
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

// awaitVacancy waits until the leader key of revision rev is gone, or a while: the cache may be behind.
func (c *Coordinator) awaitVacancy(ctx context.Context, changed <-chan struct{}, rev int64) {
	timer := time.NewTimer(c.cfg.LeaseTTL)
	defer timer.Stop()
	for {
		if _, epoch := c.deps.Cache.Leader(); c.deps.Cache.Revision() >= rev && epoch != rev {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
