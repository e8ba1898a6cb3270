package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// A compaction's target is searched by brute force until its index files are there, while the sources have theirs and
// serve as well. So a target that shall have index files waits in its task (Task.Built), which also keeps its files and
// sources from being collected, until index tasks have built them:
//
//	given out -> reported: Built -> index tasks on Built -> Built has its files, or IndexWait is over: committed

// withBuilt is a manifest with the targets that wait, for those who look for a task's sources.
func (b *board) withBuilt(shard *catalog.Shard) *catalog.Shard {
	if shard == nil {
		return nil
	}
	all := *shard
	all.Segments = slices.Clone(shard.Segments)
	for _, t := range b.t.c.deps.Cache.Tasks() {
		if t.Built != nil && t.Collection == shard.Collection && t.Shard == shard.Index {
			all.Segments = append(all.Segments, *t.Built)
		}
	}
	return &all
}

// finishCompaction takes a compaction's target: commits it, or lets it wait for its index files.
func (b *board) finishCompaction(ctx context.Context, task *catalog.Task, kv meta.KV, result *catalog.TaskResult) (*pb.ReportTaskResponse, error) {
	if task.Built != nil { // the answer to this report was lost
		return &pb.ReportTaskResponse{Abandon: result.Segment == nil || result.Segment.ID != task.Built.ID || result.Segment.Dir != task.Built.Dir}, nil
	}
	coll := b.t.c.deps.Cache.CollectionByID(task.Collection)
	if coll == nil || result.Segment == nil || !lacksIndex(coll, result.Segment, b.t.c.cfg.Tasks.MinIndexRows) {
		return b.finish(ctx, task, kv, result)
	}
	shard, _, err := catalog.Read[catalog.Shard](ctx, b.t.c.deps.Meta, catalog.ShardKey(task.Collection, task.Shard))
	if errors.Is(err, meta.ErrNotFound) {
		return &pb.ReportTaskResponse{Abandon: true}, nil
	}
	if err != nil {
		return nil, err
	}
	if _, _, err := applyResult(shard, task, result); err != nil {
		return b.finish(ctx, task, kv, result) // says what is wrong with it
	}
	waiting := *task
	waiting.Built, waiting.Node = result.Segment, 0
	rev, err := b.save(ctx, &waiting, kv)
	if errors.Is(err, errConflict) {
		return &pb.ReportTaskResponse{Abandon: true}, nil
	}
	if err != nil {
		return nil, err
	}
	b.ended(task, "built")
	return &pb.ReportTaskResponse{}, b.t.c.deps.Cache.WaitRevision(ctx, rev)
}

// finishIndex takes an index file: into the manifest, or into the task of the compaction whose target it is for.
func (b *board) finishIndex(ctx context.Context, task *catalog.Task, kv meta.KV, result *catalog.TaskResult) (*pb.ReportTaskResponse, error) {
	for len(task.Sources) == 1 {
		id := b.builtBy(task.Sources[0].ID)
		if id == 0 {
			break
		}
		host, hostKV, err := catalog.Read[catalog.Task](ctx, b.t.c.deps.Meta, catalog.TaskKey(id))
		if errors.Is(err, meta.ErrNotFound) {
			// It was committed meanwhile: the target is in the manifest, which the cache may not show yet.
			if err := b.t.awaitManifest(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		done, err := b.addToBuilt(ctx, task, kv, host, hostKV, result)
		if errors.Is(err, errConflict) {
			if now, err := b.t.c.deps.Meta.Get(ctx, kv.Key); err != nil || now.ModRev != kv.ModRev {
				return &pb.ReportTaskResponse{Abandon: true}, nil // this attempt is over
			}
			continue
		}
		if err != nil || !done {
			break // finish says what is wrong with it
		}
		b.ended(task, "done")
		return &pb.ReportTaskResponse{}, nil
	}
	return b.finish(ctx, task, kv, result)
}

// builtBy is the compaction whose waiting target a segment is, 0 when none.
func (b *board) builtBy(segment int64) int64 {
	for _, t := range b.t.c.deps.Cache.Tasks() {
		if t.Built != nil && t.Built.ID == segment {
			return t.ID
		}
	}
	return 0
}

// addToBuilt commits an index file of a waiting target; false when the result is not right.
func (b *board) addToBuilt(ctx context.Context, task *catalog.Task, kv meta.KV, host *catalog.Task, hostKV meta.KV, result *catalog.TaskResult) (bool, error) {
	if host.Built == nil {
		return false, nil
	}
	segs, err := withIndex([]catalog.Segment{*host.Built}, task, result.Index)
	if err != nil {
		return false, nil
	}
	host.Built = &segs[0]
	var w batch
	w.cmps = []meta.Compare{{Key: kv.Key, ModRev: kv.ModRev}, {Key: hostKV.Key, ModRev: hostKV.ModRev}}
	put(&w, hostKV.Key, host)
	w.remove(kv.Key)
	if w.err != nil {
		return false, w.err
	}
	rev, err := b.t.commit(ctx, w.cmps, w.ops)
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	b.lost[task.ID] = task.Collection
	b.mu.Unlock()
	return true, b.t.c.deps.Cache.WaitRevision(ctx, rev)
}

// commitBuilt commits the targets that have their index files, or have waited long enough.
func (b *board) commitBuilt(ctx context.Context) error {
	cache := b.t.c.deps.Cache
	var errAll error
	for _, task := range cache.Tasks() {
		coll := cache.CollectionByID(task.Collection)
		if task.Built == nil || coll == nil || lacksIndex(coll, task.Built, b.t.c.cfg.Tasks.MinIndexRows) && !b.waitedEnough(task.ID) {
			continue
		}
		fresh, kv, err := catalog.Read[catalog.Task](ctx, b.t.c.deps.Meta, catalog.TaskKey(task.ID))
		if err == nil && fresh.Built != nil {
			_, err = b.finish(ctx, fresh, kv, &catalog.TaskResult{Segment: fresh.Built})
		}
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			errAll = errors.Join(errAll, err)
		}
	}
	return errAll
}

func (b *board) waitedEnough(task int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	since, ok := b.built[task]
	if !ok {
		b.built[task] = time.Now()
		return false
	}
	return time.Since(since) > b.t.c.cfg.Tasks.IndexWait
}
