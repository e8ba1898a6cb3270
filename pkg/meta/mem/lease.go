package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// lease implements meta.Lease. It lives until Revoke, or until its ttl after the end of the granting context or of
// the client.
type lease struct {
	srv  *server
	id   meta.LeaseID
	ttl  time.Duration
	lost chan struct{}
	// guarded by srv.mu
	keys  map[string]struct{}
	timer *time.Timer // runs once nobody renews any more
	stops []func() bool
}

// Grant implements meta.Store.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (meta.Lease, error) {
	if err := s.check(ctx, "grant", "lease"); err != nil {
		return nil, err
	}
	if ttl <= 0 {
		return nil, fmt.Errorf("grant lease: ttl %s is not above zero", ttl)
	}
	v := s.srv
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &lease{srv: v, id: v.nextLease, ttl: ttl, lost: make(chan struct{}), keys: map[string]struct{}{}}
	v.nextLease++
	v.leases[l.id] = l
	l.stops = []func() bool{context.AfterFunc(ctx, l.lapse), context.AfterFunc(s.ctx, l.lapse)}
	return l, nil
}

// Expire ends a lease at once, as if it had not been renewed in time. It says whether there was one.
func (s *Store) Expire(id meta.LeaseID) bool {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	l := s.srv.leases[id]
	if l == nil {
		return false
	}
	l.end()
	return true
}

// ID implements meta.Lease.
func (l *lease) ID() meta.LeaseID { return l.id }

// Lost implements meta.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Revoke implements meta.Lease. Revoking a lease that is gone is no error.
func (l *lease) Revoke(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("revoke lease: %w", err)
	}
	l.srv.mu.Lock()
	defer l.srv.mu.Unlock()
	l.end()
	return nil
}

// lapse starts the ttl: nobody renews any more.
func (l *lease) lapse() {
	l.srv.mu.Lock()
	defer l.srv.mu.Unlock()
	if l.timer != nil || l.srv.leases[l.id] == nil {
		return
	}
	l.timer = time.AfterFunc(l.ttl, func() {
		l.srv.mu.Lock()
		defer l.srv.mu.Unlock()
		l.end()
	})
}

// end removes the lease and its keys in one revision. srv.mu is held.
func (l *lease) end() {
	if l.srv.leases[l.id] == nil {
		return
	}
	var ops []meta.Op
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		ops = append(ops, meta.Op{Key: key, Delete: true})
	}
	delete(l.srv.leases, l.id)
	l.srv.apply(ops)
	for _, stop := range l.stops {
		stop()
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	close(l.lost)
}
