package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/meta"
)

// retryRenewal is the pause after a renewal that failed.
const retryRenewal = 50 * time.Millisecond

// lease implements meta.Lease. A goroutine renews it four times per ttl. The deadline counts from before the last
// successful renewal was sent, so it is over here before it is over at the server.
type lease struct {
	store *Store
	id    clientv3.LeaseID
	lost  chan struct{}
	stop  context.CancelFunc
}

// Grant implements meta.Store. The ttl is rounded up to seconds; the server may make it longer. When ctx ends the
// lease counts as lost here at once, and ends at the server after its ttl.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (meta.Lease, error) {
	if ttl <= 0 {
		return nil, fmt.Errorf("etcd: grant lease: ttl %s is not above zero", ttl)
	}
	cctx, cancel := s.call(ctx)
	defer cancel()
	sent := time.Now()
	resp, err := s.client.Grant(cctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return nil, s.wrap(ctx, "grant", "lease", err)
	}
	granted := time.Duration(resp.TTL) * time.Second
	l := &lease{store: s, id: resp.ID, lost: make(chan struct{})}
	rctx, stop := context.WithCancel(ctx)
	detach := context.AfterFunc(s.ctx, stop)
	l.stop = stop
	s.wg.Go(func() {
		defer close(l.lost)
		defer stop()
		defer detach()
		l.keep(rctx, granted, sent.Add(granted))
	})
	s.revokeOrphans()
	return l, nil
}

// Leases that could not be revoked because the server was away would hold their keys for a whole ttl after its return,
// since a server that starts begins all leases anew. So they are revoked once the server grants again, a moment later:
// a holder that writes its keys under the new lease meanwhile keeps them without a gap.
const (
	orphanDelay = 300 * time.Millisecond
	maxOrphans  = 64
)

func (s *Store) leaseGivenUp(id clientv3.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.orphans) < maxOrphans {
		s.orphans = append(s.orphans, id)
	}
}

func (s *Store) revokeOrphans() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.orphans
	s.orphans = nil
	if len(ids) == 0 || s.ctx.Err() != nil {
		return
	}
	s.wg.Go(func() {
		select {
		case <-time.After(orphanDelay):
		case <-s.ctx.Done():
			return
		}
		for _, id := range ids {
			ctx, cancel := s.call(s.ctx)
			_, err := s.client.Revoke(ctx, id)
			cancel()
			if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
				s.leaseGivenUp(id)
			}
		}
	})
}

// ID implements meta.Lease.
func (l *lease) ID() meta.LeaseID { return meta.LeaseID(l.id) }

// Lost implements meta.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Revoke implements meta.Lease. A lease that is gone is no error. One that cannot be revoked at present is revoked
// later, when the server is there again.
func (l *lease) Revoke(ctx context.Context) error {
	l.stop()
	cctx, cancel := l.store.call(ctx)
	defer cancel()
	_, err := l.store.client.Revoke(cctx, l.id)
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		l.store.leaseGivenUp(l.id)
		return l.store.wrap(ctx, "revoke", "lease", err)
	}
	return nil
}

// keep renews until the lease is gone, its deadline passes or ctx ends.
func (l *lease) keep(ctx context.Context, ttl time.Duration, deadline time.Time) {
	client := pb.NewLeaseClient(l.store.client.ActiveConnection())
	timer := time.NewTimer(ttl / 4)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !time.Now().Before(deadline) {
			l.store.log.Warn("etcd: lease was not renewed in time", "lease", l.id, "ttl", ttl)
			return
		}
		sent := time.Now()
		granted, err := l.renew(ctx, client, deadline)
		switch {
		case err == nil && granted > 0:
			ttl, deadline = granted, sent.Add(granted)
			timer.Reset(ttl / 4)
		case err == nil, errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound):
			l.store.log.Warn("etcd: lease is gone", "lease", l.id)
			return
		case ctx.Err() != nil:
			return
		default:
			l.store.log.Debug("etcd: renew lease", "lease", l.id, "error", err)
			timer.Reset(min(retryRenewal, time.Until(deadline)))
		}
	}
}

// renew asks once, waiting at most a quarter of the ttl so that another member can be tried.
func (l *lease) renew(ctx context.Context, client pb.LeaseClient, deadline time.Time) (time.Duration, error) {
	wait := max(time.Until(deadline)/4, retryRenewal)
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), wait)
	defer cancel()
	stream, err := client.LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(l.id)}); err != nil {
		return 0, err
	}
	resp, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	return time.Duration(resp.TTL) * time.Second, nil
}
