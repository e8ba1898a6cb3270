package wal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Barrier is an owner's promise: every record with a timestamp at or below TS, ever, lies at or before Position.
type Barrier struct {
	Position mq.Position
	TS       tso.Timestamp
}

// Barrier promises for a timestamp of at least guarantee (0: for all that was acknowledged before the call). guarantee must
// come from the oracle; one that nobody can have got from it is refused as invalid.
func (w *Writer) Barrier(ctx context.Context, guarantee tso.Timestamp) (Barrier, error) {
	if err := w.checkGuarantee(ctx, guarantee); err != nil {
		return Barrier{}, err
	}
	b, err := w.promise(ctx, guarantee)
	if err != nil || w.cfg.lax.noConfirm {
		return b, err
	}
	// The read begins after the call came: if the log was still this owner's then, no other had acknowledged anything
	// before the call.
	if err := w.confirm.wait(ctx, w.dead, w.cfg.lax.joinUnderway); err != nil {
		return Barrier{}, err
	}
	return b, nil
}

// checkGuarantee makes sure that the oracle has passed the guarantee, so that no later owner gets a lower timestamp.
func (w *Writer) checkGuarantee(ctx context.Context, guarantee tso.Timestamp) error {
	for wait := newBackoff(&w.cfg); ; {
		w.mu.Lock()
		known, err := max(w.known, w.ackedTS), w.err
		w.mu.Unlock()
		if err != nil || guarantee <= known {
			return err
		}
		if _, err := w.ask(ctx, 1); err != nil {
			return errs.New(errs.Unavailable, "timestamp %d cannot be checked: %w", guarantee, err)
		}
		w.mu.Lock()
		known = w.known
		w.mu.Unlock()
		if guarantee > known {
			if ahead := tso.Time(guarantee).Sub(tso.Time(known)); ahead > w.cfg.MaxAhead {
				return errs.Invalid("guarantee timestamp %d lies %s ahead of the cluster's time", guarantee, ahead.Round(time.Millisecond))
			}
			if !wait.sleep(ctx) {
				return fmt.Errorf("wait for the cluster's time to pass timestamp %d: %w", guarantee, ctx.Err())
			}
		}
	}
}

// promise raises the floor and waits until all that is stamped at or below it is acknowledged (or known not to be in the
// log).
func (w *Writer) promise(ctx context.Context, guarantee tso.Timestamp) (Barrier, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := max(w.ackedTS, guarantee)
	w.floor = max(w.floor, r)
	for w.flying != 0 && w.flying <= r && w.err == nil && !w.cfg.lax.noWait {
		changed := w.changed
		w.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-w.dead:
		case <-ctx.Done():
			err = ctx.Err()
		}
		w.mu.Lock()
		if err != nil {
			return Barrier{}, fmt.Errorf("wait for a write in flight: %w", err)
		}
	}
	return Barrier{Position: w.acked.Position, TS: r}, w.err
}

// confirmer lets all barriers that wait share one confirmation of ownership, never one that began before they came.
type confirmer struct {
	mu       sync.Mutex // guards next and underway
	next     *round
	underway *round
	kick     chan struct{}
}

type round struct {
	done chan struct{}
	err  error // valid after done
}

func (c *confirmer) init() { c.kick = make(chan struct{}, 1) }

func (c *confirmer) wait(ctx context.Context, dead <-chan struct{}, joinUnderway bool) error {
	c.mu.Lock()
	if c.next == nil {
		c.next = &round{done: make(chan struct{})}
	}
	r := c.next
	if joinUnderway && c.underway != nil {
		r = c.underway
	}
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("confirm that the log is still owned: %w", ctx.Err())
	case <-dead:
		return lost(nil)
	}
}

func (c *confirmer) begin() *round {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underway, c.next = c.next, nil
	return c.underway
}

// confirmLoop confirms for those that wait. It ends the Writer when the log is another's.
func (w *Writer) confirmLoop(ctx context.Context) error {
	for {
		select {
		case <-w.confirm.kick:
		case <-ctx.Done():
			return nil
		}
		for r := w.confirm.begin(); r != nil; r = w.confirm.begin() {
			r.err = w.confirmOnce(ctx)
			close(r.done)
			if errs.Is(r.err, errs.NotOwner) {
				return r.err
			}
		}
	}
}

func (w *Writer) confirmOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.ConfirmTimeout)
	defer cancel()
	err := w.deps.Confirm(ctx)
	if err == nil || errs.Is(err, errs.NotOwner) {
		return err
	}
	return errs.New(errs.Unavailable, "ownership of the log cannot be confirmed: %w", err)
}
