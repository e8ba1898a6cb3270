package fault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

func TestRules(t *testing.T) {
	other := errors.New("other")
	for name, c := range map[string]struct {
		rule Rule
		want string // per call of op "put" on key "a/b": o returned nil, x an error; upper case: the call was made
	}{
		"none matches":   {Rule{Op: "get", Err: other}, "OOOO"},
		"other key":      {Rule{Key: "b", Err: other}, "OOOO"},
		"all":            {Rule{Err: other}, "xxxx"},
		"by name":        {Rule{Op: "put", Key: "a/", Err: other}, "xxxx"},
		"skip and times": {Rule{Skip: 1, Times: 2, Err: other}, "OxxO"},
		"lost answers":   {Rule{After: true, Times: 2}, "XXOO"},
		"only delay":     {Rule{Delay: 1}, "OOOO"},
	} {
		var r Rules
		r.Add(c.rule)
		got := ""
		for range 4 {
			made := false
			err := r.Run(context.Background(), "put", []string{"a/b"}, errDown, func() error { made = true; return nil })
			got += map[string]string{"false false": "o", "false true": "x", "true false": "O", "true true": "X"}[fmt.Sprint(made, err != nil)]
			if err != nil && !errors.Is(err, other) && !errors.Is(err, ErrInjected) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got != c.want || r.Calls("put") != 4 || r.Calls("get") != 0 || r.Calls("") != 4 {
			t.Errorf("%s: %s, want %s; %d calls", name, got, c.want, r.Calls("put"))
		}
	}
}

func TestRemoveAndOrder(t *testing.T) {
	var r Rules
	call := func() error { return r.Run(context.Background(), "", nil, errDown, func() error { return nil }) }
	first, second := errors.New("first"), errors.New("second")
	remove := r.Add(Rule{Err: first})
	r.Add(Rule{Err: second})
	if err := call(); !errors.Is(err, first) {
		t.Errorf("the first rule must win: %v", err)
	}
	remove()
	remove()
	if err := call(); !errors.Is(err, second) {
		t.Errorf("after the first is gone: %v", err)
	}
	r.Clear()
	if err := call(); err != nil {
		t.Error(err)
	}
}

func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rules
		r.SetPartition(true)
		call := func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			err := r.Run(ctx, "get", nil, errDown, func() error { t.Error("the call was made"); return nil })
			return time.Since(began), err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if took, err := call(ctx); took != time.Minute || !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %s, %v", took, err)
		}
		cancel()
		if took, err := call(t.Context()); took != defaultBlackHole || !errors.Is(err, errDown) {
			t.Errorf("without: %s, %v", took, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if took, err := call(ctx); took != time.Second || !errors.Is(err, context.Canceled) || errors.Is(err, errDown) {
			t.Errorf("canceled: %s, %v", took, err)
		}
		r.SetPartition(false)
		if err := r.Run(t.Context(), "get", nil, errDown, func() error { return nil }); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}
