package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/tso"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// bound is a persisted bound in memory.
type bound struct {
	mu     sync.Mutex
	at     uint64
	raises int
	fail   error
}

func (b *bound) raise(_ context.Context, to uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.raises++
	if b.fail != nil {
		return b.fail
	}
	if to <= b.at {
		return errors.New("the bound goes back")
	}
	b.at = to
	return nil
}

func oracleConfig() Config { return Config{}.withDefaults() }

func TestOracleGrowsAndStaysBelowItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bound{}
		o := newOracle(oracleConfig(), time.Now, 0, b.raise)
		var mu sync.Mutex
		var all []tso.Timestamp
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range uint32(500) {
					n := i%7 + 1
					first, err := o.alloc(t.Context(), n)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for k := range n {
						all = append(all, first+uint64(k))
					}
					mu.Unlock()
					if i%50 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(all)
		if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
			t.Errorf("%d of %d timestamps were handed out twice", len(all)-n, len(all))
		}
		if all[len(all)-1] >= b.at {
			t.Errorf("timestamp %d is not below the persisted bound %d", all[len(all)-1], b.at)
		}
		if b.raises > 5 {
			t.Errorf("%d transactions for %d timestamps in 10 ms", b.raises, len(all))
		}
	})
}

func TestOracleOverLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bound{}
		var last tso.Timestamp
		for leader := range 5 {
			skew := time.Duration(leader%2) * -2 * time.Second // every other leader's clock is behind
			now := func() time.Time { return time.Now().Add(skew) }
			o := newOracle(oracleConfig(), now, b.at, b.raise)
			for range 10 {
				ts, err := o.alloc(t.Context(), 3)
				if err != nil {
					t.Fatal(err)
				}
				if ts <= last {
					t.Fatalf("leader %d hands out %d after %d", leader, ts, last)
				}
				last = ts + 2
			}
		}
	})
}

func TestOracleCarriesIntoMilliseconds(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	b := &bound{}
	o := newOracle(oracleConfig(), func() time.Time { return now }, 0, b.raise)
	first, err := o.alloc(t.Context(), 1<<18)
	if err != nil {
		t.Fatal(err)
	}
	second, err := o.alloc(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if second != first+1<<18 || tso.UnixMS(second) != tso.UnixMS(first)+1 {
		t.Errorf("after a full millisecond at %d comes %d", first, second)
	}
}

func TestOracleWaitsForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := tso.FromTime(time.Now().Add(20 * time.Second))
		b := &bound{at: ahead}
		o := newOracle(oracleConfig(), time.Now, ahead, b.raise)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := o.alloc(ctx, 1); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a clock 20 s behind gives %v", err)
		}
		began := time.Now()
		ts, err := o.alloc(t.Context(), 1)
		if err != nil || ts < ahead {
			t.Fatalf("got %d, %v", ts, err)
		}
		if waited := time.Since(began); waited < 13*time.Second || waited > 16*time.Second {
			t.Errorf("waited %s for the clock, want about 14 s", waited)
		}
	})
}

func TestOracleBoundThatCannotBeRaised(t *testing.T) {
	b := &bound{fail: errors.New("store is gone")}
	o := newOracle(oracleConfig(), time.Now, 0, b.raise)
	if _, err := o.alloc(t.Context(), 1); err == nil || !contains(err.Error(), "store is gone") {
		t.Errorf("got %v", err)
	}
	for _, n := range []uint32{0, maxTimestamps + 1} {
		if _, err := o.alloc(t.Context(), n); !errs.Is(err, errs.InvalidParameter) {
			t.Errorf("count %d gives %v", n, err)
		}
	}
}

func TestIDs(t *testing.T) {
	b := &bound{}
	a := newIDAllocator(1000, 0, b.raise)
	seen := map[int64]bool{}
	for i := range uint32(300) {
		n := i%40 + 1
		first, err := a.alloc(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for k := range int64(n) {
			if seen[first+k] || first < firstID || uint64(first+k) >= b.at {
				t.Fatalf("id %d: seen %v, bound %d", first+k, seen[first+k], b.at)
			}
			seen[first+k] = true
		}
	}
	if b.raises > 8 {
		t.Errorf("%d transactions for %d ids in windows of 1000", b.raises, len(seen))
	}
	next := newIDAllocator(1000, b.at, b.raise)
	if first, err := next.alloc(t.Context(), 5000); err != nil || seen[first] || uint64(first+5000) > b.at {
		t.Errorf("the next leader's first id %d (%v), bound %d", first, err, b.at)
	}
}

func BenchmarkAllocTimestamp(b *testing.B) {
	bd := &bound{}
	o := newOracle(oracleConfig(), time.Now, 0, bd.raise)
	for b.Loop() {
		if _, err := o.alloc(b.Context(), 1); err != nil {
			b.Fatal(err)
		}
	}
}
