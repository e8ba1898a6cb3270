package wal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Request is one record to be appended.
type Request struct {
	// Bytes is about the record's size.
	Bytes int
	// Build makes the record; it is called once, in log order, from one goroutine, after the record's timestamp is fixed
	// and before it is known whether it becomes durable. An error refuses the request. It must not block.
	Build func(ts tso.Timestamp) (Record, error)
	// Done, if set, is called once when Build made a record, with what became of it, whether Append's caller still waits
	// or not. An error with code errs.NotOwner or errs.Fenced leaves that open; any other means that the record is not in
	// the log. It must not block.
	Done func(ack Ack, err error)
	// EndsGroup makes this record the last one of its entry, so that its position is a place at which a shard can be cut.
	EndsGroup bool
}

// Ack tells where an acknowledged record is.
type Ack struct {
	TS       tso.Timestamp
	Position mq.Position
}

type request struct {
	Request
	ctx  context.Context
	done chan result
	// The Writer's goroutine owns these.
	ts       tso.Timestamp
	built    bool
	answered bool
}

type result struct {
	ack Ack
	err error
}

// answer gives the caller the first answer and ignores others.
func (r *request) answer(ack Ack, err error) {
	if r.answered {
		return
	}
	r.answered = true
	if r.built && r.Done != nil {
		r.Done(ack, err)
	}
	r.done <- result{ack, err} // has room for one
}

// Append appends one record and returns when it is durable and accepted. When ctx ends first, or the log is lost, the
// record may still get there. A full queue refuses with errs.RateLimit.
func (w *Writer) Append(ctx context.Context, req Request) (Ack, error) {
	r := &request{Request: req, ctx: ctx, done: make(chan result, 1)}
	if err := w.enqueue(r); err != nil {
		return Ack{}, err
	}
	select {
	case res := <-r.done:
		return res.ack, res.err
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("append to the log: %w", ctx.Err())
	case <-w.dead:
	}
	select {
	case res := <-r.done:
		return res.ack, res.err
	default:
		return Ack{}, w.ended()
	}
}

func (w *Writer) enqueue(r *request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.queuedBytes > 0 && w.queuedBytes+r.Bytes > w.cfg.MaxQueueBytes {
		return errs.New(errs.RateLimit, "the log has %d MiB waiting to be written, try again later", w.queuedBytes>>20)
	}
	select {
	case w.queue <- r:
		w.queuedBytes += r.Bytes
		return nil
	default:
		return errs.New(errs.RateLimit, "the log has %d records waiting to be written, try again later", len(w.queue))
	}
}

func (w *Writer) commitLoop(ctx context.Context) error {
	var spare *request // taken, but too large for the group before
	for {
		group, err := w.gather(ctx, &spare)
		if err != nil {
			return nil // ctx ended
		}
		if err := w.commit(ctx, group); err != nil {
			w.fail(err)
			for _, r := range group {
				r.answer(Ack{}, lost(err))
			}
			if spare != nil {
				spare.answer(Ack{}, lost(err))
			}
			return err
		}
	}
}

// gather waits for a request and takes what waits with it.
func (w *Writer) gather(ctx context.Context, spare **request) ([]*request, error) {
	var group []*request
	size := 0
	add := func(r *request) bool {
		if len(group) > 0 && size+r.Bytes > w.cfg.MaxGroupBytes {
			*spare = r
			return false
		}
		group = append(group, r)
		size += r.Bytes
		return len(group) < w.cfg.MaxGroupRecords && !r.EndsGroup
	}
	first := *spare
	*spare = nil
	if first == nil {
		select {
		case first = <-w.queue:
			w.dequeued(first)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if !add(first) {
		return group, nil
	}
	for {
		select {
		case r := <-w.queue:
			w.dequeued(r)
			if !add(r) {
				return group, nil
			}
		default:
			return group, nil
		}
	}
}

func (w *Writer) dequeued(r *request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queuedBytes -= r.Bytes
}

// commit makes one group durable and answers its requests. An error ends the Writer.
func (w *Writer) commit(ctx context.Context, group []*request) error {
	first, err := w.reserve(ctx, uint32(len(group)))
	if err != nil {
		return err
	}
	records, built := w.build(group, first)
	if len(records) == 0 {
		w.settle(w.acked, 0)
		return nil
	}
	began := time.Now()
	data := EncodeGroup(nil, records)
	at, resent, err := w.put(ctx, data)
	var refused *refusedError
	if errors.As(err, &refused) {
		w.settle(w.acked, 0)
		for _, r := range built {
			r.answer(Ack{}, appendError(refused.cause))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.deps.Apply(w.acked, Accepted{Position: at, Records: records}); err != nil {
		return fmt.Errorf("apply the entry at position %d: %w", at, err)
	}
	w.settle(Start{Position: at, Epoch: w.acc.Epoch, Seq: w.acc.Seq}, records[len(records)-1].TS)
	for _, r := range built {
		r.answer(Ack{TS: r.ts, Position: at}, nil)
	}
	if w.deps.Observe != nil {
		w.deps.Observe(GroupStats{Records: len(records), Bytes: len(data), Append: time.Since(began), Resent: resent})
	}
	return nil
}

// appendError is what a client is told of an entry that is not in the log and never will be.
func appendError(err error) error {
	if errors.Is(err, mq.ErrFull) {
		return errs.New(errs.DiskLimit, "the message queue's storage is full: %w", err)
	}
	return errs.New(errs.Unavailable, "the message queue refused the record: %w", err)
}

// build makes the records of the requests whose callers still wait and which are not refused.
func (w *Writer) build(group []*request, first tso.Timestamp) (records []Record, built []*request) {
	for i, r := range group {
		if err := r.ctx.Err(); err != nil {
			r.answer(Ack{}, err)
			continue
		}
		r.ts = first + uint64(i)
		if w.cfg.lax.oneStamp {
			r.ts = first
		}
		rec, err := r.Build(r.ts)
		if err != nil {
			r.answer(Ack{}, err)
			continue
		}
		r.built = true
		rec.TS, rec.Epoch, rec.Seq = r.ts, w.cfg.Epoch, w.acc.Seq+1+uint64(len(records))
		records, built = append(records, rec), append(built, r)
	}
	return records, built
}

// settle records that nothing is in flight any more; ts is 0 when nothing was acknowledged.
func (w *Writer) settle(at Start, ts tso.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked, w.ackedTS, w.flying = at, max(w.ackedTS, ts), 0
	w.signal()
}

// refusedError says that an entry is not in the log and never will be.
type refusedError struct{ cause error }

func (e *refusedError) Error() string { return e.cause.Error() }

// unknown says whether an append that failed so may have happened. Contexts end at any moment of an attempt.
func unknown(err error) bool {
	return errors.Is(err, mq.ErrUncertain) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (w *Writer) attempt(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.AppendTimeout)
	defer cancel()
	return w.deps.Log.Append(ctx, data, opt)
}

// put appends an entry until it is known to be accepted and returns the position at which it was. Once an attempt's
// outcome is unknown the error of a later attempt says nothing about the entry, so only the log itself can tell.
func (w *Writer) put(ctx context.Context, data []byte) (at mq.Position, resent int, err error) {
	open := false
	for wait := newBackoff(&w.cfg); ; resent++ {
		at, err := w.attempt(ctx, data, mq.AppendOptions{})
		switch {
		case err == nil:
			at, err = w.accepted(ctx, at, data)
			return at, resent, err
		case errors.Is(err, mq.ErrStopped):
			return 0, resent, fmt.Errorf("append seq %d: %w", w.acc.Seq+1, err)
		case unknown(err) && !w.cfg.lax.reuseSeq:
			open = true
		case !open || w.cfg.lax.trustLateError:
			return 0, resent, &refusedError{err}
		default:
			if at, err := w.search(ctx, data); err != nil || at != 0 {
				return at, resent, err
			}
		}
		w.deps.Logger.Warn("wal: outcome of an append unknown, sending the same entry again", "epoch", w.cfg.Epoch, "seq", w.acc.Seq+1, "error", err)
		if !wait.sleep(ctx) {
			return 0, resent, fmt.Errorf("append seq %d: %w", w.acc.Seq+1, err)
		}
	}
}

// accepted tells where the entry that an attempt put at position at was accepted. Directly behind what was read nothing
// can have come between; else the gap is read: an earlier attempt may be in it, or a newer owner's fence.
func (w *Writer) accepted(ctx context.Context, at mq.Position, data []byte) (mq.Position, error) {
	if at == w.read+1 || w.cfg.lax.noReadBack {
		h, _, err := decodeHeader(data)
		if err != nil || !w.acc.accept(h) {
			return 0, fmt.Errorf("the accept rule refuses the own entry at position %d, epoch %d, seq %d: %w", at, h.epoch, h.seq, err)
		}
		w.read = at
		return at, nil
	}
	found, err := w.readThrough(ctx, at)
	if err == nil && found == 0 {
		err = fmt.Errorf("the own entry at position %d is not in the log", at)
	}
	return found, err
}

// search looks for the entry in all that is durable now; 0 means that it is not there yet.
func (w *Writer) search(ctx context.Context, _ []byte) (mq.Position, error) {
	tail, err := w.deps.Log.Tail(ctx)
	if err != nil || tail <= w.read+1 {
		return 0, nil // nobody knows more
	}
	return w.readUntil(ctx, tail)
}

// readThrough takes what lies behind read up to and including the entry at position through.
func (w *Writer) readThrough(ctx context.Context, through mq.Position) (own mq.Position, err error) {
	return w.readUntil(ctx, through+1)
}

// readUntil takes every durable entry below end and returns the position of the own one that was accepted, if any.
func (w *Writer) readUntil(ctx context.Context, end mq.Position) (own mq.Position, err error) {
	r := Reader{log: w.deps.Log, acc: w.acc, pos: w.read}
	for wait := newBackoff(&w.cfg); r.pos+1 < end; {
		e, err := w.readOne(ctx, &r, end)
		if err != nil {
			if permanent(err) || !wait.sleep(ctx) {
				return 0, err
			}
			continue
		}
		if e.Position >= end || e.Position == 0 {
			break // nothing more below end; what lies behind is read next time
		}
		w.acc, w.read = r.acc, r.pos
		if w.acc.Epoch != w.cfg.Epoch {
			return 0, &FencedError{By: w.acc.Epoch}
		}
		if e.Records != nil {
			own = e.Position
		}
	}
	return own, nil
}

// readOne reads one entry. Below a tail there may be none, so it does not wait long: position 0 means that none came.
func (w *Writer) readOne(ctx context.Context, r *Reader, end mq.Position) (Accepted, error) {
	ctx2, cancel := context.WithTimeout(ctx, w.cfg.AppendTimeout)
	defer cancel()
	e, err := r.next(ctx2)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && r.pos+1 < end {
		return Accepted{}, nil
	}
	return e, err
}

// permanent says that reading again cannot help.
func permanent(err error) bool {
	return errors.Is(err, mq.ErrTruncated) || errors.Is(err, mq.ErrUnknownLog) || errors.Is(err, mq.ErrCorrupt) ||
		errors.Is(err, mq.ErrClosed) || errors.Is(err, ErrMalformed)
}
