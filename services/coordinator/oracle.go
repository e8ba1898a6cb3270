package coordinator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/tso"
)

// raiser persists a bound: nothing at or above it was handed out by anyone before this leader raised it further.
type raiser func(ctx context.Context, to uint64) error

// oracle hands out timestamps. Its bound is persisted ahead, so that a call needs no transaction: whatever a leader hands
// out lies below the bound in the metadata store, and its successor starts at that bound.
type oracle struct {
	now     func() time.Time
	window  time.Duration
	maxLead time.Duration
	raise   raiser

	raising chan struct{} // holds a token while somebody persists a bound

	mu    sync.Mutex // guards next and bound
	next  tso.Timestamp
	bound tso.Timestamp
}

// newOracle starts above every timestamp below persisted.
func newOracle(cfg Config, now func() time.Time, persisted uint64, raise raiser) *oracle {
	return &oracle{
		now: now, window: cfg.OracleWindow, maxLead: cfg.MaxClockLead, raise: raise,
		raising: make(chan struct{}, 1), next: max(persisted, 1), bound: persisted,
	}
}

// maxTimestamps bounds one call.
const maxTimestamps = 1 << 20

// alloc returns the first of count consecutive timestamps, all above every one handed out before.
func (o *oracle) alloc(ctx context.Context, count uint32) (tso.Timestamp, error) {
	if count == 0 || count > maxTimestamps {
		return 0, errs.Invalid("count of timestamps %d is not in [1, %d]", count, maxTimestamps)
	}
	for {
		first, ok, ahead := o.take(uint64(count))
		switch {
		case ok:
			return first, nil
		case ahead > 0:
			if err := o.waitClock(ctx, ahead); err != nil {
				return 0, err
			}
		default:
			if err := o.extend(ctx); err != nil {
				return 0, err
			}
		}
	}
}

// take hands out a range if it lies below the bound. A logical counter that runs over carries into the milliseconds,
// because both are one number. ahead is how far the range would be too far ahead of the clock.
func (o *oracle) take(count uint64) (first tso.Timestamp, ok bool, ahead time.Duration) {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	first = max(o.next, tso.FromTime(now))
	if lead := tso.Time(first + count).Sub(now); lead > o.maxLead {
		return 0, false, lead - o.maxLead
	}
	if first+count > o.bound {
		return 0, false, 0
	}
	o.next = first + count
	return first, true, 0
}

// waitClock waits for a clock that is behind the timestamps handed out before.
func (o *oracle) waitClock(ctx context.Context, ahead time.Duration) error {
	timer := time.NewTimer(min(ahead, time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errs.New(errs.Unavailable, "the coordinator's clock is %s behind the timestamps handed out before: %w", ahead+o.maxLead, ctx.Err())
	}
}

// extend persists a bound one window ahead; one caller does it, the others wait.
func (o *oracle) extend(ctx context.Context) error {
	select {
	case o.raising <- struct{}{}:
		defer func() { <-o.raising }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the oracle's bound: %w", ctx.Err())
	}
	o.mu.Lock()
	low := max(o.next, tso.FromTime(o.now()))
	enough := o.bound >= low+maxTimestamps && o.bound-low > uint64(o.window.Milliseconds()/2)<<tso.LogicalBits
	o.mu.Unlock()
	if enough {
		return nil // somebody else just did
	}
	to := low + uint64(o.window.Milliseconds())<<tso.LogicalBits
	if err := o.raise(ctx, to); err != nil {
		return fmt.Errorf("persist the oracle's bound: %w", err)
	}
	o.mu.Lock()
	o.bound = max(o.bound, to)
	o.mu.Unlock()
	return nil
}

// keepAhead extends the bound before callers reach it, until ctx ends.
func (o *oracle) keepAhead(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(o.window / 6)
	defer ticker.Stop()
	for {
		if err := o.extend(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// lead is how far the next timestamp is ahead of the clock.
func (o *oracle) lead() time.Duration {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(0, tso.Time(o.next).Sub(now))
}
