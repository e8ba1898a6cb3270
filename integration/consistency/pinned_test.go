package consistency

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
)

// Keys below stableKeys are written once, before everything; those of the groups are upserted all the time, each group
// by one request, so that a state in which the keys of a group differ never existed in a collection of one shard.
const (
	stableKeys = 1000
	groups     = 40
	perGroup   = 10
	pageSize   = 150
)

// pinned: a scan in pages at an iterator's timestamp shows the same rows however often it is repeated, through any
// proxy, while rows are upserted and deleted and their segments are sealed, handed over and compacted; every live row
// appears once, in key order, and a request's rows appear together.
func pinned(t *testing.T, s *system) {
	const name = "pinned"
	ctx := s.create(t, name, 1)
	var rows []client.Row
	for key := range int64(stableKeys) {
		rows = append(rows, row(key, 1))
	}
	if err := s.clients[0].UpsertRows(ctx, name, rows); err != nil {
		t.Fatal(err)
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var writes atomic.Int64
	for i := range 2 {
		wg.Go(func() { churn(work, s, name, i, &writes) })
	}
	s.flushing(work, &wg, name, 300*time.Millisecond)
	d := lasts(5*time.Second, 40*time.Second)
	if s.cluster != nil {
		d = lasts(10*time.Second, 2*time.Minute)
	}
	timed, cancel := context.WithTimeout(work, d)
	defer cancel()
	var scans atomic.Int64
	for i := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 8))
			for timed.Err() == nil && scanTwice(work, timed, t, s, name, rng, &scans) {
				continue
			}
		})
	}
	if s.cluster != nil {
		s.moveSegments(timed, t)
	}
	<-timed.Done()
	sleep(work, time.Second)
	stop()
	wg.Wait()
	t.Logf("%d pinned scans equal to their repetitions, %d writes meanwhile", scans.Load(), writes.Load())
	if scans.Load() < 3 || writes.Load() < 20 {
		t.Errorf("%d scans, %d writes: the test has no bite", scans.Load(), writes.Load())
	}
}

// churn upserts whole groups and deletes some; the two writers share none.
func churn(ctx context.Context, s *system, name string, id int, writes *atomic.Int64) {
	rng := rand.New(rand.NewPCG(uint64(id), 9))
	for version := int64(1); ctx.Err() == nil; version++ {
		group := rng.Int64N(groups/2)*2 + int64(id)
		first := stableKeys + group*perGroup
		c, _ := s.any(rng)
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		var err error
		if rng.IntN(5) == 0 {
			err = c.DeleteWhere(call, name, fmt.Sprintf("key in %s", list(first)))
		} else {
			rows := make([]client.Row, perGroup)
			for i := range rows {
				rows[i] = row(first+int64(i), version)
			}
			err = c.UpsertRows(call, name, rows)
		}
		cancel()
		if err == nil {
			writes.Add(1)
		}
		sleep(ctx, 5*time.Millisecond)
	}
}

func list(first int64) string {
	out := "["
	for i := range int64(perGroup) {
		out += fmt.Sprintf("%d,", first+i)
	}
	return out[:len(out)-1] + "]"
}

// scanTwice pins a state, scans it in pages at once, again a little later and once more after that, and reports whether
// the caller may go on. A failed page is asked for again: what counts is what the answers hold.
func scanTwice(ctx, timed context.Context, t *testing.T, s *system, name string, rng *rand.Rand, scans *atomic.Int64) bool {
	c, _ := s.any(rng)
	first, ts, err := query(timed, c, ask{name: name, expr: "key >= 0", level: commonpb.ConsistencyLevel_Bounded, limit: 1, iterator: true})
	if err != nil {
		sleep(timed, 20*time.Millisecond)
		return true
	}
	if ts == 0 || len(first) != 1 || first[0] != (seen{0, 1}) {
		t.Errorf("the first page of one row: %v, session timestamp %d", first, ts)
		return false
	}
	want, ok := scan(ctx, t, s, name, ts, rng)
	if !ok || !explain(t, want) {
		return false
	}
	for _, pause := range []time.Duration{200 * time.Millisecond, 1500 * time.Millisecond} {
		sleep(timed, pause)
		got, ok := scan(ctx, t, s, name, ts, rng)
		if !ok {
			return false
		}
		if !slices.Equal(got, want) {
			t.Errorf("two scans at %d differ after %s: %s", ts, pause, difference(want, got))
			return false
		}
		scans.Add(1)
	}
	return true
}

// scan reads every page at a timestamp through random proxies. Each page is answered within 15 s.
func scan(ctx context.Context, t *testing.T, s *system, name string, ts uint64, rng *rand.Rand) ([]seen, bool) {
	var all []seen
	last := int64(-1)
	for begin := time.Now(); ; {
		c, _ := s.any(rng)
		page, _, err := query(ctx, c, ask{
			name: name, expr: fmt.Sprintf("key > %d", last), level: commonpb.ConsistencyLevel_Bounded, guarantee: ts, limit: pageSize, iterator: true,
		})
		switch {
		case ctx.Err() != nil:
			return nil, false
		case err != nil && time.Since(begin) > 15*time.Second:
			t.Errorf("page behind key %d at %d: %v", last, ts, err)
			return nil, false
		case err != nil:
			sleep(ctx, 50*time.Millisecond)
			continue
		case len(page) == 0:
			return all, true
		}
		for _, r := range page {
			if r.key <= last {
				t.Errorf("page at %d: key %d after key %d", ts, r.key, last)
				return nil, false
			}
			last = r.key
		}
		all = append(all, page...)
		begin = time.Now()
	}
}

// explain checks a scan against what can have been true: every stable key is there, every group is whole.
func explain(t *testing.T, rows []seen) bool {
	for i := range int64(stableKeys) {
		if int(i) >= len(rows) || rows[i] != (seen{i, 1}) {
			t.Errorf("row %d of a scan is not the stable key of that number (%d rows)", i, len(rows))
			return false
		}
	}
	members := map[int64][]int64{}
	for _, r := range rows[stableKeys:] {
		g := (r.key - stableKeys) / perGroup
		members[g] = append(members[g], r.version)
	}
	for g, versions := range members {
		if len(versions) != perGroup || slices.Min(versions) != slices.Max(versions) {
			t.Errorf("group %d was written as a whole, a scan shows versions %v", g, versions)
			return false
		}
	}
	return true
}

func difference(a, b []seen) string {
	was := map[seen]bool{}
	for _, r := range a {
		was[r] = true
	}
	var gone, new []seen
	for _, r := range b {
		if !was[r] {
			new = append(new, r)
		}
		delete(was, r)
	}
	for r := range was {
		gone = append(gone, r)
	}
	return fmt.Sprintf("%d rows gone, e.g. %v; %d rows new, e.g. %v", len(gone), gone[:min(3, len(gone))], len(new), new[:min(3, len(new))])
}

// moveSegments stops and starts query nodes in turn, so that segments are handed over all the time.
func (s *system) moveSegments(ctx context.Context, t *testing.T) {
	for n := 0; ; n++ {
		sleep(ctx, 2*time.Second)
		if ctx.Err() != nil {
			return
		}
		nodes := s.cluster.ByRole("querynode")
		m := nodes[n%len(nodes)]
		t.Logf("restart %s", m.Name)
		m.Signal(syscall.SIGTERM)
		if code, err := m.Wait(10 * time.Second); err != nil || code != 0 {
			t.Errorf("%s: exit code %d, %v", m.Name, code, err)
			m.Kill()
		}
		m.Restart(s.owner)
	}
}
