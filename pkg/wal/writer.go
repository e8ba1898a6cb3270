package wal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Writer is the owner's side of a log. Open fences and recovers, Run commits what Append brings.
//
// Ordering: one goroutine (Run's) stamps, appends, applies and acknowledges, one group at a time, so seqs, timestamps,
// positions and acknowledgements have the same order. A group's timestamps are reserved under mu together with the
// check against floor; a barrier raises floor under mu, then waits for a reserved group that it promises. So for each
// timestamp at or below a promise there are two cases: it was reserved before, and its group is acknowledged before the
// barrier takes P; or it is never used.
type Writer struct {
	cfg  Config
	deps Deps

	// Run's goroutine owns these (before Run: Open).
	acc  Acceptor
	read mq.Position // everything at or below it has gone through acc

	queue chan *request

	mu          sync.Mutex // guards all below
	queuedBytes int
	acked       Start         // behind the last acknowledged entry (at first: the fence)
	ackedTS     tso.Timestamp // of the last acknowledged record
	stamped     tso.Timestamp // highest reserved
	flying      tso.Timestamp // lowest of the group in flight, 0 when there is none
	floor       tso.Timestamp // highest promised
	known       tso.Timestamp // highest that is known to come from the oracle
	oracleEpoch int64
	changed     chan struct{} // closed and replaced when acked or flying changes
	err         error         // why the Writer ended

	dead    chan struct{} // closed at the end
	confirm confirmer
}

// Open fences the log under the granted epoch and reads it from the checkpoint through the fence. A *FencedError tells
// that the log knows this epoch or a higher one.
func Open(ctx context.Context, cfg Config, deps Deps) (*Writer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	w := &Writer{
		cfg: cfg, deps: deps,
		queue:   make(chan *request, cfg.MaxQueueRecords),
		changed: make(chan struct{}), dead: make(chan struct{}),
		oracleEpoch: cfg.OracleEpoch,
	}
	w.confirm.init()
	promised := tso.Timestamp(0)
	if cfg.lax.stampFence {
		ts, err := deps.Oracle.Timestamps(ctx, 1)
		if err != nil {
			return nil, err
		}
		promised = ts.First
	}
	nonce, err := newNonce()
	if err != nil {
		return nil, err
	}
	at, err := w.fence(ctx, nonce)
	if err != nil {
		return nil, fmt.Errorf("fence the log under epoch %d: %w", cfg.Epoch, err)
	}
	if err := w.recover(ctx, at, nonce); err != nil {
		return nil, fmt.Errorf("read the log through the fence of epoch %d: %w", cfg.Epoch, err)
	}
	if cfg.lax.stampFence {
		w.ackedTS = promised
	}
	return w, nil
}

// newNonce tells this fence from one of the same epoch, which a metadata store restored from a backup may grant again.
func newNonce() (n [16]byte, err error) {
	if _, err = rand.Read(n[:]); err != nil {
		err = fmt.Errorf("draw a number for the fence: %w", err)
	}
	return n, err
}

// fence appends the fence, again and again while the outcome is unknown.
func (w *Writer) fence(ctx context.Context, nonce [16]byte) (mq.Position, error) {
	data := EncodeGroup(nil, []Record{{Epoch: w.cfg.Epoch, Kind: Fence, RequestID: nonce}})
	for wait := newBackoff(&w.cfg); ; {
		at, err := w.attempt(ctx, data, mq.AppendOptions{Pinned: true})
		if err == nil || !unknown(err) || errors.Is(err, mq.ErrStopped) {
			return at, err
		}
		if !wait.sleep(ctx) {
			return 0, errors.Join(ctx.Err(), err)
		}
	}
}

// recover applies what was accepted up to and including the own fence.
func (w *Writer) recover(ctx context.Context, fence mq.Position, nonce [16]byte) error {
	r := NewReader(w.deps.Log, w.cfg.Start)
	last := w.cfg.LastTS
	mine := false
	for r.Position() < fence {
		before := r.Last()
		e, err := r.next(ctx)
		if err != nil {
			return err
		}
		if e.Records == nil {
			continue
		}
		for i := range e.Records {
			rec := &e.Records[i]
			last = max(last, rec.TS)
			if rec.Kind == Fence {
				mine = rec.Epoch == w.cfg.Epoch && rec.RequestID == nonce
			}
		}
		if err := w.deps.Apply(before, e); err != nil {
			return err
		}
	}
	if !mine {
		return &FencedError{By: r.acc.Epoch}
	}
	w.acc, w.read, w.acked = r.acc, r.Position(), r.Last()
	w.ackedTS, w.stamped = last, last
	return nil
}

// Run commits what Append brings until ctx ends (it then returns nil) or the log is lost. It may run once.
func (w *Writer) Run(ctx context.Context) error {
	group, ctx2 := errgroup.WithContext(ctx)
	group.Go(func() error { return w.commitLoop(ctx2) })
	group.Go(func() error { return w.confirmLoop(ctx2) })
	err := group.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	w.end(err)
	return err
}

// end fails everything that waits and everything that comes.
func (w *Writer) end(cause error) {
	w.fail(cause)
	close(w.dead)
	for {
		select {
		case r := <-w.queue:
			r.answer(Ack{}, w.err)
		default:
			return
		}
	}
}

// fail makes every later call fail; the first cause stays.
func (w *Writer) fail(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = lost(cause)
	}
}

// lost is what callers of an ended Writer get.
func lost(cause error) error {
	var fenced *FencedError
	switch {
	case cause == nil:
		return errs.New(errs.NotOwner, "this node gives the log up")
	case errors.As(cause, &fenced):
		return errs.New(errs.Fenced, "this node lost the log: %w", cause)
	case errs.Is(cause, errs.NotOwner):
		return cause
	}
	return errs.New(errs.NotOwner, "this node gives the log up: %w", cause)
}

func (w *Writer) ended() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Acked returns the place behind the last acknowledged entry and the timestamp of the last acknowledged record.
func (w *Writer) Acked() (Start, tso.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked, w.ackedTS
}

// InFlight says whether a record with a timestamp at or below ts is stamped and neither acknowledged nor given up.
func (w *Writer) InFlight(ts tso.Timestamp) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flying != 0 && w.flying <= ts
}

// signal wakes who waits for acked or flying. mu is held.
func (w *Writer) signal() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// backoff is the growing delay between attempts.
type backoff struct{ next, max time.Duration }

func newBackoff(c *Config) *backoff { return &backoff{next: c.RetryMin, max: c.RetryMax} }

// sleep waits and says whether ctx still lives.
func (b *backoff) sleep(ctx context.Context) bool {
	t := time.NewTimer(b.next)
	defer t.Stop()
	b.next = min(2*b.next, b.max)
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
