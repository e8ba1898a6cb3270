package fault_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	rules "github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/fault"
	"github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/meta/metatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance: without rules the wrapper changes nothing.
func TestConformance(t *testing.T) {
	metatest.Run(t, metatest.Suite{New: func(t *testing.T) metatest.Open {
		first := mem.New()
		t.Cleanup(func() { first.Close() })
		return func(*testing.T) meta.Store { return fault.New(first.Dial()) }
	}})
}

func TestUnknownOutcome(t *testing.T) {
	s := fault.New(mem.New())
	defer s.Close()
	s.Add(rules.Rule{Op: fault.Txn, Key: "a", After: true, Err: meta.ErrUnavailable, Times: 1})
	_, ok, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "a"}})
	if ok || !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("ok %v, %v", ok, err)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Errorf("the transaction whose answer was lost was not applied: %v", err)
	}
}

func TestBreakWatches(t *testing.T) {
	s := fault.New(mem.New())
	defer s.Close()
	broken := errors.New("broken")
	w := s.Watch(t.Context(), "", 0)
	s.BreakWatches(broken)
	if b := <-w; !errors.Is(b.Err, broken) {
		t.Errorf("got %+v", b)
	}
	if _, open := <-w; open {
		t.Error("the broken watch goes on")
	}
	later := s.Watch(t.Context(), "", 2)
	if _, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "a"}}); err != nil {
		t.Fatal(err)
	}
	if b := <-later; b.Err != nil || len(b.Events) != 1 {
		t.Errorf("a later watch gives %+v", b)
	}
}

func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := mem.New()
		defer data.Close()
		s := fault.New(data.Dial())
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer cancel()
		lease, err := s.Grant(ctx, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		w := s.Watch(ctx, "", 0)
		synctest.Wait()
		s.Partition()
		if _, _, err := data.Txn(ctx, nil, []meta.Op{{Key: "a"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "a"); !errors.Is(err, meta.ErrUnavailable) {
			t.Errorf("Get: %v", err)
		}
		select {
		case b := <-w:
			t.Errorf("the watch gives %+v", b)
		case <-lease.Lost(): // 2 s have passed in Get
		case <-time.After(time.Hour):
			t.Error("the lease is not lost")
		}
		s.Heal()
		if b := <-w; len(b.Events) != 1 || b.Events[0].KV.Key != "a" {
			t.Errorf("after the partition: %+v", b)
		}
		if _, err := s.Get(ctx, "a"); err != nil {
			t.Error(err)
		}
	})
}
