package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/integration/client"
)

// TestKinds: what the tests here count as which kind of failure.
func TestKinds(t *testing.T) {
	no := func(retriable bool) error {
		return fmt.Errorf("insert: %w", client.StatusError{Status: &commonpb.Status{Code: 2, Retriable: retriable}})
	}
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{nil, OK},
		{no(true), Retriable},
		{no(false), Final},
		{status.Error(codes.DeadlineExceeded, "x"), Late},
		{context.DeadlineExceeded, Late},
		{status.Error(codes.Unavailable, "x"), Transport},
		{fmt.Errorf("%w: 3 hits", ErrWrong), Wrong},
	} {
		if got := kindOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

// TestGap: the longest time without success counts the edges too.
func TestGap(t *testing.T) {
	zero := time.Now()
	at := func(s int, k Kind) Call {
		return Call{Begin: zero, End: zero.Add(time.Duration(s) * time.Second), Kind: k}
	}
	calls := Calls{at(1, OK), at(2, OK), at(4, Retriable), at(6, OK)}
	for _, c := range []struct{ to, want int }{{7, 4}, {20, 14}, {2, 1}} {
		if got := calls.Gap(zero, zero.Add(time.Duration(c.to)*time.Second)); got != time.Duration(c.want)*time.Second {
			t.Errorf("gap to %d s: %s, want %d s", c.to, got, c.want)
		}
	}
}
