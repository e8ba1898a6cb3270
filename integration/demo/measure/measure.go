// Package measure runs an operation by several clients at once and sums up how long it took.
package measure

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Stats sums up a run.
type Stats struct {
	Count   int
	Elapsed time.Duration
	sorted  []time.Duration
}

// PerSecond is the throughput of all clients together.
func (s Stats) PerSecond() float64 {
	if s.Elapsed <= 0 {
		return 0
	}
	return float64(s.Count) / s.Elapsed.Seconds()
}

// Quantile is the latency below which the share q of the operations lies (nearest rank); 0 for an empty run.
func (s Stats) Quantile(q float64) time.Duration {
	if len(s.sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q*float64(len(s.sorted)))) - 1
	return s.sorted[min(max(rank, 0), len(s.sorted)-1)]
}

// Of sums up latencies that were measured elsewhere.
func Of(latencies []time.Duration, elapsed time.Duration) Stats {
	sorted := slices.Sorted(slices.Values(latencies))
	return Stats{len(sorted), elapsed, sorted}
}

// Op is one operation; n counts up from 0 over all clients.
type Op func(ctx context.Context, client, n int) error

// Run lets clients repeat an operation for a time, and returns the first error, if any.
func Run(ctx context.Context, clients int, length time.Duration, op Op) (Stats, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	all := make([][]time.Duration, clients)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for time.Since(start) < length && ctx.Err() == nil {
				begin := time.Now()
				if err := op(ctx, c, int(next.Add(1)-1)); err != nil {
					cancel(err)
					return
				}
				all[c] = append(all[c], time.Since(begin))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if ctx.Err() != nil {
		return Stats{}, context.Cause(ctx)
	}
	return Of(slices.Concat(all...), elapsed), nil
}
