package wal

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/mq"
)

// readBytes is about how much a Reader asks for at once.
const readBytes = 4 << 20

// Reader reads the entries of a log that count. It is not safe for concurrent use.
type Reader struct {
	log     mq.Log
	acc     Acceptor
	pos     mq.Position // of the last entry taken from buffer, counting or not
	buffer  []mq.Entry
	counted mq.Position // of the last entry that counted
}

// NewReader returns a Reader of what lies behind start, which must be a place at which the accept rule's state is known:
// the zero Start, a log's marks, or what StartAt or Reader.Last returned.
func NewReader(log mq.Log, start Start) *Reader {
	return &Reader{log: log, acc: Acceptor{Epoch: start.Epoch, Seq: start.Seq}, pos: start.Position, counted: start.Position}
}

// StartAt returns the Start behind the entry at position, which the caller knows to count (a seal, a checkpoint). It
// fails with mq.ErrTruncated if the entry is gone. Position 0 is the beginning.
func StartAt(ctx context.Context, log mq.Log, position mq.Position) (Start, error) {
	if position == 0 {
		return Start{}, nil
	}
	entries, err := log.Read(ctx, position, 1)
	switch {
	case err != nil:
		return Start{}, fmt.Errorf("read the entry at position %d: %w", position, err)
	case len(entries) == 0:
		return Start{}, fmt.Errorf("read the entry at position %d: %w", position, orNoEntry(ctx.Err()))
	case entries[0].Position != position:
		return Start{}, fmt.Errorf("position %d has no entry, the next one is at %d: %w", position, entries[0].Position, mq.ErrTruncated)
	}
	h, _, err := decodeHeader(entries[0].Data)
	if err != nil {
		return Start{}, fmt.Errorf("entry at position %d: %w", position, err)
	}
	start := Start{Position: position, Epoch: h.epoch}
	if !h.fence {
		start.Seq = h.seq + uint64(h.count) - 1
	}
	return start, nil
}

func orNoEntry(err error) error {
	if err == nil {
		return context.DeadlineExceeded
	}
	return err
}

// Next returns the next entry that counts, waiting for it until ctx ends.
func (r *Reader) Next(ctx context.Context) (Accepted, error) {
	for {
		e, err := r.next(ctx)
		if err != nil {
			return Accepted{}, err
		}
		if e.Records != nil {
			return e, nil
		}
	}
}

// next reads one entry; one that does not count has no records.
func (r *Reader) next(ctx context.Context) (Accepted, error) {
	for len(r.buffer) == 0 {
		entries, err := r.log.Read(ctx, r.pos+1, readBytes)
		if err != nil {
			return Accepted{}, fmt.Errorf("read the log behind position %d: %w", r.pos, err)
		}
		if len(entries) == 0 && ctx.Err() != nil {
			return Accepted{}, ctx.Err()
		}
		r.buffer = entries
	}
	e := r.buffer[0]
	if e.Position <= r.pos {
		return Accepted{}, fmt.Errorf("read the log behind position %d: got an entry at %d", r.pos, e.Position)
	}
	records, err := r.acc.Accept(e.Data)
	if err != nil {
		return Accepted{}, fmt.Errorf("entry at position %d: %w", e.Position, err)
	}
	r.buffer = r.buffer[1:]
	r.pos = e.Position
	if records != nil {
		r.counted = e.Position
	}
	return Accepted{Position: e.Position, Records: records}, nil
}

// Position is that of the last entry read, whether it counted or not.
func (r *Reader) Position() mq.Position { return r.pos }

// Last is the place behind the last entry that counted.
func (r *Reader) Last() Start {
	return Start{Position: r.counted, Epoch: r.acc.Epoch, Seq: r.acc.Seq}
}
