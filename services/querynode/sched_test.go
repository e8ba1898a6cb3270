package querynode

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSchedulerRunsEachTaskOnce(t *testing.T) {
	s := newScheduler(4)
	for _, n := range []int{0, 1, 2, 3, 7, 100} {
		counts := make([]atomic.Int32, n)
		if err := s.run(t.Context(), n, func(i int) error { counts[i].Add(1); return nil }); err != nil {
			t.Fatal(err)
		}
		for i := range counts {
			if c := counts[i].Load(); c != 1 {
				t.Fatalf("task %d of %d ran %d times", i, n, c)
			}
		}
	}
	if s.busy.Load() != 0 {
		t.Fatalf("%d still busy", s.busy.Load())
	}
}

func TestSchedulerUsesIdleProcessors(t *testing.T) {
	s := newScheduler(4)
	var meet sync.WaitGroup
	meet.Add(4) // ends only when four tasks are under way at once
	if err := s.run(t.Context(), 4, func(int) error { meet.Done(); meet.Wait(); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestSchedulerLetsSmallRequestsIn: a request of one task begins though a large one has all processors, and afterwards the
// large one has given up its helpers.
func TestSchedulerLetsSmallRequestsIn(t *testing.T) {
	s := newScheduler(2)
	hold, began := make(chan struct{}), make(chan struct{}, 100)
	large := make(chan error, 1)
	go func() {
		large <- s.run(t.Context(), 50, func(int) error { began <- struct{}{}; <-hold; return nil })
	}()
	<-began
	<-began // both processors are taken
	small := make(chan error, 1)
	go func() {
		small <- s.run(t.Context(), 1, func(int) error {
			hold <- struct{}{} // the helper, or the request's own goroutine, ends a task
			hold <- struct{}{}
			return nil
		})
	}()
	select {
	case err := <-small:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the small request did not begin")
	}
	close(hold)
	if err := <-large; err != nil {
		t.Fatal(err)
	}
}

func TestSchedulerStopsAtTheFirstFailure(t *testing.T) {
	s := newScheduler(1)
	bad := errors.New("bad")
	ran := 0
	err := s.run(t.Context(), 10, func(i int) error {
		ran++
		if i == 3 {
			return bad
		}
		return nil
	})
	if !errors.Is(err, bad) || ran != 4 {
		t.Fatalf("%v after %d tasks", err, ran)
	}
	err = s.run(t.Context(), 3, func(i int) error { panic("boom") })
	if err == nil {
		t.Fatal("a panic is no failure")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran = 0
	if err = s.run(ctx, 5, func(int) error { ran++; cancel(); return nil }); !errors.Is(err, context.Canceled) || ran != 1 {
		t.Fatalf("%v after %d tasks", err, ran)
	}
}

func TestSchedulerWaitsForASeat(t *testing.T) {
	s := newScheduler(1)
	hold := make(chan struct{})
	var group sync.WaitGroup
	for range seatsPerProc {
		group.Go(func() { _ = s.run(context.Background(), 1, func(int) error { <-hold; return nil }) })
	}
	for s.busy.Load() < seatsPerProc {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.run(ctx, 1, func(int) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a request above all seats: %v", err)
	}
	close(hold)
	group.Wait()
}
