package mqtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
)

func testReadWaits(t *testing.T, e *env) {
	l := e.create(t)
	reader := e.open(t, e.queue)
	type result struct {
		entries []mq.Entry
		err     error
		at      time.Time
	}
	from := mq.Position(0)
	for i := range 5 {
		got := make(chan result, 1)
		go func() {
			entries, err := reader.Read(e.ctx, from, 100)
			got <- result{entries, err, time.Now()}
		}()
		time.Sleep(30 * time.Millisecond)
		want := e.append(t, l, fmt.Sprint("woken ", i))
		acked := time.Now()
		r := <-got
		if r.err != nil {
			t.Fatal(r.err)
		}
		same(t, r.entries, []mq.Entry{want})
		if late := r.at.Sub(acked); late > 2*time.Second {
			t.Errorf("the reader got the entry %v after the writer's acknowledgement", late)
		}
		from = want.Position + 1
	}
}

func testReadEndsWithContext(t *testing.T, e *env) {
	l := e.create(t)
	last := e.append(t, l, "x").Position
	for _, wait := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(e.ctx, wait)
		got, err := l.Read(ctx, last+1, 100)
		if got != nil || err != nil {
			t.Errorf("wait %v: %s, %v", wait, show(got), err)
		}
		if took := time.Since(start); took < wait || took > wait+5*time.Second {
			t.Errorf("wait %v took %v", wait, took)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(e.ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	if got, err := l.Read(ctx, last+1, 100); got != nil || err != nil {
		t.Errorf("canceled: %s, %v", show(got), err)
	}
	e.expect(t, l, last, []mq.Entry{{Position: last, Data: []byte("x")}})
}

func testReadFromAny(t *testing.T, e *env) {
	l := e.create(t)
	want := e.appendN(t, l, 0, 20)
	l = e.reopen(t, 0)
	for i, entry := range want {
		e.expect(t, l, entry.Position, want[i:])
		if i+1 < len(want) {
			e.expect(t, l, entry.Position+1, want[i+1:])
		}
	}
	e.none(t, l, want[19].Position+1)
	e.none(t, l, want[19].Position+1000)
	// The reads above may have read ahead: entries that come now must still be seen.
	more := e.appendN(t, l, 20, 5)
	e.expect(t, l, want[19].Position+1, more)
	e.expect(t, l, want[17].Position, append(want[17:20:20], more...))
}

func testReadBounded(t *testing.T, e *env) {
	l := e.create(t)
	var want []mq.Entry
	for i := range 20 {
		want = append(want, e.append(t, l, fmt.Sprintf("%1000d", i)))
	}
	for maxBytes, most := range map[int]int{0: 1, 1: 1, 1000: 1, 4000: 4, 1 << 30: 20} {
		got, err := l.Read(e.ctx, want[0].Position, maxBytes)
		if err != nil || len(got) == 0 || len(got) > most {
			t.Fatalf("at most %d bytes: %d entries, %v", maxBytes, len(got), err)
		}
		same(t, got, want[:len(got)])
	}
}

func testConcurrentReaders(t *testing.T, e *env) {
	l := e.create(t)
	n := e.n(300)
	results := make([][]mq.Entry, 4)
	var wg sync.WaitGroup
	for i := range results {
		reader := l // two share the writer's handle
		if i%2 == 1 {
			reader = e.open(t, e.queue)
		}
		wg.Go(func() {
			got, err := e.read(reader, 0, n, 20*i)
			if err != nil {
				t.Errorf("reader %d: %v", i, err)
			}
			results[i] = got
		})
	}
	want := e.appendN(t, l, 0, n)
	wg.Wait()
	for _, got := range results {
		same(t, got, want)
	}
}
