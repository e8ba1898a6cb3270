package mqtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
)

func testTail(t *testing.T, e *env) {
	l := e.create(t)
	reader := e.open(t, e.queue)
	for i := range 5 {
		last := e.append(t, l, fmt.Sprint(i))
		for _, handle := range []mq.Log{l, reader} {
			if tail := e.tail(t, handle); tail <= last.Position {
				t.Errorf("tail %d, an entry is at %d", tail, last.Position)
			}
		}
		tail := e.tail(t, reader)
		e.none(t, reader, tail)
		next := e.append(t, l, fmt.Sprint("next ", i))
		e.expect(t, reader, tail, []mq.Entry{next})
	}
}

func testTruncate(t *testing.T, e *env) {
	l := e.create(t)
	reader := e.open(t, e.queue)
	all := e.appendN(t, l, 0, 20)
	for _, i := range []int{0, 7, 5, 12} { // a mark below an earlier one changes nothing
		if err := l.Truncate(e.ctx, all[i].Position); err != nil {
			t.Fatal(err)
		}
	}
	for i, entry := range all {
		if i >= 12 {
			e.expect(t, l, entry.Position, all[i:])
			continue
		}
		for _, handle := range []mq.Log{l, reader} {
			if got, err := handle.Read(e.ctx, entry.Position, 1<<20); !errors.Is(err, mq.ErrTruncated) {
				t.Fatalf("read at %d below the mark %d: %s, %v", entry.Position, all[12].Position, show(got), err)
			}
		}
	}
	if _, err := l.Read(e.ctx, 0, 1); !errors.Is(err, mq.ErrTruncated) {
		t.Errorf("read at 0: %v", err)
	}
	l = e.reopen(t, all[12].Position)
	e.expect(t, l, all[12].Position, all[12:])
	e.orTruncated(t, l, all)
	more := e.appendN(t, l, 20, 3)
	e.expect(t, l, all[19].Position, append(all[19:20:20], more...))
}

// orTruncated checks that each read below the mark gives the entry or ErrTruncated, not another entry and no silence.
func (e *env) orTruncated(t *testing.T, l mq.Log, all []mq.Entry) {
	t.Helper()
	for i, entry := range all {
		got, err := l.Read(e.ctx, entry.Position, 1<<20)
		switch {
		case errors.Is(err, mq.ErrTruncated):
		case err != nil || len(got) == 0:
			t.Fatalf("read at %d: %s, %v", entry.Position, show(got), err)
		default:
			same(t, got[:min(len(got), len(all)-i)], all[i:min(i+len(got), len(all))])
		}
	}
}

func testTruncateAll(t *testing.T, e *env) {
	l := e.create(t)
	all := e.appendN(t, l, 0, 5)
	last := all[4].Position
	tail := e.tail(t, l)
	if err := l.Truncate(e.ctx, tail); err != nil {
		t.Fatal(err)
	}
	e.none(t, l, tail)
	for _, hint := range []mq.Position{tail, last, 0} { // a hint only helps
		l = e.reopen(t, hint)
		e.orTruncated(t, l, all)
		entry := e.append(t, l, "on")
		if entry.Position <= last {
			t.Fatalf("position %d again, %d was acknowledged", entry.Position, last)
		}
		e.expect(t, l, last+1, []mq.Entry{entry})
		all, last = append(all, entry), entry.Position
	}
}

func testTruncatePinned(t *testing.T, e *env) {
	l := e.create(t)
	var all []mq.Entry
	for i := range 12 {
		data := fmt.Appendf(nil, "entry %d", i)
		p, err := l.Append(e.ctx, data, mq.AppendOptions{Pinned: i%3 == 0})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mq.Entry{Position: p, Data: data})
	}
	if err := l.Truncate(e.ctx, all[10].Position); err != nil {
		t.Fatal(err)
	}
	l = e.reopen(t, all[10].Position)
	e.orTruncated(t, l, all)
	e.expect(t, l, all[10].Position, all[10:])
	e.expect(t, l, all[10].Position, append(all[10:], e.appendN(t, l, 20, 1)...))
}

// testTruncateUnderReader: a reader that lags behind the mark is told so; it never skips an entry.
func testTruncateUnderReader(t *testing.T, e *env) {
	l := e.create(t)
	n := e.n(300)
	reader := e.open(t, e.queue)
	done := make(chan error, 1)
	go func() {
		from, next := mq.Position(0), 0
		for next < n {
			got, err := reader.Read(e.ctx, from, 64)
			if errors.Is(err, mq.ErrTruncated) {
				err = nil // start again at the tail's near side: any entry that is there
				if from, err = reader.Tail(e.ctx); err == nil {
					next = -1
				}
			}
			if err != nil {
				done <- err
				return
			}
			for _, entry := range got {
				var i int
				if _, err := fmt.Sscanf(string(entry.Data), "entry %d", &i); err != nil || (next >= 0 && i != next) {
					done <- fmt.Errorf("at %d: %q, the next is %d", entry.Position, entry.Data, next)
					return
				}
				next, from = i+1, entry.Position+1
			}
		}
		done <- nil
	}()
	for i := range n {
		entry := e.append(t, l, fmt.Sprint("entry ", i))
		if i%7 == 6 {
			if err := l.Truncate(e.ctx, entry.Position-2); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The reader that jumped to the tail needs one more entry to see the end.
	for i := n; ; i++ {
		e.append(t, l, fmt.Sprint("entry ", i))
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
