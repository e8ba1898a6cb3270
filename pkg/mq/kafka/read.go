package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

// Bounds of what one fetch asks for.
const (
	fetchMin  = 64 << 10
	fetchPart = 8 << 20 // while an entry's parts are missing
	fetchMax  = 64 << 20
)

// Read implements mq.Log.
func (l *log) Read(ctx context.Context, from mq.Position, maxBytes int) (out []mq.Entry, err error) {
	if l.ctx.Err() == nil && ctx.Err() != nil {
		return nil, nil
	}
	err = l.do(ctx, "read", func(ctx context.Context) (err error) {
		r := &reader{log: l, from: from, maxBytes: maxBytes, next: int64(from)}
		r.assembler = assembler{from: int64(from), maxSize: l.cfg.MaxEntryBytes, lookBack: func(from, to int64) ([]stored, error) {
			return l.between(ctx, from, to)
		}}
		out, err = r.read(ctx)
		return err
	})
	return out, err
}

// reader is one Read.
type reader struct {
	*log
	assembler
	from     mq.Position
	maxBytes int
	next     int64
	idle     time.Duration
}

func (r *reader) read(ctx context.Context) ([]mq.Entry, error) {
	for ctx.Err() == nil {
		r.mu.Lock()
		cut := r.cut
		r.mu.Unlock()
		if r.from < cut {
			return nil, fmt.Errorf("at %d, entries below %d are gone: %w", r.from, cut, mq.ErrTruncated)
		}
		p, err := r.records(ctx, r.next, r.fetchBytes())
		if err == nil {
			r.next = p.next
			out, err := r.take(p)
			if err != nil || len(out) > 0 {
				return out, err
			}
			r.idle = 0
			continue
		}
		if err := r.pass(ctx, err); err != nil {
			return nil, err
		}
	}
	if r.ctx.Err() != nil {
		return nil, mq.ErrClosed
	}
	return nil, nil
}

func (r *reader) fetchBytes() int {
	if len(r.attempts) > 0 {
		return fetchPart
	}
	return min(max(r.maxBytes, fetchMin), fetchMax)
}

// take gives the records to the assembler, up to the bound of the read.
func (r *reader) take(p page) ([]mq.Entry, error) {
	var out []mq.Entry
	size := 0
	for _, s := range p.ours {
		entry, whole, err := r.add(s)
		if err != nil {
			if len(out) > 0 {
				return out, nil // the error comes again with the next read
			}
			return nil, err
		}
		if !whole {
			continue
		}
		if size += len(entry.Data); len(out) > 0 && size > r.maxBytes {
			break
		}
		out = append(out, entry)
	}
	return out, nil
}

// pass waits where an error is no reason to end the read.
func (r *reader) pass(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, errOutOfRange):
		if err := r.outOfRange(ctx); err != nil {
			return err
		}
	case !passing(err) && !timedOut(err):
		return err
	}
	r.idle = min(max(2*r.idle, pauseMin), pauseMax)
	_ = sleep(ctx, r.idle)
	return nil
}

// outOfRange tells a truncated position from one that is not written yet. The latter is rare enough to ask whether the
// topic is still this log: one that was deleted and made again begins at 0.
func (r *reader) outOfRange(ctx context.Context) error {
	first, _, err := r.bounds(ctx)
	if err == nil && r.next < first {
		return fmt.Errorf("at %d, the topic begins at %d: %w", r.from, first, mq.ErrTruncated)
	}
	if err == nil {
		err = r.identify(ctx, r.id.UUID)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// between returns this log's records from one offset to below another.
func (l *log) between(ctx context.Context, from, to int64) ([]stored, error) {
	var out []stored
	for from < to {
		p, err := l.records(ctx, from, fetchPart)
		if errors.Is(err, errOutOfRange) {
			return nil, mq.ErrTruncated
		}
		if err != nil {
			return nil, err
		}
		for _, s := range p.ours {
			if s.offset < to {
				out = append(out, s)
			}
		}
		from = p.next
	}
	return out, ctx.Err()
}
