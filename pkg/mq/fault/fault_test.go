package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/fault"
	"github.com/gyr-db/gyr/pkg/mq/mem"
	"github.com/gyr-db/gyr/pkg/mq/mqtest"
)

// TestConformance: without faults, and with mere delays, the wrapper is a queue like any other.
func TestConformance(t *testing.T) {
	for name, hook := range map[string]fault.Hook{
		"fault/none": nil, "fault/delays": fault.Seeded(1, fault.Odds{Delay: 0.2, DelayMax: time.Millisecond}),
	} {
		mqtest.Run(t, mqtest.Harness{Name: name, New: func(*testing.T) mqtest.Connect {
			inner := mem.New()
			return func(*testing.T) mq.Queue { return fault.New(inner.Dial(), hook) }
		}})
	}
}

func open(t *testing.T, hook fault.Hook) mq.Log {
	t.Helper()
	q := fault.New(mem.New(), nil)
	id := mq.LogID{Name: "l", UUID: "u"}
	if err := q.Create(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	l, err := q.Open(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	q.SetHook(hook)
	return l
}

func contents(t *testing.T, l mq.Log) (out []string) {
	t.Helper()
	got, err := l.Read(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got {
		out = append(out, string(e.Data))
	}
	return out
}

func TestActions(t *testing.T) {
	l := open(t, fault.Script(fault.Append, fault.Action{}, fault.NotPersisted, fault.Persisted, fault.Action{Twice: true}, fault.Action{Err: mq.ErrFull}))
	for i, want := range []error{nil, mq.ErrUncertain, mq.ErrUncertain, nil, mq.ErrFull, nil} {
		if _, err := l.Append(t.Context(), fmt.Append(nil, i), mq.AppendOptions{}); !errors.Is(err, want) {
			t.Errorf("append %d: %v, want %v", i, err, want)
		}
	}
	if got := fmt.Sprint(contents(t, l)); got != "[0 2 3 3 5]" {
		t.Errorf("log holds %s", got)
	}
}

func TestSeededRepeats(t *testing.T) {
	run := func(seed uint64) string {
		l := open(t, fault.Seeded(seed, fault.Odds{Error: 0.1, NotPersisted: 0.2, Persisted: 0.2, Twice: 0.2}))
		out := ""
		for i := range 50 {
			p, err := l.Append(t.Context(), fmt.Append(nil, i), mq.AppendOptions{})
			out += fmt.Sprint(p, err, ";")
		}
		return out
	}
	if first, again, other := run(1), run(1), run(2); first != again || first == other {
		t.Error("the seed does not decide")
	}
}

func TestDelayEndsWithContext(t *testing.T) {
	l := open(t, func(fault.Call) fault.Action { return fault.Action{Delay: time.Hour} })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if got, err := l.Read(ctx, 0, 1); got != nil || err != nil {
		t.Errorf("read: %v %v", got, err)
	}
	if _, err := l.Append(ctx, nil, mq.AppendOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
}
