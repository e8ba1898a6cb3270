package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/mem"
	"github.com/gyr-db/gyr/pkg/tso"
)

// counter is an oracle.
type counter struct{ next atomic.Uint64 }

func (c *counter) Timestamps(_ context.Context, n uint32) (Timestamps, error) {
	end := c.next.Add(uint64(n))
	return Timestamps{First: end - uint64(n) + 1, Count: n, Epoch: 1}, nil
}

// tap lets a test fail or hold appends.
type tap struct {
	mq.Log
	mu   sync.Mutex
	hook func() error
}

func (l *tap) set(hook func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = hook
}

func (l *tap) Append(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return 0, err
		}
	}
	return l.Log.Append(ctx, data, opt)
}

func newLog(t *testing.T) *tap {
	q := mem.New()
	id := mq.LogID{Name: "l", UUID: "u"}
	if err := q.Create(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	log, err := q.Open(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &tap{Log: log}
}

type fixture struct {
	*Writer
	log     *tap
	oracle  *counter
	applied []Accepted
	stop    func()
}

// start opens a writer with that epoch and runs it; stop ends it.
func start(t *testing.T, log *tap, cfg Config) *fixture {
	t.Helper()
	f := &fixture{log: log, oracle: &counter{}}
	f.oracle.next.Store(1 << 40)
	var err error
	f.Writer, err = Open(t.Context(), cfg, f.deps())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.Run(ctx)
	}()
	f.stop = func() { cancel(); <-done }
	return f
}

func (f *fixture) deps() Deps {
	return Deps{
		Log: f.log, Oracle: f.oracle, Logger: slog.New(slog.DiscardHandler),
		Confirm: func(context.Context) error { return nil },
		Apply:   func(_ Start, e Accepted) error { f.applied = append(f.applied, e); return nil },
	}
}

func insert(id int64) Request {
	return Request{Bytes: 100, Build: func(tso.Timestamp) (Record, error) { return Record{Kind: Insert, Collection: id}, nil }}
}

func TestWriteRestartRead(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 1})
	var last Ack
	for i := range int64(10) {
		ack, err := f.Append(t.Context(), insert(i))
		if err != nil || ack.TS <= last.TS {
			t.Fatalf("append %d: %+v after %+v, %v", i, ack, last, err)
		}
		last = ack
	}
	b, err := f.Barrier(t.Context(), 0)
	if err != nil || b.Position != last.Position || b.TS != last.TS {
		t.Errorf("barrier %+v, %v, want %+v", b, err, last)
	}
	f.stop()
	if _, err := f.Append(t.Context(), insert(99)); !errs.Is(err, errs.NotOwner) {
		t.Errorf("append after the end: %v", err)
	}
	if _, err := f.Barrier(t.Context(), 0); !errs.Is(err, errs.NotOwner) {
		t.Errorf("barrier after the end: %v", err)
	}

	g := start(t, log, Config{Epoch: 2})
	defer g.stop()
	if n := len(g.applied); n != 12 { // fence, 10 records, own fence
		t.Errorf("%d entries recovered", n)
	}
	if b, err := g.Barrier(t.Context(), 0); err != nil || b.TS != last.TS || b.Position <= last.Position {
		t.Errorf("barrier of the new owner %+v, %v", b, err)
	}
	at, err := StartAt(t.Context(), log, last.Position)
	if err != nil || at != (Start{last.Position, 1, 10}) {
		t.Errorf("StartAt %+v, %v", at, err)
	}
	e, err := NewReader(log, at).Next(t.Context())
	if err != nil || e.Records[0].Kind != Fence || e.Records[0].Epoch != 2 {
		t.Errorf("behind the last record: %+v, %v", e, err)
	}
}

func TestReaderWaits(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 1})
	defer f.stop()
	r := NewReader(log, Start{})
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nothing there: %v", err)
	}
	go func() { _, _ = f.Append(context.WithoutCancel(t.Context()), insert(1)) }()
	if e, err := r.Next(t.Context()); err != nil || e.Records[0].Collection != 1 || r.Last() != (Start{2, 1, 1}) {
		t.Fatalf("%+v %v, at %+v", e, err, r.Last())
	}
}

func TestEpochMustBeNew(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 5})
	f.stop()
	for _, epoch := range []uint64{4, 5} { // 5 again: a metadata store from a backup
		_, err := Open(t.Context(), Config{Epoch: epoch}, f.deps())
		var fenced *FencedError
		if !errors.As(err, &fenced) || fenced.By != 5 {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
}

func TestFencedWriterStops(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 1})
	defer f.stop()
	g := start(t, log, Config{Epoch: 2})
	defer g.stop()
	if _, err := f.Append(t.Context(), insert(1)); !errs.Is(err, errs.Fenced) {
		t.Errorf("append: %v", err)
	}
	if _, err := f.Barrier(t.Context(), 0); !errs.Is(err, errs.Fenced) {
		t.Errorf("barrier: %v", err)
	}
	if _, err := g.Append(t.Context(), insert(2)); err != nil {
		t.Errorf("new owner: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 1})
	defer f.stop()
	no := errs.New(errs.SchemaMismatch, "no")
	told := 0
	_, err := f.Append(t.Context(), Request{Build: func(tso.Timestamp) (Record, error) { return Record{}, no }, Done: func(Ack, error) { told++ }})
	if err != no || told != 0 {
		t.Errorf("refused by build: %v, told %d", err, told)
	}
	log.set(func() error { return fmt.Errorf("append: %w", mq.ErrFull) })
	req := insert(1)
	req.Done = func(_ Ack, err error) {
		if errs.Is(err, errs.DiskLimit) {
			told++
		}
	}
	if _, err := f.Append(t.Context(), req); !errs.Is(err, errs.DiskLimit) || told != 1 {
		t.Errorf("disk full: %v, told %d", err, told)
	}
	log.set(nil)
	if ack, err := f.Append(t.Context(), insert(2)); err != nil || ack.Position != 2 {
		t.Errorf("after room was made: %+v %v", ack, err)
	}
	if _, err := f.Barrier(t.Context(), tso.Compose(time.Now().UnixMilli(), 0)); !errs.Is(err, errs.InvalidParameter) {
		t.Errorf("guarantee from nowhere: %v", err)
	}
}

func TestUncertainIsResent(t *testing.T) {
	log := newLog(t)
	f := start(t, log, Config{Epoch: 1})
	defer f.stop()
	tries := 0
	log.set(func() error {
		switch tries++; tries {
		case 1: // landed, answer lost
			data := EncodeGroup(nil, []Record{{Kind: Insert, Collection: 7, TS: 1<<40 + 1, Epoch: 1, Seq: 1}})
			_, _ = log.Log.Append(t.Context(), data, mq.AppendOptions{})
			return mq.ErrUncertain
		case 2, 3:
			return mq.ErrFull
		}
		return nil
	})
	ack, err := f.Append(t.Context(), insert(7))
	if err != nil || ack.Position != 2 || tries != 2 {
		t.Errorf("%+v, %v after %d tries", ack, err, tries)
	}
	if ack, err := f.Append(t.Context(), insert(8)); !errs.Is(err, errs.DiskLimit) {
		t.Errorf("definite failure: %+v %v", ack, err)
	}
	if ack, err := f.Append(t.Context(), insert(9)); err != nil || ack.Position != 3 {
		t.Errorf("next: %+v %v", ack, err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		f := start(t, log, Config{Epoch: 1, MaxQueueRecords: 4, MaxQueueBytes: 350})
		held := make(chan struct{})
		log.set(func() error { <-held; return nil })
		got := make(chan error, 10)
		write := func() { _, err := f.Append(t.Context(), insert(1)); got <- err }
		go write()
		synctest.Wait() // in flight
		for range 3 {
			go write()
		}
		synctest.Wait()
		if _, err := f.Append(t.Context(), insert(1)); !errs.Is(err, errs.RateLimit) {
			t.Errorf("over the bytes: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := insert(1)
		req.Bytes = 1
		if _, err := f.Append(ctx, req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("caller's deadline: %v", err)
		}
		if _, err := f.Append(t.Context(), req); !errs.Is(err, errs.RateLimit) {
			t.Errorf("over the count: %v", err)
		}
		close(held)
		for range 4 {
			if err := <-got; err != nil {
				t.Errorf("waiting write: %v", err)
			}
		}
		f.stop()
	})
}

// TestEndsGroup: what waits behind such a record goes into the next entry.
func TestEndsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		f := start(t, log, Config{Epoch: 1})
		held := make(chan struct{})
		log.set(func() error { <-held; return nil })
		at := make([]mq.Position, 6)
		var wg sync.WaitGroup
		for i := range at {
			req := insert(int64(i))
			req.EndsGroup = i == 3 || i == 4
			wg.Add(1)
			go func() { defer wg.Done(); ack, _ := f.Append(t.Context(), req); at[i] = ack.Position }()
			synctest.Wait()
		}
		close(held)
		wg.Wait()
		if want := []mq.Position{2, 3, 3, 3, 4, 5}; !slices.Equal(at, want) {
			t.Errorf("positions %v, want %v", at, want)
		}
		f.stop()
	})
}

// TestBarrierWaitsForFlight: a promise for G covers a write that is stamped below G and not yet durable.
func TestBarrierWaitsForFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(t)
		f := start(t, log, Config{Epoch: 1})
		defer f.stop()
		held := make(chan struct{})
		log.set(func() error { <-held; return nil })
		go func() { _, _ = f.Append(context.WithoutCancel(t.Context()), insert(1)) }()
		synctest.Wait()
		if b, err := f.Barrier(t.Context(), 0); err != nil || b.Position != 1 || b.TS != 0 {
			t.Errorf("strong barrier beside a write in flight: %+v %v", b, err)
		}
		token, _ := f.oracle.Timestamps(t.Context(), 1)
		answered := make(chan Barrier)
		go func() { b, _ := f.Barrier(t.Context(), token.First); answered <- b }()
		synctest.Wait()
		select {
		case b := <-answered:
			t.Fatalf("promised %+v with a write in flight", b)
		default:
		}
		close(held)
		if b := <-answered; b.Position != 2 || b.TS != token.First {
			t.Errorf("got %+v", b)
		}
		ack, err := f.Append(t.Context(), insert(2))
		if err != nil || ack.TS <= token.First {
			t.Errorf("next write %+v, %v", ack, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	q := mem.New()
	id := mq.LogID{Name: "l", UUID: "u"}
	_ = q.Create(b.Context(), id)
	log, _ := q.Open(b.Context(), id, 0)
	f := &fixture{log: &tap{Log: log}, oracle: &counter{}}
	deps := f.deps()
	deps.Apply = func(Start, Accepted) error { return nil }
	w, err := Open(b.Context(), Config{Epoch: 1}, deps)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = w.Run(ctx) }()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Append(ctx, insert(1)); err != nil {
				b.Error(err)
			}
		}
	})
}
