package coordinator

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

func TestJudge(t *testing.T) {
	now := time.UnixMilli(10_000_000_000)
	old, young := now.Add(-2*time.Hour), now.Add(-time.Minute)
	cfg := DefaultConfig().GC
	n := named{
		Intents: []string{"segments/up", "deltas/1/5"},
		Tasks: []*catalog.Task{
			{ID: 3, Attempt: 2, Dir: "indexes/7/3-2", Sources: []catalog.Segment{{ID: 9, Dir: "segments/source"}}, Deltas: []catalog.Delta{{Path: "deltas/1/4"}}},
			{ID: 4, Attempt: 1, Dir: "segments/built", Built: &catalog.Segment{ID: 10, Dir: "segments/built", Indexes: []catalog.SegmentIndex{{Path: "indexes/built"}}}},
		},
		Views: []*catalog.View{{Collection: 7, Segments: map[int64][]int64{50: {1}}}},
		Shards: []*catalog.Shard{{
			Collection: 7, Segments: []catalog.Segment{{ID: 1, Dir: "segments/live", Indexes: []catalog.SegmentIndex{{Path: "indexes/7/1/index"}}}},
			Deltas: []catalog.Delta{{Path: "deltas/1/3"}},
		}},
		Retired: []*retired{
			{Collection: 7, Segment: catalog.Segment{ID: 50, Dir: "segments/viewed"}, AtMS: old.UnixMilli()},
			{Collection: 8, Segment: catalog.Segment{ID: 50, Dir: "segments/other"}, AtMS: old.UnixMilli()},
			{Collection: 7, Segment: catalog.Segment{ID: 51, Dir: "segments/fresh", Indexes: []catalog.SegmentIndex{{Path: "indexes/fresh"}}}, AtMS: young.UnixMilli()},
		},
	}
	want := map[string]bool{ // key -> removed
		"segments/live/rows.parquet": false, "indexes/7/1/index": false, "deltas/1/3": false,
		"segments/up/rows.parquet": false, "deltas/1/5": false,
		"indexes/7/3-2/index.gyri": false, "indexes/7/3-1/index.gyri": true,
		"segments/built/rows.parquet": false, "indexes/built": false,
		"segments/source/rows.parquet": false, "deltas/1/4": false, "deltas/1/2": true,
		"segments/viewed/columns.gyrc": false, "segments/other/columns.gyrc": true,
		"segments/fresh/rows.parquet": false, "indexes/fresh": false,
		"segments/liver/rows.parquet": true, "segments/orphan": true,
		"log/0000": false, "backup/segments/x": false,
	}
	var objects []objstore.Object
	for _, key := range slices.Sorted(maps.Keys(want)) {
		objects = append(objects, objstore.Object{Key: key, ModTime: old})
	}
	for _, v := range judge(objects, n, cfg, now) {
		if v.Remove != want[v.Key] || v.Why == "" {
			t.Errorf("%s: remove %v because %q, want %v", v.Key, v.Remove, v.Why, want[v.Key])
		}
	}
	if v := judge([]objstore.Object{{Key: "segments/orphan", ModTime: young}}, n, cfg, now); v[0].Remove {
		t.Error("a young object was removed")
	}
}

func (w *world) upload(key string) {
	w.t.Helper()
	if err := w.objects.Put(w.ctx, key, bytes.NewReader([]byte("x")), 1, objstore.PutOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) has(key string) bool {
	_, err := w.objects.Stat(w.ctx, key)
	return err == nil
}

func TestGarbageOfACompaction(t *testing.T) {
	inWorld(t, func(c *Config) { c.GC = DefaultConfig().GC; c.GC.Grace = 30 * time.Minute }, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		coll := w.create("a", 1)
		for i := range int64(8) {
			s := segmentOf(11+i, coll.Partitions[0].ID, 1)
			w.upload(s.Dir + "/rows.parquet")
			w.seal(coll.ID, 0, uint64(10+i), s)
		}
		w.upload("segments/orphan/rows.parquet")
		w.put(intentPrefix+"segments/slow", "")
		w.upload("segments/slow/rows.parquet")
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		time.Sleep(time.Hour)
		if w.has("segments/orphan/rows.parquet") || !w.has("segments/slow/rows.parquet") || !w.has("segments/s/11/rows.parquet") {
			t.Error("garbage collection removes the wrong things")
		}
		w.peers.set(func() { w.peers.unready["querynode-3"] = "target is slow" })
		task := w.pull(9)
		w.upload(task.Dir + "/rows.parquet")
		w.report(task, done(compactResult(task)))
		time.Sleep(2 * time.Hour)
		if !w.has("segments/s/11/rows.parquet") {
			t.Fatal("files of a segment that the published view names were removed")
		}
		w.peers.set(func() { w.peers.unready["querynode-3"] = "" })
		w.until("the target is served", func() bool { _, ok := w.cache.View(coll.ID, 0, 0).Segments[task.Target]; return ok })
		time.Sleep(time.Hour)
		if w.has("segments/s/11/rows.parquet") || !w.has(task.Dir+"/rows.parquet") {
			t.Error("after the handover the sources stay, or the target went")
		}
		if kvs, _, _ := w.meta.List(w.ctx, retiredPrefix); len(kvs) != 0 {
			t.Errorf("%d records of retired segments are left", len(kvs))
		}
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a")}))
		w.must(w.c.DropCollection(w.ctx, ref("a")))
		time.Sleep(time.Hour)
		if w.has(task.Dir + "/rows.parquet") {
			t.Error("files of a dropped collection stay")
		}
	})
}

func TestDryRunRemovesNothing(t *testing.T) {
	inWorld(t, func(c *Config) { c.GC = DefaultConfig().GC; c.GC.Disabled = true }, func(w *world) {
		w.upload("segments/orphan/rows.parquet")
		time.Sleep(3 * time.Hour)
		verdicts, err := w.c.DryRun(w.ctx)
		if err != nil || len(verdicts) == 0 || !verdicts[0].Remove || !w.has("segments/orphan/rows.parquet") {
			t.Errorf("%+v, %v", verdicts, err)
		}
	})
}

// TestGarbageOrder: uploads and commits that happen between the steps of a survey are never mistaken for garbage.
func TestGarbageOrder(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		steps := 0
		store := &hooked{Store: w.meta, before: func(prefix string) {
			steps++
			dir := "segments/late/" + string(rune('a'+steps))
			// An owner finishes a seal: its intent goes in the transaction that names the file.
			w.seal(coll.ID, 0, uint64(10+steps), catalog.Segment{ID: int64(100 + steps), Partition: coll.Partitions[0].ID, Dir: dir})
			w.txn(meta.Op{Key: intentPrefix + dir, Delete: true})
		}}
		var objects []objstore.Object
		for i := range 5 {
			dir := "segments/late/" + string(rune('b'+i))
			w.put(intentPrefix+dir, "")
			objects = append(objects, objstore.Object{Key: dir + "/rows.parquet"})
		}
		n, err := readNamed(w.ctx, store)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range judge(objects, n, w.c.cfg.GC, time.Now()) {
			if v.Remove {
				t.Errorf("%s would be removed", v.Key)
			}
		}
		if steps != 5 {
			t.Errorf("%d steps", steps)
		}
	})
}

type hooked struct {
	meta.Store
	before func(prefix string)
}

func (h *hooked) List(ctx context.Context, prefix string) ([]meta.KV, int64, error) {
	h.before(prefix)
	return h.Store.List(ctx, prefix)
}

func TestRecordsAreDropped(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		if _, err := w.c.Compact(w.ctx, ref("a")); err != nil {
			t.Fatal(err)
		}
		w.put(catalog.ShardKey(4711, 0), catalog.Shard{Collection: 4711})
		time.Sleep(time.Hour)
		if kvs, _, _ := w.meta.List(w.ctx, compactionPrefix); len(kvs) != 1 {
			t.Error("a compaction is forgotten after an hour")
		}
		if w.cache.Shard(4711, 0) != nil || w.cache.Shard(coll.ID, 0) == nil {
			t.Error("the manifest without a collection stays, or another went")
		}
		time.Sleep(25 * time.Hour)
		if kvs, _, _ := w.meta.List(w.ctx, compactionPrefix); len(kvs) != 0 {
			t.Error("a compaction is kept for ever")
		}
	})
}

func TestStatus(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for role, id := range map[catalog.Role]int64{catalog.RoleProxy: 5, catalog.RoleDataNode: 7, catalog.RoleQueryNode: 3, catalog.RoleIndexNode: 9} {
			w.node(role, id, true)
		}
		w.own(0, 7)
		w.own(1, 7)
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(11, coll.Partitions[0].ID, 5000))
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		w.until("the task is posted", func() bool { return len(w.cache.Tasks()) == 1 })
		s, err := w.c.Status(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Problems) != 0 {
			t.Errorf("problems of a healthy cluster: %q", s.Problems)
		}
		if !s.Leading || s.Leader.ID != 1 || len(s.Logs) != 2 || *s.Logs[0].Owner != 7 || s.Logs[0].Shards != 1 ||
			len(s.Collections) != 1 || s.Collections[0].Progress != 100 || s.Collections[0].Shards[0].Unindexed != 1 ||
			s.Collections[0].Shards[0].Views[0].Leader != 3 || len(s.Tasks) != 1 || s.Tasks[0].State != "waiting" ||
			s.Nodes[catalog.RoleQueryNode][0].Segments != 1 || len(s.Nodes[catalog.RoleDataNode][0].Logs) != 2 {
			body, _ := json.MarshalIndent(s, "", " ")
			t.Errorf("status %s", body)
		}
		w.txn(meta.Op{Key: catalog.OwnerKey(1), Delete: true})
		w.node(catalog.RoleQueryNode, 3, false)
		for _, want := range []string{"log 1 has no owner", "no querynode is live", "querynode 3 of it is gone"} {
			if p := w.c.Problems(); !slices.ContainsFunc(p, func(s string) bool { return contains(s, want) }) {
				t.Errorf("problems %q do not tell %q", p, want)
			}
		}
	})
}

func TestInspect(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.upload("segments/orphan")
		for _, what := range []string{"status", "gc", "problems"} {
			resp, err := w.c.Inspect(w.ctx, &pb.InspectRequest{What: what})
			if err != nil || !json.Valid(resp.Json) || len(resp.Json) < 15 {
				t.Errorf("%s: %s, %v", what, resp.GetJson(), err)
			}
		}
		_, err := w.c.Inspect(w.ctx, &pb.InspectRequest{What: "weather"})
		w.refused(nil, err, errs.InvalidParameter, "weather")
	})
}
