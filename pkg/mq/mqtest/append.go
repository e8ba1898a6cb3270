package mqtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
)

func testOrder(t *testing.T, e *env) {
	l := e.create(t)
	want := e.appendN(t, l, 0, e.n(200))
	for i := 1; i < len(want); i++ {
		if want[i].Position <= want[i-1].Position {
			t.Fatalf("position %d after %d", want[i].Position, want[i-1].Position)
		}
	}
	for _, maxBytes := range []int{0, 1, 30, 100, 1 << 20} {
		got, err := e.read(l, 0, len(want), maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	}
	e.none(t, l, want[len(want)-1].Position+1)
}

func testSizes(t *testing.T, e *env) {
	l := e.create(t)
	var want []mq.Entry
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1, 2, 100, 4095, 4096, 64 << 10, 900 << 10, 1<<20 - 1, 1<<20 + 1, 3 << 20, 8 << 20, 1} {
		data := make([]byte, size)
		_, _ = random.Read(data)
		p, err := l.Append(e.ctx, data, mq.AppendOptions{})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		want = append(want, mq.Entry{Position: p, Data: data})
	}
	e.expect(t, l, 0, want)
	l = e.reopen(t, 0)
	e.expect(t, l, 0, want)
	for i := range want {
		e.expect(t, l, want[i].Position, want[i:i+1])
	}
}

func testAppendCopies(t *testing.T, e *env) {
	l := e.create(t)
	buf := []byte("before")
	p, err := l.Append(e.ctx, buf, mq.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	copy(buf, "after!")
	e.expect(t, l, 0, []mq.Entry{{Position: p, Data: []byte("before")}})
}

func testAppendCanceled(t *testing.T, e *env) {
	l := e.create(t)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := l.Append(ctx, []byte("maybe"), mq.AppendOptions{})
	if err == nil {
		t.Fatal("appended under a context that had ended")
	}
	last := e.append(t, l, "certain")
	got, rerr := l.Read(e.ctx, 0, 1<<20)
	if rerr != nil || len(got) == 0 {
		t.Fatalf("read: %s %v", show(got), rerr)
	}
	if bytes.Equal(got[0].Data, []byte("maybe")) && !errors.Is(err, mq.ErrUncertain) {
		t.Errorf("append said %v, but the entry is there", err)
	}
	e.expect(t, l, last.Position, []mq.Entry{last})
}

func testTwoHandles(t *testing.T, e *env) {
	a := e.create(t)
	e.race(t, a, e.open(t, e.queue))
}

func testTwoClients(t *testing.T, e *env) {
	if e.harness.Exclusive {
		if q, err := tryConnect(t, e); err == nil {
			_ = q.Close()
			t.Fatal("a second client of an exclusive storage")
		}
		return
	}
	a := e.create(t)
	e.race(t, a, e.open(t, e.client(t)))
}

// tryConnect calls connect, which for exclusive storages returns a nil queue where the driver refuses.
func tryConnect(t *testing.T, e *env) (mq.Queue, error) {
	q := e.connect(t)
	if q == nil {
		return nil, errors.New("refused")
	}
	return q, nil
}

// race lets two writers, one of them a zombie, append at the same time; readers of both see one order.
func (e *env) race(t *testing.T, a, b mq.Log) {
	t.Helper()
	n := e.n(100)
	acked := make([][]mq.Entry, 2)
	var wg sync.WaitGroup
	for w, l := range []mq.Log{a, b} {
		wg.Go(func() {
			for i := range n {
				data := fmt.Appendf(nil, "writer %d entry %d", w, i)
				p, err := l.Append(e.ctx, data, mq.AppendOptions{Pinned: i%10 == 0})
				if err != nil {
					t.Errorf("%s: %v", data, err)
					return
				}
				acked[w] = append(acked[w], mq.Entry{Position: p, Data: data})
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	order, err := e.read(a, 0, 2*n, 1000)
	if err != nil {
		t.Fatal(err)
	}
	e.expect(t, b, 0, order)
	next := [2]int{}
	for _, entry := range order {
		var w, i int
		if _, err := fmt.Sscanf(string(entry.Data), "writer %d entry %d", &w, &i); err != nil || i != next[w] {
			t.Fatalf("at %d: %q, but the next of its writer is %d", entry.Position, entry.Data, next[w])
		}
		same(t, []mq.Entry{entry}, acked[w][i:i+1])
		next[w]++
	}
	last := order[len(order)-1].Position
	e.none(t, a, last+1)
	e.none(t, b, last+1)
}
