// Package mem is a message queue in memory, for tests and virtual time: it waits on channels only, so testing/synctest
// drives it.
//
// One set of logs can have several clients (Dial), each standing for a process: closing a client makes its open logs
// unusable and leaves the logs as they are. Positions are dense and begin at 1. Entries are kept until they are
// truncated; there is no bound on memory.
package mem

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/pkg/mq"
)

// server is the data that clients share.
type server struct {
	mu   sync.Mutex // guards logs and each log's fields
	logs map[string]*topic
}

type topic struct {
	uuid    string
	gone    bool          // deleted
	first   mq.Position   // position of entries[0]; entries below were truncated
	entries [][]byte      // entry i has position first+i
	changed chan struct{} // closed and replaced at every change
}

func (t *topic) tail() mq.Position { return t.first + mq.Position(len(t.entries)) }

func (t *topic) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Queue is one client of the logs.
type Queue struct {
	srv    *server
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
}

var _ mq.Queue = (*Queue)(nil)

// New makes a queue without logs and its first client.
func New() *Queue { return dial(&server{logs: map[string]*topic{}}) }

func dial(srv *server) *Queue {
	ctx, cancel := context.WithCancel(context.Background())
	return &Queue{srv: srv, ctx: ctx, cancel: cancel}
}

// Dial makes another client of the same logs.
func (q *Queue) Dial() *Queue { return dial(q.srv) }

// Create implements mq.Queue.
func (q *Queue) Create(ctx context.Context, id mq.LogID) error {
	if err := q.check(ctx, "create", id.Name); err != nil {
		return err
	}
	q.srv.mu.Lock()
	defer q.srv.mu.Unlock()
	if q.srv.logs[id.Name] != nil {
		return fmt.Errorf("create %s: %w", id.Name, mq.ErrExists)
	}
	q.srv.logs[id.Name] = &topic{uuid: id.UUID, first: 1, changed: make(chan struct{})}
	return nil
}

// Open implements mq.Queue. The hint is not needed.
func (q *Queue) Open(ctx context.Context, id mq.LogID, _ mq.Position) (mq.Log, error) {
	if err := q.check(ctx, "open", id.Name); err != nil {
		return nil, err
	}
	q.srv.mu.Lock()
	defer q.srv.mu.Unlock()
	t := q.srv.logs[id.Name]
	if t == nil || t.uuid != id.UUID {
		return nil, fmt.Errorf("open %s with uuid %s: %w", id.Name, id.UUID, mq.ErrUnknownLog)
	}
	l := &log{queue: q, name: id.Name, topic: t}
	l.ctx, l.cancel = context.WithCancel(q.ctx)
	return l, nil
}

// Delete implements mq.Queue.
func (q *Queue) Delete(ctx context.Context, id mq.LogID) error {
	if err := q.check(ctx, "delete", id.Name); err != nil {
		return err
	}
	q.srv.mu.Lock()
	defer q.srv.mu.Unlock()
	if t := q.srv.logs[id.Name]; t != nil && t.uuid == id.UUID {
		t.gone = true
		t.entries = nil
		t.notify()
		delete(q.srv.logs, id.Name)
	}
	return nil
}

// Close ends this client; the logs and other clients stay.
func (q *Queue) Close() error {
	q.cancel()
	return nil
}

func (q *Queue) check(ctx context.Context, op, name string) error {
	if q.ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", op, name, mq.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

// log is one open log.
type log struct {
	queue  *Queue
	name   string
	topic  *topic
	ctx    context.Context // ends at Close of the log or its queue
	cancel context.CancelFunc
}

// usable is called under the lock.
func (l *log) usable(op string) error {
	switch {
	case l.ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", op, l.name, mq.ErrClosed)
	case l.topic.gone:
		return fmt.Errorf("%s %s: %w", op, l.name, mq.ErrUnknownLog)
	}
	return nil
}

// Append implements mq.Log. The data is copied.
func (l *log) Append(ctx context.Context, data []byte, _ mq.AppendOptions) (mq.Position, error) {
	if err := l.queue.check(ctx, "append to", l.name); err != nil {
		return 0, err
	}
	l.queue.srv.mu.Lock()
	defer l.queue.srv.mu.Unlock()
	if err := l.usable("append to"); err != nil {
		return 0, err
	}
	t := l.topic
	position := t.tail()
	t.entries = append(t.entries, slices.Clone(data))
	t.notify()
	return position, nil
}

// Read implements mq.Log. What it returns is shared between readers and must not be changed.
func (l *log) Read(ctx context.Context, from mq.Position, maxBytes int) ([]mq.Entry, error) {
	from = max(from, 1)
	for {
		entries, changed, err := l.poll(from, maxBytes)
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return nil, fmt.Errorf("read %s: %w", l.name, mq.ErrClosed)
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (l *log) poll(from mq.Position, maxBytes int) ([]mq.Entry, <-chan struct{}, error) {
	l.queue.srv.mu.Lock()
	defer l.queue.srv.mu.Unlock()
	t := l.topic
	if err := l.usable("read"); err != nil {
		return nil, nil, err
	}
	if from < t.first {
		return nil, nil, fmt.Errorf("read %s at %d, which begins at %d: %w", l.name, from, t.first, mq.ErrTruncated)
	}
	var out []mq.Entry
	size := 0
	for p := from; p < t.tail(); p++ {
		data := t.entries[p-t.first]
		if size += len(data); len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, mq.Entry{Position: p, Data: data})
	}
	return out, t.changed, nil
}

// Tail implements mq.Log.
func (l *log) Tail(ctx context.Context) (mq.Position, error) {
	if err := l.queue.check(ctx, "tail of", l.name); err != nil {
		return 0, err
	}
	l.queue.srv.mu.Lock()
	defer l.queue.srv.mu.Unlock()
	if err := l.usable("tail of"); err != nil {
		return 0, err
	}
	return l.topic.tail(), nil
}

// Truncate implements mq.Log. Entries below before go at once; a mark behind the tail counts as the tail.
func (l *log) Truncate(ctx context.Context, before mq.Position) error {
	if err := l.queue.check(ctx, "truncate", l.name); err != nil {
		return err
	}
	l.queue.srv.mu.Lock()
	defer l.queue.srv.mu.Unlock()
	if err := l.usable("truncate"); err != nil {
		return err
	}
	t := l.topic
	if before = min(before, t.tail()); before > t.first {
		t.entries = slices.Clone(t.entries[before-t.first:])
		t.first = before
		t.notify()
	}
	return nil
}

// Close implements mq.Log.
func (l *log) Close() error {
	l.cancel()
	return nil
}
