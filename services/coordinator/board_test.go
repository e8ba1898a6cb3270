package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// pull asks for a task; nil when there is none for a second.
func (w *world) pull(node int64) *catalog.Task {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	resp, err := w.c.PullTask(ctx, &pb.PullTaskRequest{Node: node})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(resp.TaskJson) == 0 {
		return nil
	}
	task := &catalog.Task{}
	if err := json.Unmarshal(resp.TaskJson, task); err != nil {
		w.t.Fatal(err)
	}
	return task
}

func (w *world) report(task *catalog.Task, change func(*pb.ReportTaskRequest)) (abandon bool) {
	w.t.Helper()
	req := &pb.ReportTaskRequest{Task: task.ID, Attempt: task.Attempt}
	change(req)
	resp, err := w.c.ReportTask(w.ctx, req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.Abandon
}

func done(result catalog.TaskResult) func(*pb.ReportTaskRequest) {
	return func(r *pb.ReportTaskRequest) {
		r.Done = true
		r.ResultJson, _ = json.Marshal(result)
	}
}

func indexResult(task *catalog.Task) catalog.TaskResult {
	return catalog.TaskResult{Index: &catalog.SegmentIndex{IndexID: task.Index.ID, FieldID: task.Index.FieldID, Path: task.Dir + "/index.gyri", Bytes: 5}}
}

func TestIndexTask(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		part := coll.Partitions[0].ID
		w.seal(coll.ID, 0, 10, segmentOf(11, part, 999), segmentOf(12, part, 1000))
		task := w.pull(9)
		if task == nil || task.Kind != catalog.TaskIndex || len(task.Sources) != 1 || task.Sources[0].ID != 12 || task.Attempt != 1 || task.Node != 9 ||
			task.Index.Type != "HNSW" || task.Dir != fmt.Sprintf("indexes/%d/12/%d-1", coll.ID, task.ID) || len(task.Schema.Fields) != 2 {
			t.Fatalf("task %+v", task)
		}
		if other := w.pull(10); other != nil {
			t.Errorf("a second task %+v: small segments need no index, and one is built once", other)
		}
		if w.report(task, func(r *pb.ReportTaskRequest) { r.Progress = 0.5 }) {
			t.Error("told to abandon a task that is wanted")
		}
		if w.report(task, done(indexResult(task))) {
			t.Error("the result was refused")
		}
		segs := w.cache.Shard(coll.ID, 0).Segments
		if len(segs) != 2 || len(segs[1].Indexes) != 1 || segs[1].Indexes[0].Path != task.Dir+"/index.gyri" {
			t.Errorf("segments %+v", segs)
		}
		if w.report(task, done(indexResult(task))) {
			t.Error("a report that was repeated because its answer was lost tells to drop what is committed")
		}
		w.halt()
		w.start(2, nil)
		if w.report(task, done(indexResult(task))) {
			t.Error("a new leader tells to drop what is committed")
		}
		if len(w.cache.Tasks()) != 0 {
			t.Errorf("open tasks %+v", w.cache.Tasks())
		}
	})
}

func TestFlatNeedsNoFile(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.must(w.c.CreateCollection(w.ctx, createRequest("a", 1)))
		w.must(w.c.CreateIndex(w.ctx, indexRequest("a", "", "FLAT")))
		coll := w.cache.Collection("default", "a")
		w.seal(coll.ID, 0, 10, segmentOf(11, coll.Partitions[0].ID, 5000))
		if task := w.pull(9); task != nil {
			t.Errorf("task %+v", task)
		}
	})
}

func TestSilentNodeLosesItsTask(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		first := w.pull(9)
		for range 5 {
			time.Sleep(10 * time.Second)
			if w.report(first, func(r *pb.ReportTaskRequest) { r.Progress = 0.1 }) {
				t.Fatal("a node that reports loses its task")
			}
		}
		w.until("the task is taken away", func() bool { return w.cache.Task(first.ID).Node == 0 })
		var second *catalog.Task
		w.until("it is given out again", func() bool { second = w.pull(10); return second != nil })
		if second.ID != first.ID || second.Attempt != 2 || second.Dir == first.Dir || second.Failures != 1 || !contains(second.Error, "node 9 did not report") {
			t.Errorf("second attempt %+v", second)
		}
		if !w.report(first, func(r *pb.ReportTaskRequest) {}) {
			t.Error("the first node is not told that its attempt is over")
		}
		if !w.report(first, done(indexResult(first))) {
			t.Error("the first attempt's result was taken")
		}
		if w.report(second, done(indexResult(second))) {
			t.Error("the second attempt's result was refused")
		}
		if got := w.cache.Shard(coll.ID, 0).Segments[0].Indexes; len(got) != 1 || got[0].Path != second.Dir+"/index.gyri" {
			t.Errorf("indexes %+v", got)
		}
	})
}

func TestDeadNodeLosesItsTaskAtOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleIndexNode, 9, true)
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		task := w.pull(9)
		time.Sleep(5 * time.Second)
		began := time.Now()
		w.node(catalog.RoleIndexNode, 9, false)
		w.until("the task is taken away", func() bool { return w.cache.Task(task.ID).Node == 0 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestNewLeaderGivesRunningTasksALease(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		task := w.pull(9)
		time.Sleep(10 * time.Second)
		w.halt()
		w.start(2, nil)
		time.Sleep(10 * time.Second)
		if w.cache.Task(task.ID).Node != 9 {
			t.Error("a new leader took a task from a node that it never gave time to report")
		}
		if w.report(task, done(indexResult(task))) {
			t.Error("the result was refused by the new leader")
		}
	})
}

func TestFailuresBackOffAndAreKept(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		var waits []time.Duration
		var task *catalog.Task
		for range 8 {
			began := time.Now()
			w.until("the task is given out", func() bool { task = w.pull(9); return task != nil })
			waits = append(waits, time.Since(began).Round(time.Second))
			w.report(task, func(r *pb.ReportTaskRequest) { r.Error = "disk is full" })
		}
		if waits[1] > 5*time.Second || waits[6] < 25*time.Second || waits[6] > 80*time.Second {
			t.Errorf("waits between attempts %v", waits)
		}
		time.Sleep(20 * time.Minute)
		if got := w.pull(9); got != nil {
			t.Errorf("a task that was given up is tried again within 20 minutes: %+v", got)
		}
		if got := w.cache.Task(task.ID); got == nil || got.Failures != 8 || got.Error != "disk is full" {
			t.Errorf("the error is not kept: %+v", got)
		}
		if p := w.c.Problems(); !slices.ContainsFunc(p, func(s string) bool { return contains(s, "disk is full") }) {
			t.Errorf("problems %q", p)
		}
	})
}

func TestWorthlessTasksAreDropped(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		task := w.pull(9)
		w.must(w.c.DropIndex(w.ctx, &pb.DropIndexRequest{Collection: ref("a")}))
		w.until("the task is gone", func() bool { return w.cache.Task(task.ID) == nil })
		if !w.report(task, func(r *pb.ReportTaskRequest) {}) {
			t.Error("the node goes on")
		}
		if !w.report(task, done(indexResult(task))) {
			t.Error("the result of a dropped index was taken")
		}
		w.must(w.c.CreateIndex(w.ctx, indexRequest("a", "", "HNSW")))
		task = w.pull(9)
		if w.report(task, done(indexResult(task))) {
			t.Fatal("the result was refused")
		}
		w.must(w.c.DropIndex(w.ctx, &pb.DropIndexRequest{Collection: ref("a")}))
		w.until("the manifest names the file no more", func() bool { return len(w.cache.Shard(coll.ID, 0).Segments[0].Indexes) == 0 })
	})
}

func TestWrongResultsAreFailures(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(12, coll.Partitions[0].ID, 1000))
		for name, spoil := range map[string]func(*catalog.TaskResult){
			"no result":      func(r *catalog.TaskResult) { r.Index = nil },
			"other index":    func(r *catalog.TaskResult) { r.Index.IndexID++ },
			"other folder":   func(r *catalog.TaskResult) { r.Index.Path = "indexes/elsewhere" },
			"parent's files": func(r *catalog.TaskResult) { r.Index.Path += "/../x"; r.Index.FieldID = 0 },
		} {
			var task *catalog.Task
			w.until("the task is given out", func() bool { task = w.pull(9); return task != nil })
			result := indexResult(task)
			spoil(&result)
			if !w.report(task, done(result)) {
				t.Errorf("%s: taken", name)
			}
			if got := w.cache.Task(task.ID); got == nil || got.Error == "" || got.Node != 0 {
				t.Errorf("%s: task %+v", name, got)
			}
		}
		_, err := w.c.ReportTask(w.ctx, &pb.ReportTaskRequest{Task: 1, ResultJson: []byte("{")})
		w.refused(nil, err, errs.InvalidParameter, "cannot be read")
	})
}

// TestCommitBesideASeal: a result that is committed while the owner changes the manifest loses neither change.
func TestCommitBesideASeal(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		part := coll.Partitions[0].ID
		w.seal(coll.ID, 0, 10, segmentOf(12, part, 1000))
		task := w.pull(9)
		tries := 0
		result := indexResult(task)
		ok, err := w.c.term.Load().editShard(w.ctx, coll.ID, 0, func(s *catalog.Shard, b *batch) bool {
			if tries++; tries == 1 {
				w.seal(coll.ID, 0, 20, segmentOf(13, part, 10)) // between the read and the transaction
			}
			next, _, err := applyResult(s, task, &result)
			if err != nil {
				t.Error(err)
			}
			*s = next
			return true
		})
		if err != nil || !ok || tries != 2 {
			t.Fatalf("ok %v, err %v, %d tries", ok, err, tries)
		}
		s := w.cache.Shard(coll.ID, 0)
		if len(s.Segments) != 2 || len(s.Segments[0].Indexes) != 1 || s.Checkpoint != 20 {
			t.Errorf("manifest %+v", s)
		}
	})
}

func compactResult(task *catalog.Task) catalog.TaskResult {
	seg := catalog.Segment{ID: task.Target, Partition: task.Sources[0].Partition, Rows: 8, Bytes: 800, Dir: task.Dir, AppliedThrough: task.ApplyThrough}
	return catalog.TaskResult{Segment: &seg}
}

func TestCompaction(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		coll := w.create("a", 1)
		part := coll.Partitions[0].ID
		for i := range int64(8) {
			w.seal(coll.ID, 0, uint64(10+i), segmentOf(11+i, part, 1))
		}
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		task := w.pull(9)
		if task == nil || task.Kind != catalog.TaskCompact || len(task.Sources) != 8 || task.Target == 0 || task.ApplyThrough != 17 || task.Horizon == 0 {
			t.Fatalf("task %+v", task)
		}
		w.seal(coll.ID, 0, 30, segmentOf(40, part, 1))
		if w.report(task, done(compactResult(task))) {
			t.Fatal("the result was refused")
		}
		s := w.cache.Shard(coll.ID, 0)
		if len(s.Segments) != 2 || s.Segments[1].ID != task.Target || s.Horizon != task.Horizon {
			t.Errorf("manifest %+v", s)
		}
		if kvs, _, _ := w.meta.List(w.ctx, retiredPrefix); len(kvs) != 8 {
			t.Errorf("%d retired segments", len(kvs))
		}
		w.until("the target is served", func() bool { _, ok := w.cache.View(coll.ID, 0, 0).Segments[task.Target]; return ok })
		if v := w.cache.View(coll.ID, 0, 0); v.MinReadTS != s.Horizon || len(v.Segments) != 2 {
			t.Errorf("view %+v", v)
		}
		if w.report(task, done(compactResult(task))) {
			t.Error("a repeated report tells to drop what is committed")
		}
	})
}

func TestCompactionWithoutRows(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		for i := range int64(8) {
			w.seal(coll.ID, 0, uint64(10+i), segmentOf(11+i, coll.Partitions[0].ID, 1))
		}
		task := w.pull(9)
		for range 2 {
			if w.report(task, done(catalog.TaskResult{})) {
				t.Error("an empty result was refused")
			}
		}
		if got := w.cache.Shard(coll.ID, 0).Segments; len(got) != 0 {
			t.Errorf("segments %+v", got)
		}
	})
}

func TestManualCompaction(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 2)
		part := coll.Partitions[0].ID
		w.seal(coll.ID, 0, 10, segmentOf(11, part, 1), segmentOf(12, part, 2))
		w.seal(coll.ID, 1, 10, segmentOf(13, part, 1))
		resp, err := w.c.Compact(w.ctx, ref("a"))
		if err != nil || resp.Plans != 1 || resp.Compaction == 0 {
			t.Fatalf("%v, %v", resp, err)
		}
		state := func() *pb.CompactionStateResponse {
			st, err := w.c.CompactionState(w.ctx, &pb.CompactionStateRequest{Compaction: resp.Compaction})
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		if st := state(); st.Executing != 1 || len(st.Plans) != 1 || !slices.Equal(st.Plans[0].Sources, []int64{11, 12}) {
			t.Errorf("state %v", st)
		}
		task := w.pull(9)
		w.report(task, done(compactResult(task)))
		if st := state(); st.Executing != 0 || st.Completed != 1 || st.Plans[0].Target != task.Target {
			t.Errorf("state %v", st)
		}
		again, err := w.c.Compact(w.ctx, ref("a"))
		if err != nil || again.Plans != 0 {
			t.Errorf("nothing to do: %v, %v", again, err)
		}
		if st, err := w.c.CompactionState(w.ctx, &pb.CompactionStateRequest{Compaction: 12345}); err != nil || st.Executing != 0 {
			t.Errorf("unknown compaction: %v, %v", st, err)
		}
	})
}
