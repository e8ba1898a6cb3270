package background

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
)

// writer changes keys that nobody else changes, so it knows what a Strong read of them must show.
type writer struct {
	s     *stand
	table string
	m     *crash.Model
	rng   *rand.Rand
	base  int64 // its keys are in [base, base+maxKeys)
	next  int64 // the next key that was never used
	have  map[int64]int64
	last  map[int64]int64 // newest version ever written, by key
}

// maxKeys bounds a writer's keys: a long run changes rows and does not grow.
const maxKeys = 10_000

// write inserts, upserts and deletes until ctx ends. Every write must succeed.
func (s *stand) write(ctx context.Context, table string, id int) {
	w := &writer{
		s: s, table: table, m: s.model[table], rng: rand.New(rand.NewPCG(uint64(id), 1)), base: int64(id+1) * 1_000_000,
		have: map[int64]int64{}, last: map[int64]int64{},
	}
	w.next = w.base
	for n := id; ctx.Err() == nil; n++ {
		if err := w.one(ctx, s.any(n)); err != nil {
			s.fail("%s: %v", table, err)
		}
		s.counts.writes.Add(1)
		pause(ctx, 10*time.Millisecond)
	}
}

// one writes some rows, and reads them back through a proxy.
func (w *writer) one(ctx context.Context, c *client.Client) error {
	ctx, cancel := call(ctx)
	defer cancel()
	var keys []int64
	var err error
	switch what := w.rng.IntN(10); {
	case w.next < w.base+maxKeys && (what < 3 || len(w.have) < 100):
		keys = w.fresh(200)
		err = w.put(ctx, keys, c.InsertRows)
	case what < 7:
		keys = w.some(100)
		err = w.put(ctx, keys, c.UpsertRows)
	case what < 9:
		keys = w.some(50)
		err = w.remove(ctx, c, keys, "key in "+list(keys))
	default:
		first := w.base + w.rng.Int64N(w.next-w.base)
		for k := first; k < first+100; k++ {
			keys = append(keys, k)
		}
		err = w.remove(ctx, c, keys, fmt.Sprintf("key >= %d and key < %d", first, first+100))
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if w.rng.IntN(3) == 0 {
		return w.check(ctx, keys)
	}
	return nil
}

func (w *writer) fresh(n int64) []int64 {
	var keys []int64
	for range n {
		keys = append(keys, w.next)
		w.next++
	}
	return keys
}

// some are keys that were used, live or deleted.
func (w *writer) some(n int) []int64 {
	seen := map[int64]bool{}
	var keys []int64
	for len(keys) < n {
		if k := w.base + w.rng.Int64N(w.next-w.base); !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys
}

func (w *writer) put(ctx context.Context, keys []int64, send func(context.Context, string, []client.Row) error) error {
	rows := make([]client.Row, len(keys))
	for i, k := range keys {
		w.last[k]++
		rows[i] = w.m.Row(k, w.last[k])
		w.m.Sent(k, w.last[k])
	}
	if err := send(ctx, w.table, rows); err != nil {
		return err
	}
	for _, r := range rows {
		w.have[r.Key] = r.Version
		w.m.Acked(r.Key, r.Version)
	}
	return nil
}

func (w *writer) remove(ctx context.Context, c *client.Client, keys []int64, expr string) error {
	for _, k := range keys {
		w.m.Sent(k, 0)
	}
	if err := c.DeleteWhere(ctx, w.table, expr); err != nil {
		return err
	}
	for _, k := range keys {
		delete(w.have, k)
		w.m.Acked(k, 0)
	}
	return nil
}

// check reads keys under Strong: exactly what was written last is there.
func (w *writer) check(ctx context.Context, keys []int64) error {
	rows, err := w.s.any(w.rng.IntN(8)).QueryRows(ctx, w.table, "key in "+list(keys), 0)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	seen := map[int64]int64{}
	for _, r := range rows {
		if v, twice := seen[r.Key]; twice {
			return fmt.Errorf("read back: key %d twice, versions %d and %d", r.Key, v, r.Version)
		}
		seen[r.Key] = r.Version
	}
	for _, k := range keys {
		if seen[k] != w.have[k] {
			return fmt.Errorf("read back: key %d has version %d, written was %d (0: none)", k, seen[k], w.have[k])
		}
	}
	return nil
}

func list(keys []int64) string {
	text := make([]string, len(keys))
	for i, k := range keys {
		text[i] = fmt.Sprint(k)
	}
	return "[" + strings.Join(text, ",") + "]"
}

// flush seals often.
func (s *stand) flush(ctx context.Context, table string) {
	for n := 0; ctx.Err() == nil; n++ {
		call, cancel := call(ctx)
		if err := s.any(n).FlushWait(call, table); err != nil {
			s.fail("flush %s: %v", table, err)
		}
		cancel()
		s.counts.flushes.Add(1)
		pause(ctx, 400*time.Millisecond)
	}
}

// compact asks for compactions, one after the other.
func (s *stand) compact(ctx context.Context, table string) {
	for n := 0; ctx.Err() == nil; n++ {
		if err := s.compactOnce(ctx, table, n); err != nil {
			s.change("compact "+table, err)
		}
		pause(ctx, 700*time.Millisecond)
	}
}

// compactOnce waits long: a leader that dies takes what it knows of running tasks with it, and the next one gives a task
// to somebody else only after the lease of 15 s.
func (s *stand) compactOnce(ctx context.Context, table string, n int) error {
	timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
	defer cancel()
	d, err := s.any(n).DescribeCollection(timed, &milvuspb.DescribeCollectionRequest{CollectionName: table})
	if err := client.Check(d.GetStatus(), err); err != nil {
		return err
	}
	r, err := s.any(n).ManualCompaction(timed, &milvuspb.ManualCompactionRequest{CollectionName: table, CollectionID: d.CollectionID})
	if err := client.Check(r.GetStatus(), err); err != nil {
		return err
	}
	for ctx.Err() == nil { // a compaction under way at the end is not waited for
		st, err := s.any(n).GetCompactionState(timed, &milvuspb.GetCompactionStateRequest{CompactionID: r.CompactionID})
		if err := client.Check(st.GetStatus(), err); err != nil {
			return err
		}
		if st.FailedPlanNo > 0 {
			return fmt.Errorf("%d plans have failed", st.FailedPlanNo)
		}
		if st.State == commonpb.CompactionState_Completed {
			s.counts.compactions.Add(st.CompletedPlanNo)
			return nil
		}
		pause(timed, 50*time.Millisecond)
	}
	return nil
}

// load makes, fills, loads, searches, releases and drops other collections.
func (s *stand) load(ctx context.Context) {
	m := crash.NewModel(dim)
	for n := 0; ctx.Err() == nil; n++ {
		if err := s.loadOnce(ctx, m, fmt.Sprintf("other%d", n), n); err != nil {
			s.change("another collection", err)
		}
		s.counts.loads.Add(1)
		pause(ctx, time.Second)
	}
}

func (s *stand) loadOnce(ctx context.Context, m *crash.Model, name string, n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	c := s.any(n)
	if err := c.Create(ctx, client.Spec{Name: name, Dim: dim, Index: "HNSW", NoLoad: true, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		return err
	}
	rows := make([]client.Row, 1500)
	for i := range rows {
		rows[i] = m.Row(int64(i), 1)
	}
	if err := c.InsertRows(ctx, name, rows); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if n%2 == 0 {
		if err := c.FlushWait(ctx, name); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	if err := c.Load(ctx, name); err != nil {
		return err
	}
	if count, err := s.any(n+1).Count(ctx, name); err != nil || count != int64(len(rows)) {
		return fmt.Errorf("%s: count(*) = %d, %w; want %d", name, count, err, len(rows))
	}
	st, err := c.ReleaseCollection(ctx, &milvuspb.ReleaseCollectionRequest{CollectionName: name})
	if err := client.Check(st, err); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	st, err = c.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name})
	if err := client.Check(st, err); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}
