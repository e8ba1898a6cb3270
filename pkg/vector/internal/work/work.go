// Package work is how builders of indexes spread work over goroutines, tell how far they are, and draw numbers that are
// the same in every build.
package work

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Workers returns the number of goroutines that a setting stands for: 0 means one per processor.
func Workers(setting int) int {
	if setting > 0 {
		return setting
	}
	return runtime.GOMAXPROCS(0)
}

// Parallel calls fn for 0 to count-1 on up to workers goroutines and returns when all have ended.
func Parallel(workers, count int, fn func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, count) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// Try is Parallel with a context, which it looks at before each call: it calls no more once the context is cancelled, and
// returns its error.
func Try(ctx context.Context, workers, count int, fn func(i int)) error {
	Parallel(workers, count, func(i int) {
		if ctx.Err() == nil {
			fn(i)
		}
	})
	return ctx.Err()
}

// Reporter passes progress on in steps of a hundredth, from one goroutine at a time.
type Reporter struct {
	fn    func(float32)
	total int
	mu    sync.Mutex // guards the rest
	count int
	told  int
}

// NewReporter returns a Reporter of total steps; fn may be nil.
func NewReporter(fn func(float32), total int) *Reporter { return &Reporter{fn: fn, total: total} }

// Done reports n more steps.
func (r *Reporter) Done(n int) {
	if r.fn == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count += n
	percent := 100
	if r.total > 0 {
		percent = min(100, r.count*100/r.total)
	}
	r.tell(percent)
}

// Finish reports that everything is done, whatever was counted.
func (r *Reporter) Finish() {
	if r.fn == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(100)
}

// tell passes a share on unless it was told already; the caller holds mu.
func (r *Reporter) tell(percent int) {
	if percent > r.told {
		r.told = percent
		r.fn(float32(percent) / 100)
	}
}

// Mix is the finaliser of splitmix64 (Steele, Lea, Flood 2014): it turns a counter into numbers that look random.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
