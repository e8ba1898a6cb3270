// Package fault wraps a message queue with failures, for tests: errors, answers that are lost before or after the entry
// became durable, delays, and entries that appear twice. A hook decides per call; Script and Seeded make hooks.
package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

// Op is a call.
type Op string

// The calls.
const (
	Create   Op = "create"
	Open     Op = "open"
	Delete   Op = "delete"
	Append   Op = "append"
	Read     Op = "read"
	Tail     Op = "tail"
	Truncate Op = "truncate"
)

// ErrInjected is the error of a failure that names no other.
var ErrInjected = errors.New("injected fault")

// Call is what a hook decides on.
type Call struct {
	Op   Op
	Log  string      // name of the log
	Data []byte      // of an Append
	At   mq.Position // of a Read or Truncate
}

// Action is what happens to a call. The zero value lets it pass.
type Action struct {
	// Delay comes before the call; it ends with the call's context.
	Delay time.Duration
	// Err is returned instead of calling.
	Err error
	// After makes the call first, and then returns Err whatever came of it: the answer is lost.
	After bool
	// Twice appends the entry a second time behind the first, as a client that resends does.
	Twice bool
}

// NotPersisted and Persisted are the two ways in which an Append's outcome is unknown to its caller.
var (
	NotPersisted = Action{Err: mq.ErrUncertain}
	Persisted    = Action{Err: mq.ErrUncertain, After: true}
)

// Hook decides what happens to a call. It may block. It is called by many goroutines at once.
type Hook func(Call) Action

// Queue wraps a queue.
type Queue struct {
	inner mq.Queue

	mu   sync.RWMutex // guards hook
	hook Hook
}

var _ mq.Queue = (*Queue)(nil)

// New wraps inner; a nil hook lets everything pass. Closing the wrapper closes inner.
func New(inner mq.Queue, hook Hook) *Queue { return &Queue{inner: inner, hook: hook} }

// SetHook puts another hook in force; nil lets everything pass.
func (q *Queue) SetHook(hook Hook) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hook = hook
}

func (q *Queue) decide(c Call) Action {
	q.mu.RLock()
	hook := q.hook
	q.mu.RUnlock()
	if hook == nil {
		return Action{}
	}
	return hook(c)
}

func (q *Queue) run(ctx context.Context, c Call, do func() error) error {
	a := q.decide(c)
	if err := sleep(ctx, a.Delay); err != nil {
		return fmt.Errorf("%s %s: %w", c.Op, c.Log, err)
	}
	if a.Err != nil && !a.After {
		return fmt.Errorf("%s %s: %w", c.Op, c.Log, a.Err)
	}
	err := do()
	if a.Twice && err == nil {
		_ = do()
	}
	if a.After && a.Err != nil {
		return fmt.Errorf("%s %s: %w", c.Op, c.Log, a.Err)
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Create implements mq.Queue.
func (q *Queue) Create(ctx context.Context, id mq.LogID) error {
	return q.run(ctx, Call{Op: Create, Log: id.Name}, func() error { return q.inner.Create(ctx, id) })
}

// Open implements mq.Queue.
func (q *Queue) Open(ctx context.Context, id mq.LogID, hint mq.Position) (mq.Log, error) {
	var inner mq.Log
	err := q.run(ctx, Call{Op: Open, Log: id.Name, At: hint}, func() (err error) {
		inner, err = q.inner.Open(ctx, id, hint)
		return err
	})
	if err != nil {
		if inner != nil {
			_ = inner.Close()
		}
		return nil, err
	}
	return &log{queue: q, name: id.Name, inner: inner}, nil
}

// Delete implements mq.Queue.
func (q *Queue) Delete(ctx context.Context, id mq.LogID) error {
	return q.run(ctx, Call{Op: Delete, Log: id.Name}, func() error { return q.inner.Delete(ctx, id) })
}

// Close implements mq.Queue.
func (q *Queue) Close() error { return q.inner.Close() }

type log struct {
	queue *Queue
	name  string
	inner mq.Log
}

// Append implements mq.Log. An entry that was appended twice has the position of its first.
func (l *log) Append(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	position, first := mq.Position(0), true
	err := l.queue.run(ctx, Call{Op: Append, Log: l.name, Data: data}, func() error {
		p, err := l.inner.Append(ctx, data, opt)
		if first {
			position, first = p, false
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return position, nil
}

// Read implements mq.Log.
func (l *log) Read(ctx context.Context, from mq.Position, maxBytes int) (out []mq.Entry, err error) {
	err = l.queue.run(ctx, Call{Op: Read, Log: l.name, At: from}, func() (err error) {
		out, err = l.inner.Read(ctx, from, maxBytes)
		return err
	})
	if ended := ctx.Err(); err != nil && ended != nil && errors.Is(err, ended) {
		return nil, nil // the context ended in a delay
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Tail implements mq.Log.
func (l *log) Tail(ctx context.Context) (p mq.Position, err error) {
	err = l.queue.run(ctx, Call{Op: Tail, Log: l.name}, func() (err error) {
		p, err = l.inner.Tail(ctx)
		return err
	})
	return p, err
}

// Truncate implements mq.Log.
func (l *log) Truncate(ctx context.Context, before mq.Position) error {
	return l.queue.run(ctx, Call{Op: Truncate, Log: l.name, At: before}, func() error { return l.inner.Truncate(ctx, before) })
}

// Close implements mq.Log.
func (l *log) Close() error { return l.inner.Close() }

// Script makes a hook that gives the calls of one kind the actions, one after the other, and lets the rest pass.
func Script(op Op, actions ...Action) Hook {
	var mu sync.Mutex // guards actions
	return func(c Call) Action {
		mu.Lock()
		defer mu.Unlock()
		if c.Op != op || len(actions) == 0 {
			return Action{}
		}
		a := actions[0]
		actions = actions[1:]
		return a
	}
}

// Odds are probabilities, each from 0 to 1.
type Odds struct {
	Error        float64 // ErrInjected before the call; for an Append this means: certainly not in the log
	NotPersisted float64 // Append: ErrUncertain, and the entry is not there
	Persisted    float64 // Append: ErrUncertain, and the entry is there
	Twice        float64 // Append: the entry is there twice
	Delay        float64
	DelayMax     time.Duration
}

// Seeded makes a hook that draws: the same seed and order of calls give the same actions.
func Seeded(seed uint64, odds Odds) Hook {
	var mu sync.Mutex // guards r
	r := rand.New(rand.NewPCG(seed, 0))
	return func(c Call) Action {
		mu.Lock()
		defer mu.Unlock()
		// Every call draws the same number of values, so that one more kind of fault does not change the others.
		fails, lost, kept, twice, slow, pause := r.Float64(), r.Float64(), r.Float64(), r.Float64(), r.Float64(), r.Float64()
		var a Action
		switch {
		case fails < odds.Error:
			a.Err = ErrInjected
		case c.Op != Append:
		case lost < odds.NotPersisted:
			a = NotPersisted
		case kept < odds.Persisted:
			a = Persisted
		default:
			a.Twice = twice < odds.Twice
		}
		if slow < odds.Delay {
			a.Delay = time.Duration(pause * float64(odds.DelayMax))
		}
		return a
	}
}
