// Package fault is the script of failures that the fault-injecting wrappers of the storage seams share: which calls
// fail, how and how often. It is for tests; it calls nothing by itself.
package fault

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// ErrInjected is what a failed call returns when its rule names no other error.
var ErrInjected = errors.New("injected fault")

// defaultBlackHole bounds a black hole for a call whose context has no deadline, as a driver's own timeout would.
const defaultBlackHole = 5 * time.Second

// Rule says what happens to the calls that it matches. A call follows the first rule that matches and is not used up;
// with neither Err, After nor BlackHole the call goes through, delayed.
type Rule struct {
	// Op is the wrapper's name of the call; empty matches all.
	Op string
	// Key is a prefix; a call matches if one of its keys has it.
	Key string
	// Skip lets so many matching calls pass first. Times is how many are then hit; 0 is without end.
	Skip, Times int
	// Before runs in the caller's goroutine when the rule hits; it may block to order things in a test.
	Before func()
	// Delay comes before the call.
	Delay time.Duration
	// Err is returned instead of calling; ErrInjected when After is set and Err is nil.
	Err error
	// After makes the call first, and then returns Err although it succeeded: the answer is lost.
	After bool
	// BlackHole swallows the call: it blocks until its context ends, or the default timeout of a driver, and is not made.
	BlackHole bool
}

// Rules is a set of rules in force. The zero value has none.
type Rules struct {
	mu    sync.Mutex // guards all below
	armed []*armed
	calls map[string]int
	cut   bool // a partition: everything is a black hole
}

type armed struct {
	Rule
	seen, hit int
}

// Add puts a rule in force behind those before; remove takes it away.
func (r *Rules) Add(rule Rule) (remove func()) {
	a := &armed{Rule: rule}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = append(r.armed, a)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, other := range r.armed {
			if other == a {
				r.armed = append(r.armed[:i:i], r.armed[i+1:]...)
				return
			}
		}
	}
}

// Clear takes all rules away.
func (r *Rules) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = nil
}

// SetPartition cuts everything off (each call is a black hole), or ends that.
func (r *Rules) SetPartition(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
}

// Partitioned says whether everything is cut off.
func (r *Rules) Partitioned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// Calls is the number of calls of that name so far, hit or not; of all calls for an empty name.
func (r *Rules) Calls(op string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if op != "" {
		return r.calls[op]
	}
	n := 0
	for _, c := range r.calls {
		n += c
	}
	return n
}

// Run makes a call under the rules. unavailable is what a black hole answers in the end.
func (r *Rules) Run(ctx context.Context, op string, keys []string, unavailable error, call func() error) error {
	rule := r.match(op, keys)
	if rule.Before != nil {
		rule.Before()
	}
	if rule.BlackHole {
		return blackHole(ctx, unavailable)
	}
	if err := sleep(ctx, rule.Delay); err != nil {
		return err
	}
	switch {
	case rule.After:
		if err := call(); err != nil {
			return err
		}
		if rule.Err == nil {
			return ErrInjected
		}
		return rule.Err
	case rule.Err != nil:
		return rule.Err
	}
	return call()
}

func (r *Rules) match(op string, keys []string) Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = map[string]int{}
	}
	r.calls[op]++
	if r.cut {
		return Rule{BlackHole: true}
	}
	for _, a := range r.armed {
		if (a.Op != "" && a.Op != op) || !hasPrefix(keys, a.Key) {
			continue
		}
		a.seen++
		if a.seen <= a.Skip || (a.Times > 0 && a.hit >= a.Times) {
			continue
		}
		a.hit++
		return a.Rule
	}
	return Rule{}
}

func hasPrefix(keys []string, prefix string) bool {
	if prefix == "" {
		return true
	}
	for _, k := range keys {
		if strings.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

func blackHole(ctx context.Context, unavailable error) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultBlackHole)
		defer cancel()
	}
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.Canceled) || unavailable == nil {
		return ctx.Err()
	}
	return errors.Join(unavailable, ctx.Err())
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
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
