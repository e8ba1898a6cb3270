package metatest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

func testWatchHistory(t *testing.T, e *env) {
	e.must(t, put("p/a", "0"))
	rev := e.must(t, put("p/a", "1"))
	e.must(t, put("q", "x"))
	e.must(t, put("p/b", "1"), meta.Op{Key: "p/a", Delete: true})
	e.must(t, put("p/a", "2"))
	for from, want := range map[int64]string{
		rev:     "[p/a=1 p/b=1 -p/a p/a=2]",
		rev + 1: "[p/b=1 -p/a p/a=2]",
	} {
		got := e.collect(t, e.store.Watch(e.ctx, "p/", from), len(split(want)))
		if fmt.Sprint(got) != want {
			t.Errorf("from %d: %v, want %s", from, got, want)
		}
	}
	kvs, at, _ := e.store.List(e.ctx, "p/")
	w := e.store.Watch(e.ctx, "p/", at+1)
	e.must(t, put("p/z", "9"))
	if got := e.collect(t, w, 1); got[0] != "p/z=9" || len(kvs) != 2 {
		t.Errorf("list and watch from behind it gave %v, then %v", kvs, got)
	}
}

func split(s string) (out []string) {
	for _, w := range []byte(s) {
		if w == ' ' {
			out = append(out, "")
		}
	}
	return append(out, "")
}

func testWatchLive(t *testing.T, e *env) {
	other := e.client(t)
	w := other.Watch(e.ctx, "k/", e.must(t, put("x", "x"))+1)
	const n = 300
	go func() {
		for i := range n {
			_, _, _ = e.store.Txn(e.ctx, nil, []meta.Op{put("k/"+strconv.Itoa(i%7), strconv.Itoa(i))})
		}
	}()
	for i, got := range e.collect(t, w, n) {
		if want := fmt.Sprintf("k/%d=%d", i%7, i); got != want {
			t.Fatalf("event %d is %s, not %s", i, got, want)
		}
	}
	lease, err := e.store.Grant(e.ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	rev := e.must(t, meta.Op{Key: "k/l", Value: []byte("v"), Lease: lease.ID()})
	ev := e.next(t, w).Events[0]
	if ev.KV.Lease != lease.ID() || ev.KV.ModRev != rev || ev.KV.CreateRev != rev {
		t.Errorf("event %+v, lease %d, revision %d", ev, lease.ID(), rev)
	}
	if err := lease.Revoke(e.ctx); err != nil {
		t.Fatal(err)
	}
	if ev := e.next(t, w).Events[0]; !ev.Deleted || ev.KV.Key != "k/l" || ev.KV.ModRev <= rev {
		t.Errorf("after Revoke: %+v", ev)
	}
}

// testWatchWholeRevisions: a revision's events come in one batch, also while a watch catches up.
func testWatchWholeRevisions(t *testing.T, e *env) {
	first := e.must(t, put("x", "x"))
	const revisions, keys = 40, 30
	for i := range revisions {
		var ops []meta.Op
		for j := range keys {
			ops = append(ops, put(fmt.Sprintf("k/%d", j), strconv.Itoa(i)))
		}
		e.must(t, ops...)
	}
	w := e.store.Watch(e.ctx, "k/", first)
	for seen := 0; seen < revisions*keys; {
		b := e.next(t, w)
		count := map[int64]int{}
		for _, ev := range b.Events {
			count[ev.KV.ModRev]++
		}
		for rev, n := range count {
			if n != keys {
				t.Fatalf("a batch holds %d of revision %d's %d events", n, rev, keys)
			}
		}
		seen += len(b.Events)
	}
}

// testWatchProgress: a watch learns a revision in which nothing below its prefix changed.
func testWatchProgress(t *testing.T, e *env) {
	w := e.store.Watch(e.ctx, "p/", e.must(t, put("p/a", "1")))
	e.next(t, w)
	rev := e.must(t, put("elsewhere", "1"))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case b := <-w:
			if b.Err != nil || len(b.Events) != 0 {
				t.Fatalf("unexpected batch %+v", b)
			}
			if b.Revision >= rev {
				return
			}
		case <-tick.C:
			if p, ok := e.store.(meta.Progresser); ok {
				if err := p.RequestProgress(e.ctx); err != nil {
					t.Fatal(err)
				}
			}
		case <-e.ctx.Done():
			t.Fatal("no progress")
		}
	}
}

func testWatchEnds(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	w := e.store.Watch(ctx, "", 0)
	unread := e.store.Watch(ctx, "", e.must(t, put("a", "1")))
	cancel()
	for b := range w {
		if b.Err != nil && !errors.Is(b.Err, context.Canceled) {
			t.Errorf("ended with %v", b.Err)
		}
	}
	for range unread {
	}
}

func testWatchCompacted(t *testing.T, e *env) {
	if e.suite.Compact == nil {
		t.Skip("the driver has no compaction to ask for")
	}
	first := e.must(t, put("a", "1"))
	for range 5 {
		e.must(t, put("a", "2"))
	}
	last := e.must(t, put("a", "3"))
	e.suite.Compact(t, e.store, last)
	var err error
	for b := range e.store.Watch(e.ctx, "", first) {
		err = b.Err
	}
	if !errors.Is(err, meta.ErrCompacted) {
		t.Errorf("a watch from a compacted revision ended with %v", err)
	}
	w := e.store.Watch(e.ctx, "", last+1)
	e.must(t, put("a", "4"))
	if got := e.collect(t, w, 1); got[0] != "a=4" {
		t.Errorf("a watch from behind the compaction gave %v", got)
	}
	if kv, ok := e.get(t, "a"); !ok || string(kv.Value) != "4" {
		t.Errorf("after the compaction a = %+v", kv)
	}
}
