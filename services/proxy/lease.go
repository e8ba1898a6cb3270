package proxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/version"
)

// keepLease holds this proxy's node key until ctx ends. When the lease is lost it takes a new one; in between the proxy
// serves no writes and no Strong reads, since changes of names do not wait for it then.
func (p *Proxy) keepLease(ctx context.Context) error {
	for delay := 50 * time.Millisecond; ; {
		err := p.holdLease(ctx, func() { delay = 50 * time.Millisecond })
		p.leased.Store(false)
		if ctx.Err() != nil {
			return nil
		}
		p.deps.Logger.Warn("proxy has no lease, trying again", "error", err, "delay", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, 2*time.Second)
	}
}

func (p *Proxy) holdLease(ctx context.Context, held func()) error {
	lease, err := p.deps.Meta.Grant(ctx, p.cfg.LeaseTTL)
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = lease.Revoke(stop) // it runs out by itself if this fails
	}()
	op, err := catalog.Put(catalog.NodeKey(catalog.RoleProxy, p.cfg.NodeID), p.nodeRecord())
	if err != nil {
		return err
	}
	op.Lease = lease.ID()
	rev, _, err := p.deps.Meta.Txn(ctx, nil, []meta.Op{op})
	if err != nil {
		return fmt.Errorf("write the node key: %w", err)
	}
	// Changes before rev did not wait for this proxy: see them first.
	if err := p.deps.Cache.WaitRevision(ctx, rev); err != nil {
		return err
	}
	select {
	case <-lease.Lost():
		return meta.ErrLeaseLost
	default:
	}
	p.leased.Store(true)
	held()
	select {
	case <-lease.Lost():
		return meta.ErrLeaseLost
	case <-ctx.Done():
		return nil
	}
}

func (p *Proxy) nodeRecord() catalog.Node {
	return catalog.Node{
		ID: p.cfg.NodeID, Role: catalog.RoleProxy, Addr: p.cfg.Advertise, Metrics: p.cfg.MetricsAddr,
		Version: version.String(), Started: p.started.UnixMilli(),
	}
}

// leasePatience is how long a request waits for a lease that was lost: on a busy machine one is, now and then, though
// nothing else is wrong, and the next one is taken in no time.
const leasePatience = 2 * time.Second

// needLease refuses what may not be served from a catalog that nobody keeps fresh, unless that is over soon.
func (p *Proxy) needLease(ctx context.Context) error {
	for begin := time.Now(); !p.leased.Load(); {
		err := errs.New(errs.NotReady, "this proxy has lost touch with the metadata store and may not know of changes; try again")
		if time.Since(begin) > leasePatience {
			return err
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
	return nil
}
