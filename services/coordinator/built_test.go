package coordinator

import (
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// bigCompaction brings a collection to where its compaction is reported and the target waits for its index.
func (w *world) bigCompaction() (coll *catalog.Collection, task *catalog.Task) {
	w.t.Helper()
	coll = w.create("a", 1)
	for i := range int64(8) {
		w.seal(coll.ID, 0, uint64(10+i), segmentOf(11+i, coll.Partitions[0].ID, 200))
	}
	task = w.pull(9)
	if task == nil || task.Kind != catalog.TaskCompact {
		w.t.Fatalf("task %+v", task)
	}
	for range 2 { // the second is a report that is repeated because its answer was lost
		if w.report(task, done(bigResult(task))) {
			w.t.Fatal("the result was refused")
		}
	}
	return coll, task
}

func bigResult(task *catalog.Task) catalog.TaskResult {
	r := compactResult(task)
	r.Segment.Rows = 1600
	return r
}

func (w *world) manifest(coll *catalog.Collection) (ids []int64) {
	for _, s := range w.cache.Shard(coll.ID, 0).Segments {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestTargetWaitsForItsIndex(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll, task := w.bigCompaction()
		if got := w.manifest(coll); len(got) != 8 {
			t.Errorf("the target is in use without its index: %v", got)
		}
		other := compactResult(task)
		other.Segment.ID++
		if !w.report(task, done(other)) {
			t.Error("a second result was taken")
		}
		index := w.pull(9)
		if index == nil || index.Kind != catalog.TaskIndex || index.Sources[0].ID != task.Target || index.Sources[0].Dir != task.Dir {
			t.Fatalf("index task %+v", index)
		}
		if more := w.pull(9); more != nil {
			t.Errorf("another task: %+v", more)
		}
		if w.report(index, func(r *pb.ReportTaskRequest) { r.Progress = 0.3 }) {
			t.Error("told to give up a build that is wanted")
		}
		w.seal(coll.ID, 0, 40, segmentOf(30, coll.Partitions[0].ID, 5))
		for range 2 {
			if w.report(index, done(indexResult(index))) {
				t.Fatal("the index was refused")
			}
		}
		w.until("the target replaces its sources", func() bool { return slices.Equal(w.manifest(coll), []int64{30, task.Target}) })
		s := w.cache.Shard(coll.ID, 0)
		if i := slices.IndexFunc(s.Segments, func(s catalog.Segment) bool { return s.ID == task.Target }); len(s.Segments[i].Indexes) != 1 {
			t.Errorf("segments %+v", s.Segments)
		}
		if w.report(task, done(bigResult(task))) || w.report(index, done(indexResult(index))) {
			t.Error("reports that are repeated much later tell to drop what is committed")
		}
		if got := w.cache.Tasks(); len(got) != 0 {
			t.Errorf("open tasks %+v", got)
		}
	})
}

func TestTargetDoesNotWaitForEver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll, task := w.bigCompaction()
		time.Sleep(9 * time.Minute)
		if got := w.manifest(coll); len(got) != 8 {
			t.Errorf("after 9 minutes the manifest has %v", got)
		}
		time.Sleep(2 * time.Minute)
		if got := w.manifest(coll); !slices.Equal(got, []int64{task.Target}) {
			t.Errorf("after 11 minutes the manifest has %v", got)
		}
		// The build that came too late goes into the manifest.
		var index *catalog.Task
		w.until("the index task is still there", func() bool { index = w.pull(9); return index != nil })
		if w.report(index, done(indexResult(index))) || len(w.cache.Shard(coll.ID, 0).Segments[0].Indexes) != 1 {
			t.Error("the late index was refused")
		}
	})
}

func TestWaitingTargetSurvivesALeader(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll, task := w.bigCompaction()
		index := w.pull(9)
		w.halt()
		w.start(2, nil)
		if w.report(index, done(indexResult(index))) {
			t.Fatal("the new leader refuses the index")
		}
		w.until("the target replaces its sources", func() bool { return slices.Equal(w.manifest(coll), []int64{task.Target}) })
	})
}

func TestWaitingTargetWithoutSources(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll, _ := w.bigCompaction()
		index := w.pull(9)
		if err := w.c.term.Load().retireWhere(w.ctx, coll.ID, 0, func(s catalog.Segment) bool { return s.ID == 11 }); err != nil {
			t.Fatal(err)
		}
		w.until("all its tasks are gone", func() bool { return len(w.cache.Tasks()) == 0 })
		if !w.report(index, done(indexResult(index))) {
			t.Error("the index of a target that is worth nothing was taken")
		}
		if got := w.manifest(coll); len(got) != 7 {
			t.Errorf("manifest %v", got)
		}
	})
}

func TestDroppedIndexReleasesTheTarget(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll, task := w.bigCompaction()
		w.must(w.c.DropIndex(w.ctx, &pb.DropIndexRequest{Collection: ref("a")}))
		w.until("the target replaces its sources", func() bool { return slices.Equal(w.manifest(coll), []int64{task.Target}) })
	})
}
