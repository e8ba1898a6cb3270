package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

var errEOF = io.EOF

// log is one open log.
type log struct {
	*topic
	queue  *Queue
	id     mq.LogID
	ctx    context.Context // ends at Close of the log or its queue
	cancel context.CancelFunc

	writing sync.Mutex // one appends or truncates at a time

	mu  sync.Mutex  // guards cut
	cut mq.Position // entries below were truncated
}

var _ mq.Log = (*log)(nil)

func newLog(q *Queue, t *topic, id mq.LogID) *log {
	l := &log{topic: t, queue: q, id: id}
	l.ctx, l.cancel = context.WithCancel(q.ctx)
	return l
}

// Close implements mq.Log.
func (l *log) Close() error {
	l.cancel()
	return nil
}

// do runs a call of the log; its context ends with the log too.
func (l *log) do(ctx context.Context, op string, fn func(context.Context) error) error {
	run := func() error {
		if l.ctx.Err() != nil {
			return mq.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx, cancel := both(ctx, l.ctx)
		defer cancel()
		err := fn(ctx)
		if err != nil && l.ctx.Err() != nil && !errors.Is(err, mq.ErrUncertain) {
			err = mq.ErrClosed
		}
		if isMissing(err) && !errors.Is(err, mq.ErrUncertain) {
			err = fmt.Errorf("%w: %w", mq.ErrUnknownLog, err)
		}
		return err
	}
	if err := run(); err != nil {
		return fmt.Errorf("kafka: %s log %s: %w", op, l.id.Name, err)
	}
	return nil
}

// Append implements mq.Log. It sends each record once, and again only after an answer that says that the record was
// not written; the caller resends after ErrUncertain.
func (l *log) Append(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	offset := int64(0)
	err := l.do(ctx, "append to", func(ctx context.Context) (err error) {
		l.writing.Lock()
		defer l.writing.Unlock()
		offset, err = l.append(ctx, data, opt.Pinned)
		return err
	})
	if err != nil {
		return 0, err
	}
	return mq.Position(offset), nil
}

func (l *log) append(ctx context.Context, data []byte, pinned bool) (int64, error) {
	if int64(len(data)) > l.cfg.MaxEntryBytes {
		return 0, fmt.Errorf("entry of %d bytes, at most %d can be had", len(data), l.cfg.MaxEntryBytes)
	}
	flags := byte(0)
	if pinned {
		flags = flagPinned
	}
	var id attemptID
	_, _ = rand.Read(id[:]) // never fails
	first, offset := int64(0), int64(0)
	for i, r := range split(data, l.cfg.PartBytes, flags, id) {
		r.part.first = first
		var err error
		if offset, err = l.send(ctx, r); err != nil {
			return 0, err
		}
		if i == 0 {
			first = offset
		}
	}
	return offset, nil
}

// send writes a record, again and again while a broker's answer says that it is not written but may be.
func (l *log) send(ctx context.Context, r record) (int64, error) {
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		offset, err := l.produce(ctx, l.id.UUID, r)
		if err == nil {
			return offset, nil
		}
		switch judge(err) {
		case unknown:
			return 0, fmt.Errorf("%w: %w", mq.ErrUncertain, err)
		case final:
			return 0, err
		}
		if ended := sleep(ctx, pause); ended != nil {
			return 0, fmt.Errorf("%w: %w", ended, err)
		}
	}
}

// Tail implements mq.Log.
func (l *log) Tail(ctx context.Context) (mq.Position, error) {
	last := int64(0)
	err := l.do(ctx, "tail of", func(ctx context.Context) (err error) {
		_, last, err = l.bounds(ctx)
		return err
	})
	return mq.Position(last), err
}

// Truncate implements mq.Log.
func (l *log) Truncate(ctx context.Context, before mq.Position) error {
	return l.do(ctx, "truncate", func(ctx context.Context) error {
		l.writing.Lock()
		defer l.writing.Unlock()
		return l.truncate(ctx, before)
	})
}

// truncate removes what lies below the first record of ours at the mark, or below the first part of the entry there. A
// mark is a place between two entries of the log's owner, so no other entry that counts reaches over it.
func (l *log) truncate(ctx context.Context, before mq.Position) error {
	first, last, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	before = min(before, mq.Position(last))
	l.mu.Lock()
	l.cut = max(l.cut, before)
	l.mu.Unlock()
	keep := min(int64(before), last-1)
	if keep <= first {
		return nil
	}
	for at := keep; at < last; {
		records, err := l.records(ctx, at, 1)
		if err != nil {
			return err
		}
		if len(records.ours) > 0 {
			r := records.ours[0]
			keep = r.offset
			if r.kind == kindPart && r.part.index > 0 {
				keep = min(keep, r.part.first)
			}
			break
		}
		if at = records.next; at >= last {
			return nil // nothing of ours: the topic's first record must name the log
		}
	}
	if keep <= first {
		return nil
	}
	return l.deleteRecords(ctx, keep)
}

// page is what one fetch gave.
type page struct {
	ours []stored
	next int64 // the offset to go on with
}

// fetchWait bounds how long a broker keeps an empty answer back.
const fetchWait = 500 * time.Millisecond

// records returns this log's records from an offset on; others, of a log that had the topic's name before, are skipped.
func (l *log) records(ctx context.Context, offset int64, maxBytes int) (page, error) {
	raws, err := l.fetch(ctx, offset, maxBytes, fetchWait)
	if err != nil {
		return page{}, err
	}
	p := page{next: offset + int64(len(raws))}
	for _, raw := range raws {
		if raw.key != l.id.UUID {
			continue
		}
		r, err := decode(raw.value)
		if err != nil {
			return page{}, fmt.Errorf("topic %s, offset %d: %w", l.name, raw.offset, err)
		}
		p.ours = append(p.ours, stored{raw.offset, r})
	}
	return p, nil
}
