package querynode

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// scheduler shares the processors among the requests of a node, so that each request uses all that are idle, and none
// starves another.
//
// A request's work is tasks. Its own goroutine does them one after the other; while processors are idle it gets helpers,
// which leave after their task when others want to work. So a small request begins at once, whatever large ones are under
// way. Only above some times as many requests as processors, newcomers wait, in their order.
type scheduler struct {
	procs int64
	seats *semaphore.Weighted // requests that work
	busy  atomic.Int64        // requests that work, and helpers
}

// seatsPerProc is how many requests work at the same time per processor; the runtime divides the processors among them.
const seatsPerProc = 4

func newScheduler(procs int) *scheduler {
	return &scheduler{procs: int64(procs), seats: semaphore.NewWeighted(int64(procs) * seatsPerProc)}
}

// tasks is the work of one request.
type tasks struct {
	n    int64
	next atomic.Int64
	do   func(i int) error

	mu  sync.Mutex
	err error // the first failure
}

// run calls do for 0 to n-1, in parallel where that is possible, and returns the first failure. After one, and after the
// end of ctx, no call begins.
func (s *scheduler) run(ctx context.Context, n int, do func(i int) error) error {
	if n == 0 {
		return nil
	}
	if err := s.seats.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("wait for a processor: %w", err)
	}
	defer s.seats.Release(1)
	s.busy.Add(1)
	defer s.busy.Add(-1)
	if n == 1 {
		return guard(func() error { return do(0) })
	}
	t := &tasks{n: int64(n), do: do}
	var helpers sync.WaitGroup
	for more := true; more; more = t.step(ctx) {
		for t.left() > 1 && s.enter() {
			helpers.Go(func() { s.help(ctx, t) })
		}
	}
	helpers.Wait()
	return t.err
}

// enter takes a processor if one is idle.
func (s *scheduler) enter() bool {
	for {
		busy := s.busy.Load()
		if busy >= s.procs {
			return false
		}
		if s.busy.CompareAndSwap(busy, busy+1) {
			return true
		}
	}
}

func (s *scheduler) help(ctx context.Context, t *tasks) {
	defer s.busy.Add(-1)
	for t.step(ctx) && s.busy.Load() <= s.procs {
	}
}

func (t *tasks) left() int64 { return t.n - t.next.Load() }

// step does one task and reports whether there may be more.
func (t *tasks) step(ctx context.Context) bool {
	i := t.next.Add(1) - 1
	if i >= t.n {
		return false
	}
	err := ctx.Err()
	if err == nil {
		err = guard(func() error { return t.do(int(i)) })
	}
	if err == nil {
		return i+1 < t.n
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.next.Store(t.n) // nothing more begins
	return false
}
