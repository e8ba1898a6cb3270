// Package mqtest is the conformance suite of message queues: every driver, on every storage below it, passes the same
// tests. It owns no driver and knows none.
package mqtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

// Connect makes a client of one storage. The test closes it.
type Connect func(t *testing.T) mq.Queue

// Harness is a driver under test.
type Harness struct {
	// Name names driver and storage, for example "woodpecker/local"; it begins the name of every subtest.
	Name string
	// New makes an empty storage. Calls of what it returns stand for processes that use this storage.
	New func(t *testing.T) Connect
	// Exclusive: one client at a time may have the storage.
	Exclusive bool
	// Light shortens the tests, for storages where each entry costs much.
	Light bool
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Run(h.Name, func(t *testing.T) {
		for name, test := range tests() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				t.Cleanup(cancel)
				e := &env{harness: h, ctx: ctx, connect: h.New(t), id: newID(name)}
				e.queue = e.client(t)
				test(t, e)
			})
		}
	})
}

func tests() map[string]func(*testing.T, *env) {
	return map[string]func(*testing.T, *env){
		"CreateOpenDelete": testCreateOpenDelete, "LogsAreSeparate": testLogsAreSeparate, "EmptyLog": testEmptyLog,
		"Reopen": testReopen, "Closed": testClosed,
		"Order": testOrder, "Sizes": testSizes, "AppendCopies": testAppendCopies, "AppendCanceled": testAppendCanceled,
		"TwoHandles": testTwoHandles, "TwoClients": testTwoClients,
		"ReadWaits": testReadWaits, "ReadEndsWithContext": testReadEndsWithContext, "ReadFromAny": testReadFromAny,
		"ReadBounded": testReadBounded, "ConcurrentReaders": testConcurrentReaders,
		"Tail": testTail, "Truncate": testTruncate, "TruncateAll": testTruncateAll, "TruncateUnderReader": testTruncateUnderReader,
		"TruncatePinned": testTruncatePinned,
	}
}

type env struct {
	harness Harness
	ctx     context.Context
	connect Connect
	queue   mq.Queue
	id      mq.LogID
}

func newID(name string) mq.LogID {
	name = strings.ToLower(name)
	return mq.LogID{Name: "log-" + name, UUID: "uuid-of-" + name}
}

// n is a number of entries, fewer where they cost much.
func (e *env) n(full int) int {
	if e.harness.Light {
		return max(full/10, 10)
	}
	return full
}

func (e *env) client(t *testing.T) mq.Queue {
	t.Helper()
	q := e.connect(t)
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// create makes the test's log and opens it.
func (e *env) create(t *testing.T) mq.Log {
	t.Helper()
	if err := e.queue.Create(e.ctx, e.id); err != nil {
		t.Fatal(err)
	}
	return e.open(t, e.queue)
}

func (e *env) open(t *testing.T, q mq.Queue) mq.Log {
	t.Helper()
	return e.openAt(t, q, 0)
}

func (e *env) openAt(t *testing.T, q mq.Queue, hint mq.Position) mq.Log {
	t.Helper()
	l, err := q.Open(e.ctx, e.id, hint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// reopen closes the client and opens the log through a new one.
func (e *env) reopen(t *testing.T, hint mq.Position) mq.Log {
	t.Helper()
	if err := e.queue.Close(); err != nil {
		t.Fatal(err)
	}
	e.queue = e.client(t)
	return e.openAt(t, e.queue, hint)
}

func (e *env) append(t *testing.T, l mq.Log, data string) mq.Entry {
	t.Helper()
	p, err := l.Append(e.ctx, []byte(data), mq.AppendOptions{})
	if err != nil {
		t.Fatalf("append of %d bytes: %v", len(data), err)
	}
	return mq.Entry{Position: p, Data: []byte(data)}
}

func (e *env) appendN(t *testing.T, l mq.Log, first, n int) []mq.Entry {
	t.Helper()
	out := make([]mq.Entry, 0, n)
	for i := range n {
		out = append(out, e.append(t, l, fmt.Sprintf("entry %d", first+i)))
	}
	return out
}

func (e *env) tail(t *testing.T, l mq.Log) mq.Position {
	t.Helper()
	p, err := l.Tail(e.ctx)
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	return p
}

// none checks that no entry is at or behind from.
func (e *env) none(t *testing.T, l mq.Log, from mq.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, 50*time.Millisecond)
	defer cancel()
	if got, err := l.Read(ctx, from, 1<<20); err != nil || got != nil {
		t.Fatalf("read at %d: %s, %v; want nothing", from, show(got), err)
	}
}

// read reads n entries in calls of at most maxBytes.
func (e *env) read(l mq.Log, from mq.Position, n, maxBytes int) ([]mq.Entry, error) {
	var out []mq.Entry
	for len(out) < n {
		got, err := l.Read(e.ctx, from, maxBytes)
		if err != nil {
			return out, err
		}
		if len(got) == 0 {
			return out, fmt.Errorf("read at %d: nothing, %d of %d entries so far", from, len(out), n)
		}
		for _, entry := range got {
			if entry.Position < from {
				return out, fmt.Errorf("read at %d gave position %d", from, entry.Position)
			}
			from = entry.Position + 1
		}
		out = append(out, got...)
	}
	return out, nil
}

// expect checks that the entries at or behind from begin with want.
func (e *env) expect(t *testing.T, l mq.Log, from mq.Position, want []mq.Entry) {
	t.Helper()
	got, err := e.read(l, from, len(want), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got[:len(want)], want)
}

func same(t *testing.T, got, want []mq.Entry) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d:\n%s\n%s", len(got), len(want), show(got), show(want))
	}
	for i := range got {
		if got[i].Position != want[i].Position || string(got[i].Data) != string(want[i].Data) {
			t.Fatalf("entry %d is %s, want %s", i, show(got[i:i+1]), show(want[i:i+1]))
		}
	}
}

func show(entries []mq.Entry) string {
	var b strings.Builder
	for i, e := range entries {
		if i == 20 {
			b.WriteString(" ...")
			break
		}
		fmt.Fprintf(&b, " %d:%.20q(%d)", e.Position, e.Data, len(e.Data))
	}
	return "[" + strings.TrimPrefix(b.String(), " ") + "]"
}
