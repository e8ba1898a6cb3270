package proxy

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/pkg/errs"
)

// TestOutOfTime: a request that ran out of time is answered before its client's deadline, and may be tried again.
func TestOutOfTime(t *testing.T) {
	outer, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	early, stop := beforeDeadline(outer)
	defer stop()
	if err := outOfTime(early, context.Canceled); errs.CodeOf(err) != errs.Canceled {
		t.Errorf("with time left a failure stays what it is: %v", err)
	}
	soon, _ := early.Deadline()
	time.Sleep(time.Until(soon) - 5*time.Millisecond)
	if err := outOfTime(early, context.DeadlineExceeded); errs.CodeOf(err) != errs.Unavailable {
		t.Errorf("a peer's clock that is a moment ahead: %v", err)
	}
	<-early.Done()
	if left, _ := outer.Deadline(); outer.Err() != nil || time.Until(left) > 100*time.Millisecond {
		t.Errorf("given up %s before the client's deadline", time.Until(left))
	}
	for _, c := range []struct {
		err       error
		retriable bool
	}{
		{fmt.Errorf("wait: %w", early.Err()), true},
		{status.Error(codes.DeadlineExceeded, "x"), true},
		{status.Error(codes.Canceled, "x"), true},
		{errs.New(errs.Unavailable, "x"), true},
		{errs.Invalid("x"), false},
		{errs.New(errs.Corrupt, "x"), false},
	} {
		if got := statusOf(outOfTime(early, c.err)); got.Retriable != c.retriable {
			t.Errorf("%v: code %d, retriable %v", c.err, got.Code, got.Retriable)
		}
	}
	if outOfTime(early, nil) != nil {
		t.Error("a late success is a success")
	}
	if ctx, stop := beforeDeadline(t.Context()); ctx != t.Context() {
		stop()
		t.Error("no deadline, no margin")
	}
}
