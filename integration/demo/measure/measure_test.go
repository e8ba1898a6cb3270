package measure

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	var l []time.Duration
	for i := 100; i >= 1; i-- {
		l = append(l, time.Duration(i))
	}
	s := Of(l, time.Second)
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := s.Quantile(q); got != want {
			t.Errorf("quantile %v = %d, want %d", q, got, want)
		}
	}
	if s.PerSecond() != 100 {
		t.Errorf("%v per second, want 100", s.PerSecond())
	}
	if (Stats{}).Quantile(0.5) != 0 || (Stats{}).PerSecond() != 0 {
		t.Error("an empty run is not zero")
	}
}

func TestRunStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	_, err := Run(context.Background(), 4, time.Minute, func(_ context.Context, _, n int) error {
		if n == 10 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}

func TestRunCountsEveryOperation(t *testing.T) {
	s, err := Run(context.Background(), 3, 20*time.Millisecond, func(context.Context, int, int) error {
		time.Sleep(time.Millisecond)
		return nil
	})
	if err != nil || s.Count < 3 || s.Elapsed < 20*time.Millisecond || s.Quantile(0.5) < time.Millisecond {
		t.Fatalf("%+v, %v", s, err)
	}
}
