package mqtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

func testCreateOpenDelete(t *testing.T, e *env) {
	other := mq.LogID{Name: e.id.Name, UUID: "another"}
	wantUnknown := func(what string, id mq.LogID) {
		t.Helper()
		if _, err := e.queue.Open(e.ctx, id, 0); !errors.Is(err, mq.ErrUnknownLog) {
			t.Errorf("open %s: %v", what, err)
		}
	}
	wantUnknown("before it was created", e.id)
	l := e.create(t)
	e.appendN(t, l, 0, 3)
	for _, id := range []mq.LogID{e.id, other} {
		if err := e.queue.Create(e.ctx, id); !errors.Is(err, mq.ErrExists) {
			t.Errorf("create again with uuid %s: %v", id.UUID, err)
		}
	}
	wantUnknown("with another uuid", other)
	wantUnknown("by another name", mq.LogID{Name: e.id.Name + "x", UUID: e.id.UUID})
	if err := e.queue.Delete(e.ctx, other); err != nil {
		t.Errorf("delete of a uuid that is not there: %v", err)
	}
	e.expect(t, e.open(t, e.queue), 0, e.readAll(t, l, 3))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.queue.Delete(e.ctx, e.id); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	wantUnknown("after it was deleted", e.id)
	e.id.UUID = "new uuid"
	l = e.create(t)
	e.none(t, l, 0)
	e.expect(t, l, 0, e.appendN(t, l, 7, 1))
}

func (e *env) readAll(t *testing.T, l mq.Log, n int) []mq.Entry {
	t.Helper()
	got, err := e.read(l, 0, n, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func testLogsAreSeparate(t *testing.T, e *env) {
	a := e.create(t)
	e.id.Name += "-b" // the first name is a prefix of the second
	b := e.create(t)
	inA, inB := e.appendN(t, a, 0, 2), e.appendN(t, b, 100, 1)
	inA = append(inA, e.appendN(t, a, 2, 1)...)
	e.expect(t, a, 0, inA)
	e.expect(t, b, 0, inB)
	e.none(t, a, inA[2].Position+1)
	e.none(t, b, inB[0].Position+1)
	if err := e.queue.Delete(e.ctx, mq.LogID{Name: e.id.Name[:len(e.id.Name)-2], UUID: e.id.UUID}); err != nil {
		t.Fatal(err)
	}
	e.expect(t, b, 0, inB)
	e.expect(t, e.reopen(t, 0), 0, inB)
}

func testEmptyLog(t *testing.T, e *env) {
	l := e.create(t)
	tail := e.tail(t, l)
	e.none(t, l, 0)
	e.none(t, l, tail)
	l = e.reopen(t, 0)
	if again := e.tail(t, l); again != tail {
		t.Errorf("tail %d, after reopening %d", tail, again)
	}
	e.none(t, l, 0)
	if err := l.Truncate(e.ctx, tail); err != nil {
		t.Errorf("truncate an empty log: %v", err)
	}
	first := e.append(t, l, "first")
	if first.Position < tail || first.Position == 0 {
		t.Errorf("first entry at %d, tail was %d", first.Position, tail)
	}
	e.expect(t, l, tail, []mq.Entry{first})
}

func testReopen(t *testing.T, e *env) {
	l := e.create(t)
	var want []mq.Entry
	for round := range 4 {
		want = append(want, e.appendN(t, l, 100*round, 5)...)
		tail := e.tail(t, l)
		l = e.reopen(t, want[round].Position)
		if got := e.tail(t, l); got != tail {
			t.Errorf("tail %d, after reopening %d", tail, got)
		}
		e.expect(t, l, 0, want)
		e.expect(t, l, want[3].Position, want[3:])
	}
}

func testClosed(t *testing.T, e *env) {
	l := e.create(t)
	other := e.open(t, e.queue)
	wait := func(l mq.Log) <-chan error {
		errs := make(chan error, 1)
		go func() {
			_, err := l.Read(e.ctx, 0, 1)
			errs <- err
		}()
		time.Sleep(20 * time.Millisecond)
		return errs
	}
	ended := func(what string, errs <-chan error) {
		t.Helper()
		select {
		case err := <-errs:
			if !errors.Is(err, mq.ErrClosed) {
				t.Errorf("a read after %s closed: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("a read outlives its %s", what)
		}
	}
	waiting := wait(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ended("log", waiting)
	if _, err := l.Append(e.ctx, []byte("x"), mq.AppendOptions{}); !errors.Is(err, mq.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
	_ = l.Close()
	waiting = wait(other)
	if err := e.queue.Close(); err != nil {
		t.Fatal(err)
	}
	ended("queue", waiting)
	if _, err := other.Append(e.ctx, []byte("x"), mq.AppendOptions{}); !errors.Is(err, mq.ErrClosed) {
		t.Errorf("append through a closed queue: %v", err)
	}
	if _, err := e.queue.Open(context.Background(), e.id, 0); !errors.Is(err, mq.ErrClosed) {
		t.Errorf("open through a closed queue: %v", err)
	}
}
