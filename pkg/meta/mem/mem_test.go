package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/meta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	metatest.Run(t, metatest.Suite{
		New: func(t *testing.T) metatest.Open {
			first := mem.New()
			t.Cleanup(func() { first.Close() })
			return func(*testing.T) meta.Store { return first.Dial() }
		},
		Compact: func(_ *testing.T, s meta.Store, rev int64) { s.(*mem.Store).Compact(rev) },
	})
}

// TestVirtualTime: leases follow the bubble's clock to the instant.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		defer s.Close()
		process := s.Dial()
		lease, err := process.Grant(t.Context(), 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "node/1", Lease: lease.ID()}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := s.Get(t.Context(), "node/1"); err != nil {
			t.Errorf("a lease that its client keeps: %v", err)
		}
		process.Close()
		synctest.Wait()
		time.Sleep(2*time.Second - 1)
		if _, err := s.Get(t.Context(), "node/1"); err != nil {
			t.Errorf("just before the ttl: %v", err)
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if _, err := s.Get(t.Context(), "node/1"); !errors.Is(err, meta.ErrNotFound) {
			t.Errorf("after the ttl: %v", err)
		}
	})
}

func TestExpire(t *testing.T) {
	s := mem.New()
	defer s.Close()
	lease, _ := s.Grant(t.Context(), time.Hour)
	if !s.Expire(lease.ID()) || s.Expire(lease.ID()) {
		t.Error("Expire must find the lease once")
	}
	<-lease.Lost()
}

// TestHistoryIsBounded: a watch that is far behind is told so.
func TestHistoryIsBounded(t *testing.T) {
	s := mem.New()
	defer s.Close()
	ctx := context.Background()
	for range 25_000 {
		if _, _, err := s.Txn(ctx, nil, []meta.Op{{Key: "a"}}); err != nil {
			t.Fatal(err)
		}
	}
	b := <-s.Watch(ctx, "", 2)
	if !errors.Is(b.Err, meta.ErrCompacted) {
		t.Errorf("got %d events, %v", len(b.Events), b.Err)
	}
}
