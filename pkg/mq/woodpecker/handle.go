package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gyr-db/gyr/pkg/mq"
)

// localHandle is one open of a log. It ends by itself; the log below stays open until the queue closes.
type localHandle struct {
	*localLog
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
}

var _ mq.Log = (*localHandle)(nil)

func newLocalHandle(l *localLog) *localHandle {
	h := &localHandle{localLog: l}
	h.ctx, h.cancel = context.WithCancel(l.ctx)
	return h
}

func (h *localHandle) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("woodpecker: %s log %s: %w", op, h.name, err)
}

func (h *localHandle) check() error {
	if h.ctx.Err() == nil {
		return nil
	}
	if err := h.usable(); err != nil {
		return err
	}
	return mq.ErrClosed
}

// Append implements mq.Log. Once it has begun it does not look at ctx: a write to the local disk cannot be called back.
func (h *localHandle) Append(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	if err := h.check(); err != nil {
		return 0, h.fail("append to", err)
	}
	position, err := h.append(ctx, data, opt.Pinned)
	return position, h.fail("append to", err)
}

// Tail implements mq.Log.
func (h *localHandle) Tail(ctx context.Context) (mq.Position, error) {
	if err := errors.Join(h.check(), ctx.Err()); err != nil {
		return 0, h.fail("tail of", err)
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.tail, nil
}

// Truncate implements mq.Log: it removes whole files. Nothing is kept for pinned entries, the folder's lock keeps other
// writers out.
func (h *localHandle) Truncate(ctx context.Context, before mq.Position) error {
	if err := errors.Join(h.check(), ctx.Err()); err != nil {
		return h.fail("truncate", err)
	}
	return h.fail("truncate", h.truncate(before))
}

// Close implements mq.Log.
func (h *localHandle) Close() error {
	h.cancel()
	return nil
}

// Read implements mq.Log. Entries of one call come from one file.
func (h *localHandle) Read(ctx context.Context, from mq.Position, maxBytes int) ([]mq.Entry, error) {
	from = max(from, 1)
	for {
		if err := h.check(); err != nil {
			return nil, h.fail("read", err)
		}
		part, changed, err := h.locate(from, maxBytes)
		if err != nil {
			return nil, h.fail("read", err)
		}
		if part.file == nil {
			select {
			case <-changed:
				continue
			case <-h.ctx.Done():
				continue
			case <-ctx.Done():
				return nil, nil
			}
		}
		entries, err := part.read()
		if errors.Is(err, os.ErrClosed) {
			continue // truncated or closed meanwhile
		}
		return entries, h.fail("read", err)
	}
}

// extent is a run of groups in one file.
type extent struct {
	file       *logFile
	start, end int64
	first      mq.Position
	count      int
}

// locate finds the groups to read: at least one, and no more than fit into maxBytes. An extent without a file means
// that there is none yet; changed then says when to look again.
func (l *localLog) locate(from mq.Position, maxBytes int) (extent, <-chan struct{}, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.ended != nil:
		return extent{}, nil, l.ended
	case from < l.first():
		return extent{}, nil, fmt.Errorf("at %d, it begins at %d: %w", from, l.first(), mq.ErrTruncated)
	case from >= l.tail:
		return extent{}, l.changed, nil
	}
	f := l.files[l.find(from)]
	i := int(from - f.base)
	e := extent{file: f, start: f.offsets[i], first: from}
	for j := i; j < len(f.offsets); j++ {
		end := f.end
		if j+1 < len(f.offsets) {
			end = f.offsets[j+1]
		}
		if e.count > 0 && end-e.start > int64(maxBytes) {
			break
		}
		e.end, e.count = end, e.count+1
	}
	return e, nil, nil
}

// read reads and checks the groups.
func (e extent) read() ([]mq.Entry, error) {
	b := make([]byte, e.end-e.start)
	if _, err := e.file.file.ReadAt(b, e.start); err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", e.file.path, e.start, err)
	}
	out := make([]mq.Entry, 0, e.count)
	for at := 0; len(out) < e.count; {
		want := e.first + mq.Position(len(out))
		g, ok := decodeGroup(b[at:], e.file.salt)
		if !ok || g.position != want || g.flags&flagMark != 0 {
			return nil, fmt.Errorf("%s: bad bytes at offset %d, where position %d was: %w", e.file.path, e.start+int64(at), want, mq.ErrCorrupt)
		}
		out = append(out, mq.Entry{Position: g.position, Data: g.data})
		at += int(g.size())
	}
	return out, nil
}
