package work

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
)

func TestParallel(t *testing.T) {
	for _, workers := range []int{1, 3, 100} {
		for _, count := range []int{0, 1, 50} {
			calls := make([]atomic.Int32, count)
			Parallel(workers, count, func(i int) { calls[i].Add(1) })
			for i := range calls {
				if calls[i].Load() != 1 {
					t.Fatalf("%d workers: call %d of %d ran %d times", workers, i, count, calls[i].Load())
				}
			}
		}
	}
}

func TestTry(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	err := Try(ctx, 2, 1000, func(int) {
		if calls.Add(1) == 10 {
			cancel()
		}
	})
	if n := calls.Load(); !errors.Is(err, context.Canceled) || n > 12 {
		t.Fatal(n, err)
	}
}

func TestReporter(t *testing.T) {
	var told []float32
	r := NewReporter(func(f float32) { told = append(told, f) }, 1000)
	for _, n := range []int{1, 9, 3, 500, 2000} {
		r.Done(n)
	}
	r.Finish()
	if !slices.Equal(told, []float32{0.01, 0.51, 1}) {
		t.Fatal(told)
	}
	told = nil
	if r = NewReporter(func(f float32) { told = append(told, f) }, 0); true {
		r.Finish()
	}
	if !slices.Equal(told, []float32{1}) {
		t.Fatal(told)
	}
	NewReporter(nil, 5).Done(5)
}
