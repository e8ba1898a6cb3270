package coordinator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
)

// errSourceGone: a source of a task is not in the manifest any more; the work is worth nothing.
type errSourceGone struct{ segment int64 }

func (e errSourceGone) Error() string { return fmt.Sprintf("segment %d was replaced", e.segment) }

// applyResult returns the manifest after a task is done and the segments that it replaces. It fails with errSourceGone
// when a source is not there as it was, and with another error when the result is not one of this task.
func applyResult(shard *catalog.Shard, task *catalog.Task, result *catalog.TaskResult) (next catalog.Shard, gone []catalog.Segment, err error) {
	for _, src := range task.Sources {
		if !slices.ContainsFunc(shard.Segments, func(s catalog.Segment) bool { return s.ID == src.ID && s.Dir == src.Dir }) {
			return next, nil, errSourceGone{src.ID}
		}
	}
	next = *shard
	if task.Kind == catalog.TaskIndex {
		next.Segments, err = withIndex(shard.Segments, task, result.Index)
		return next, nil, err
	}
	next.Segments, gone, err = withTarget(shard.Segments, task, result.Segment)
	next.Horizon = max(shard.Horizon, task.Horizon)
	return next, gone, err
}

func withIndex(segs []catalog.Segment, task *catalog.Task, x *catalog.SegmentIndex) ([]catalog.Segment, error) {
	switch {
	case x == nil || task.Index == nil || len(task.Sources) != 1:
		return nil, fmt.Errorf("task %d: the result holds no index", task.ID)
	case x.IndexID != task.Index.ID || x.FieldID != task.Index.FieldID:
		return nil, fmt.Errorf("task %d: the result is of index %d, field %d, wanted were %d, %d", task.ID, x.IndexID, x.FieldID, task.Index.ID, task.Index.FieldID)
	case !strings.HasPrefix(x.Path, task.Dir+"/"):
		return nil, fmt.Errorf("task %d: the result's file %s is not below %s", task.ID, x.Path, task.Dir)
	}
	out := slices.Clone(segs)
	for i := range out {
		if out[i].ID != task.Sources[0].ID {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(out[i].Indexes), func(have catalog.SegmentIndex) bool { return have.IndexID == x.IndexID })
		out[i].Indexes = append(kept, *x)
	}
	return out, nil
}

// withTarget replaces a compaction's sources by its target; there is none when no row was left.
func withTarget(segs []catalog.Segment, task *catalog.Task, target *catalog.Segment) (next, gone []catalog.Segment, err error) {
	if target != nil {
		switch {
		case target.ID != task.Target:
			return nil, nil, fmt.Errorf("task %d: the result is segment %d, wanted was %d", task.ID, target.ID, task.Target)
		case target.Dir != task.Dir:
			return nil, nil, fmt.Errorf("task %d: the result lies in %s, wanted was %s", task.ID, target.Dir, task.Dir)
		case target.AppliedThrough != task.ApplyThrough:
			return nil, nil, fmt.Errorf("task %d: deletes are applied through %d, wanted was %d", task.ID, target.AppliedThrough, task.ApplyThrough)
		case target.Partition != task.Sources[0].Partition:
			return nil, nil, fmt.Errorf("task %d: the result is of partition %d, wanted was %d", task.ID, target.Partition, task.Sources[0].Partition)
		}
	}
	for _, s := range segs {
		if slices.ContainsFunc(task.Sources, func(src catalog.Segment) bool { return src.ID == s.ID }) {
			gone = append(gone, s)
		} else {
			next = append(next, s)
		}
	}
	if target != nil {
		next = append(next, *target)
	}
	return next, gone, nil
}

// committed reports whether a task's result is in the manifest: the answer to the report that committed it was lost.
func committed(shard *catalog.Shard, result *catalog.TaskResult) bool {
	if shard == nil || result == nil {
		return false
	}
	for _, s := range shard.Segments {
		if result.Segment != nil && s.ID == result.Segment.ID && s.Dir == result.Segment.Dir {
			return true
		}
		for _, x := range s.Indexes {
			if result.Index != nil && x.Path == result.Index.Path {
				return true
			}
		}
	}
	return false
}
