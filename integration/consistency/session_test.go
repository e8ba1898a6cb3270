package consistency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
)

// sessions counts what the clients of a session test did.
type sessions struct {
	s                     *system
	name                  string
	writes, reads, failed atomic.Int64
}

// session: a client always sees its own writes, through any proxy, when it carries the timestamp of its last write.
func session(t *testing.T, s *system) {
	const name = "session"
	ctx := s.create(t, name, 2)
	d := lasts(4*time.Second, 30*time.Second)
	if s.cluster != nil {
		d = lasts(8*time.Second, 2*time.Minute)
	}
	work, stop := context.WithTimeout(ctx, d)
	defer stop()
	w := &sessions{s: s, name: name}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { w.client(work, t, i, rand.New(rand.NewPCG(uint64(i), 3))) })
	}
	s.flushing(work, &wg, name, 300*time.Millisecond)
	if s.cluster != nil {
		s.disturb(work, t, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 4)), []string{"datanode"})
	}
	wg.Wait()
	t.Logf("%d writes, %d reads of own writes, %d calls without success", w.writes.Load(), w.reads.Load(), w.failed.Load())
	if w.writes.Load() < 50 || w.reads.Load() < 50 {
		t.Errorf("%d writes and %d reads: the test has no bite", w.writes.Load(), w.reads.Load())
	}
}

// client writes its own keys and reads them back. A key whose write has an unknown outcome is left alone for good.
func (w *sessions) client(ctx context.Context, t *testing.T, id int, rng *rand.Rand) {
	state := map[int64]int64{}
	var keys []int64
	last := uint64(0) // the session's timestamp
	next := int64(id+1) * 1_000_000
	for ctx.Err() == nil {
		i := rng.IntN(20)
		if i >= len(keys) {
			keys, i = append(keys, next), len(keys)
			next++
		}
		key := keys[i]
		ts, version, err := w.write(ctx, rng, key, state[key])
		if err != nil {
			w.failed.Add(1)
			delete(state, key)
			keys[i] = next
			next++
			sleep(ctx, 20*time.Millisecond)
			continue
		}
		if ts == 0 {
			t.Errorf("a write was acknowledged without a timestamp")
			return
		}
		w.writes.Add(1)
		last, state[key] = max(last, ts), version
		for range 2 {
			if !w.readBack(ctx, t, rng, key, state[key], last) {
				return
			}
			key = keys[rng.IntN(len(keys))]
			if _, known := state[key]; !known {
				break
			}
		}
	}
}

func (w *sessions) write(ctx context.Context, rng *rand.Rand, key, version int64) (ts uint64, now int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, _ := w.s.any(rng)
	if version != Absent && rng.IntN(4) == 0 {
		ts, err = remove(ctx, c, w.name, key)
		return ts, Absent, err
	}
	now = time.Now().UnixNano()
	ts, err = upsert(ctx, c, w.name, row(key, now))
	return ts, now, err
}

// readBack reads a key of this client and reports whether it may go on.
func (w *sessions) readBack(ctx context.Context, t *testing.T, rng *rand.Rand, key, want int64, ts uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, proxy := w.s.any(rng)
	a := ask{name: w.name, expr: fmt.Sprintf("key == %d", key), level: commonpb.ConsistencyLevel_Session, guarantee: ts}
	var rows []seen
	var err error
	if rng.IntN(3) == 0 {
		rows, err = search(ctx, c, a)
	} else {
		rows, _, err = query(ctx, c, a)
	}
	if err != nil {
		w.failed.Add(1)
		return true
	}
	w.reads.Add(1)
	if got := one(rows); got != want {
		t.Errorf("key %d through proxy %d at session timestamp %d: %d (%d rows), this client wrote %d", key, proxy+1, ts, got, len(rows), want)
		return false
	}
	return true
}
