package metatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// slack is what a lapsed lease may take beyond its ttl; a server makes short ones longer and looks now and then.
const slack = 8 * time.Second

func (e *env) grant(t *testing.T, ctx context.Context, s meta.Store, ttl time.Duration, key string) meta.Lease {
	t.Helper()
	lease, err := s.Grant(ctx, ttl)
	if err != nil {
		t.Fatal(err)
	}
	e.must(t, meta.Op{Key: key, Value: []byte("v"), Lease: lease.ID()})
	return lease
}

func isLost(l meta.Lease) bool {
	select {
	case <-l.Lost():
		return true
	default:
		return false
	}
}

func testLeaseRevoke(t *testing.T, e *env) {
	lease := e.grant(t, e.ctx, e.store, time.Minute, "a")
	e.must(t, meta.Op{Key: "b", Value: []byte("v"), Lease: lease.ID()})
	if kv, _ := e.get(t, "a"); kv.Lease != lease.ID() || lease.ID() == 0 {
		t.Errorf("leased key: %+v, lease %d", kv, lease.ID())
	}
	if isLost(lease) {
		t.Error("lost at once")
	}
	if err := lease.Revoke(e.ctx); err != nil {
		t.Fatal(err)
	}
	if kvs, _, _ := e.store.List(e.ctx, ""); len(kvs) != 0 {
		t.Errorf("after Revoke there is %v", kvs)
	}
	e.eventually(t, "the revoked lease counts as lost", slack, func() bool { return isLost(lease) })
	if err := lease.Revoke(e.ctx); err != nil {
		t.Errorf("revoking again: %v", err)
	}
	if _, _, err := e.store.Txn(e.ctx, nil, []meta.Op{{Key: "a", Lease: lease.ID()}}); !errors.Is(err, meta.ErrLeaseLost) {
		t.Errorf("a put under a lease that is gone: %v", err)
	}
}

func testLeaseIsKept(t *testing.T, e *env) {
	lease := e.grant(t, e.ctx, e.store, time.Second, "a")
	time.Sleep(3500 * time.Millisecond)
	if _, ok := e.get(t, "a"); !ok || isLost(lease) {
		t.Errorf("after three times its ttl: key there %v, lost %v", ok, isLost(lease))
	}
}

func testLeaseEndsWithContext(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	lease := e.grant(t, ctx, e.store, time.Second, "a")
	cancel()
	e.eventually(t, "the lease is lost and its key gone", time.Second+slack, func() bool {
		_, ok := e.get(t, "a")
		return !ok && isLost(lease)
	})
}

func testLeaseEndsWithClient(t *testing.T, e *env) {
	s := e.open(t)
	lease := e.grant(t, e.ctx, s, time.Second, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	e.eventually(t, "the lease is lost and its key gone", time.Second+slack, func() bool {
		_, ok := e.get(t, "a")
		return !ok && isLost(lease)
	})
}

// testLeaseTakenOff: a key written again without the lease outlives it.
func testLeaseTakenOff(t *testing.T, e *env) {
	lease := e.grant(t, e.ctx, e.store, time.Minute, "a")
	e.must(t, put("a", "mine"))
	e.must(t, meta.Op{Key: "b", Lease: lease.ID()})
	e.must(t, meta.Op{Key: "b", Delete: true})
	e.must(t, put("b", "anew"))
	if err := lease.Revoke(e.ctx); err != nil {
		t.Fatal(err)
	}
	if kvs, _, _ := e.store.List(e.ctx, ""); len(kvs) != 2 {
		t.Errorf("after Revoke: %v", kvs)
	}
}
