package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/integration/client"
)

// Deadline is what every client of a load gives each call.
const Deadline = 10 * time.Second

// Kind is how a call ended.
type Kind string

// The ways in which a call ends.
const (
	OK        Kind = "ok"
	Retriable Kind = "retriable status"
	Final     Kind = "final status" // a Status that tells the client not to try again
	Late      Kind = "deadline"     // the client's own deadline passed
	Transport Kind = "transport"    // the connection, not a Status
	Wrong     Kind = "wrong answer"
)

// ErrWrong is what an answer is that is not the right one.
var ErrWrong = errors.New("wrong answer")

// kindOf tells how a call ended.
func kindOf(err error) Kind {
	var st client.StatusError
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrWrong):
		return Wrong
	case errors.As(err, &st) && st.Retriable:
		return Retriable
	case errors.As(err, &st):
		return Final
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded:
		return Late
	}
	return Transport
}

// Call is one call of a load.
type Call struct {
	What       string
	Begin, End time.Time
	Kind       Kind
	Err        error
}

// Load calls functions from several goroutines until it is stopped, and remembers every call.
type Load struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards calls
	calls  []Call
}

// NewLoad returns a load that ends with ctx at the latest.
func NewLoad(ctx context.Context) *Load {
	l := &Load{}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

// Go calls fn from workers goroutines, with a pause after each call. fn gets the worker's number and a count.
func (l *Load) Go(what string, workers int, pause time.Duration, fn func(ctx context.Context, worker, n int) error) {
	for w := range workers {
		l.wg.Go(func() {
			for n := 0; l.ctx.Err() == nil; n++ {
				l.one(what, func(ctx context.Context) error { return fn(ctx, w, n) })
				select {
				case <-time.After(pause):
				case <-l.ctx.Done():
				}
			}
		})
	}
}

func (l *Load) one(what string, fn func(context.Context) error) {
	// A stop lets calls in flight end: cut short, they would look like failures.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), Deadline)
	defer cancel()
	c := Call{What: what, Begin: time.Now()}
	c.Err = fn(ctx)
	c.End, c.Kind = time.Now(), kindOf(c.Err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

// Stop ends the load and waits for the calls in flight.
func (l *Load) Stop() {
	l.cancel()
	l.wg.Wait()
}

// Calls returns the calls so far in the order of their ends.
func (l *Load) Calls() Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// Calls are calls of a load.
type Calls []Call

// Of are the calls of a sort.
func (c Calls) Of(what string) Calls { return c.where(func(x Call) bool { return x.What == what }) }

// Since are the calls that began at or after a time.
func (c Calls) Since(t time.Time) Calls {
	return c.where(func(x Call) bool { return !x.Begin.Before(t) })
}

// EndedAfter are the calls that ended after a time.
func (c Calls) EndedAfter(t time.Time) Calls {
	return c.where(func(x Call) bool { return x.End.After(t) })
}

// Good are the calls that succeeded, Bad those that did not.
func (c Calls) Good() Calls { return c.where(func(x Call) bool { return x.Kind == OK }) }

// Bad are the calls that did not succeed.
func (c Calls) Bad() Calls { return c.where(func(x Call) bool { return x.Kind != OK }) }

// Except are the calls of none of the kinds.
func (c Calls) Except(kinds ...Kind) Calls {
	return c.where(func(x Call) bool { return !slices.Contains(kinds, x.Kind) })
}

func (c Calls) where(keep func(Call) bool) Calls {
	var out Calls
	for _, x := range c {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// FirstEnd is when the first of the calls ended.
func (c Calls) FirstEnd() (time.Time, bool) {
	if len(c) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(c, func(a, b Call) int { return a.End.Compare(b.End) }).End, true
}

// LastBegin is when the last of the calls began.
func (c Calls) LastBegin() time.Time {
	if len(c) == 0 {
		return time.Time{}
	}
	return slices.MaxFunc(c, func(a, b Call) int { return a.Begin.Compare(b.Begin) }).Begin
}

// Longest is the longest time that a call took.
func (c Calls) Longest() time.Duration {
	d := time.Duration(0)
	for _, x := range c {
		d = max(d, x.End.Sub(x.Begin))
	}
	return d
}

// Gap is the longest time between two ends of calls that succeeded, within a span.
func (c Calls) Gap(from, to time.Time) time.Duration {
	at, gap := from, time.Duration(0)
	for _, x := range c.Good() {
		if x.End.After(from) && x.End.Before(to) {
			gap, at = max(gap, x.End.Sub(at)), x.End
		}
	}
	return max(gap, to.Sub(at))
}

// String counts the calls by sort and kind.
func (c Calls) String() string {
	counts := map[string]int{}
	for _, x := range c {
		counts[x.What+" "+string(x.Kind)]++
	}
	var parts []string
	for k, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, k))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// Examples shows some of the calls, relative to a time.
func (c Calls) Examples(zero time.Time) string {
	out := ""
	for i, x := range c {
		if i == 6 {
			return out + fmt.Sprintf("\n  and %d more", len(c)-i)
		}
		out += fmt.Sprintf("\n  %s at %+.2f s, took %.2f s: %s: %v", x.What, x.Begin.Sub(zero).Seconds(), x.End.Sub(x.Begin).Seconds(), x.Kind, x.Err)
	}
	return out
}
