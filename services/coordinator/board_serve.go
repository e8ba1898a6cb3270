package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// maxPull bounds how long a pull waits.
const maxPull = 30 * time.Second

// pullMargin is how long before the caller's deadline an empty answer goes out.
const pullMargin = 50 * time.Millisecond

// pullTask hands out a task, or an empty answer when there was none until shortly before the deadline.
func (t *term) pullTask(ctx context.Context, req *pb.PullTaskRequest) (*pb.PullTaskResponse, error) {
	if req.GetNode() == 0 {
		return nil, errs.Invalid("a task was pulled without a node id")
	}
	wait := maxPull
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-pullMargin)
	}
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	for {
		t.board.mu.Lock()
		posted := t.board.posted
		t.board.mu.Unlock()
		task, err := t.board.assign(ctx, req.GetNode())
		if err != nil {
			return nil, err
		}
		if task != nil {
			body, err := json.Marshal(task)
			if err != nil {
				return nil, fmt.Errorf("encode task %d: %w", task.ID, err)
			}
			return &pb.PullTaskResponse{TaskJson: body}, nil
		}
		select {
		case <-posted:
		case <-timer.C:
			return &pb.PullTaskResponse{}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// assign gives the oldest waiting task to a node; nil when there is none. The task's key, with the attempt and its folder,
// is written before the node hears of it: it protects what the attempt uploads.
func (b *board) assign(ctx context.Context, node catalog.NodeID) (*catalog.Task, error) {
	cache := b.t.c.deps.Cache
	for _, task := range cache.Tasks() {
		if !b.take(task) {
			continue
		}
		given, err := b.give(ctx, task.ID, node)
		b.mu.Lock()
		delete(b.taken, task.ID)
		b.mu.Unlock()
		if errors.Is(err, errConflict) || errors.Is(err, meta.ErrNotFound) {
			continue
		}
		if given != nil || err != nil {
			return given, err
		}
	}
	return nil, nil
}

// take reserves a task if it may be handed out now.
func (b *board) take(task *catalog.Task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if task.Node != 0 || task.Built != nil || b.taken[task.ID] || b.t.c.now().Before(b.retry[task.ID]) {
		return false
	}
	if _, known := b.retry[task.ID]; !known && task.Failures > 0 {
		b.retry[task.ID] = b.t.c.now().Add(b.backoff(task.Failures)) // failed under a former leader
		return false
	}
	b.taken[task.ID] = true
	return true
}

func (b *board) give(ctx context.Context, id int64, node catalog.NodeID) (*catalog.Task, error) {
	task, kv, err := catalog.Read[catalog.Task](ctx, b.t.c.deps.Meta, catalog.TaskKey(id))
	if err != nil || task.Node != 0 || task.Built != nil {
		return nil, err
	}
	task.Attempt++
	task.Node = node
	task.Dir = attemptDir(task)
	rev, err := b.save(ctx, task, kv)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.leases[id] = lease{
		attempt: task.Attempt, until: b.t.c.now().Add(b.t.c.cfg.Tasks.Lease),
		seen: b.t.c.deps.Cache.Node(catalog.RoleIndexNode, node) != nil,
	}
	b.mu.Unlock()
	b.t.log.Debug("coordinator: task given out", "task", id, "kind", task.Kind, "attempt", task.Attempt, "node", node)
	return task, b.t.c.deps.Cache.WaitRevision(ctx, rev)
}

// attemptDir is the attempt's own folder.
func attemptDir(task *catalog.Task) string {
	if task.Kind == catalog.TaskIndex {
		return fmt.Sprintf("indexes/%d/%d/%d-%d", task.Collection, task.Sources[0].ID, task.ID, task.Attempt)
	}
	return fmt.Sprintf("segments/%d/%d/%d-%d", task.Collection, task.Shard, task.ID, task.Attempt)
}

func (b *board) save(ctx context.Context, task *catalog.Task, kv meta.KV) (int64, error) {
	op, err := catalog.Put(kv.Key, task)
	if err != nil {
		return 0, err
	}
	return b.t.commit(ctx, []meta.Compare{{Key: kv.Key, ModRev: kv.ModRev}}, []meta.Op{op})
}

// reportTask takes progress, failure or a result.
func (t *term) reportTask(ctx context.Context, req *pb.ReportTaskRequest) (*pb.ReportTaskResponse, error) {
	result, err := decodeResult(req)
	if err != nil {
		return nil, err
	}
	task, kv, err := catalog.Read[catalog.Task](ctx, t.c.deps.Meta, catalog.TaskKey(req.GetTask()))
	if errors.Is(err, meta.ErrNotFound) {
		return &pb.ReportTaskResponse{Abandon: !t.board.repeated(req.GetTask(), result)}, nil
	}
	if err != nil {
		return nil, err
	}
	if task.Attempt != req.GetAttempt() {
		return &pb.ReportTaskResponse{Abandon: true}, nil
	}
	switch {
	case req.GetError() != "":
		return &pb.ReportTaskResponse{Abandon: true}, t.board.fail(ctx, task, kv, req.GetError())
	case req.GetDone() && task.Kind == catalog.TaskCompact:
		return t.board.finishCompaction(ctx, task, kv, result)
	case req.GetDone():
		return t.board.finishIndex(ctx, task, kv, result)
	}
	return &pb.ReportTaskResponse{Abandon: !t.board.renew(task, req.GetProgress())}, nil
}

func decodeResult(req *pb.ReportTaskRequest) (*catalog.TaskResult, error) {
	result := &catalog.TaskResult{}
	if len(req.GetResultJson()) > 0 {
		if err := json.Unmarshal(req.GetResultJson(), result); err != nil {
			return nil, errs.Invalid("the result of task %d cannot be read: %v", req.GetTask(), err)
		}
	}
	return result, nil
}

// renew extends an attempt's lease; false when nobody needs its result any more.
func (b *board) renew(task *catalog.Task, progress float32) bool {
	cache := b.t.c.deps.Cache
	if task.Node == 0 || worthless(task, cache.CollectionByID(task.Collection), b.withBuilt(cache.Shard(task.Collection, task.Shard))) != "" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.leases[task.ID]
	l.attempt, l.until, l.progress = task.Attempt, b.t.c.now().Add(b.t.c.cfg.Tasks.Lease), progress
	b.leases[task.ID] = l
	return true
}

// repeated reports whether a task that is gone was committed with this result.
func (b *board) repeated(task int64, result *catalog.TaskResult) bool {
	b.mu.Lock()
	collection, known := b.lost[task]
	b.mu.Unlock()
	if !known {
		for _, coll := range b.t.c.deps.Cache.AllCollections() {
			for _, s := range b.t.c.deps.Cache.Shards(coll.ID) {
				if committed(b.withBuilt(s), result) {
					return true
				}
			}
		}
		return false
	}
	for _, s := range b.t.c.deps.Cache.Shards(collection) {
		if committed(b.withBuilt(s), result) {
			return true
		}
	}
	return result.Segment == nil && result.Index == nil // a compaction that left no row
}

// finish commits a result: one transaction that compares the leader, the task and the manifest.
func (b *board) finish(ctx context.Context, task *catalog.Task, kv meta.KV, result *catalog.TaskResult) (*pb.ReportTaskResponse, error) {
	var bad error
	done, err := b.t.editShard(ctx, task.Collection, task.Shard, func(s *catalog.Shard, w *batch) bool {
		next, gone, err := applyResult(s, task, result)
		if bad = err; err != nil {
			return false
		}
		*s = next
		w.cmps = append(w.cmps, meta.Compare{Key: kv.Key, ModRev: kv.ModRev})
		w.remove(kv.Key)
		retire(w, task.Collection, gone, b.t.c.now())
		if now, err := b.t.c.deps.Meta.Get(ctx, kv.Key); err == nil && now.ModRev != kv.ModRev || errors.Is(err, meta.ErrNotFound) {
			bad = errSourceGone{} // the task changed: its transaction can never hold
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var stale errSourceGone
	switch {
	case done:
		b.ended(task, "done")
		b.mu.Lock()
		b.lost[task.ID] = task.Collection
		b.mu.Unlock()
		b.t.log.Info("coordinator: task done", "task", task.ID, "kind", task.Kind, "collection", task.Collection, "shard", task.Shard, "sources", len(task.Sources))
		return &pb.ReportTaskResponse{}, nil
	case bad == nil || errors.As(bad, &stale):
		b.ended(task, "stale")
		return &pb.ReportTaskResponse{Abandon: !b.repeated(task.ID, result)}, nil
	}
	return &pb.ReportTaskResponse{Abandon: true}, b.fail(ctx, task, kv, bad.Error())
}

// fail records a failed attempt; the task waits and is tried again.
func (b *board) fail(ctx context.Context, task *catalog.Task, kv meta.KV, why string) error {
	failed := *task
	failed.Node = 0
	failed.Failures++
	failed.Error = why
	rev, err := b.save(ctx, &failed, kv)
	if errors.Is(err, errConflict) {
		return nil // somebody else ended this attempt
	}
	if err != nil {
		return err
	}
	b.ended(task, "failed")
	b.mu.Lock()
	b.retry[task.ID] = b.t.c.now().Add(b.backoff(failed.Failures))
	b.mu.Unlock()
	b.t.log.Warn("coordinator: task failed", "task", task.ID, "kind", task.Kind, "attempt", task.Attempt, "failures", failed.Failures, "error", why)
	return b.t.c.deps.Cache.WaitRevision(ctx, rev)
}

func (b *board) ended(task *catalog.Task, outcome string) {
	b.t.c.met.taskEnds.WithLabelValues(string(task.Kind), outcome).Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.leases, task.ID)
	delete(b.retry, task.ID)
}

// backoff is how long a task waits after so many failures.
func (b *board) backoff(failures int) time.Duration {
	cfg := b.t.c.cfg.Tasks
	if failures >= cfg.MaxFailures {
		return cfg.GiveUp
	}
	return min(cfg.BackoffMax, cfg.BackoffMin<<min(max(failures-1, 0), 20))
}

// expire takes tasks from nodes that did not report in time, or were live and are gone. A task that this leader has not
// heard of gets a whole lease.
func (b *board) expire(ctx context.Context) error {
	var errAll error
	for _, task := range b.t.c.deps.Cache.Tasks() {
		if task.Node == 0 || !b.expired(task) {
			continue
		}
		fresh, kv, err := catalog.Read[catalog.Task](ctx, b.t.c.deps.Meta, catalog.TaskKey(task.ID))
		if err == nil && fresh.Attempt == task.Attempt && fresh.Node != 0 {
			err = b.fail(ctx, fresh, kv, fmt.Sprintf("node %d did not report for %s, or is gone", fresh.Node, b.t.c.cfg.Tasks.Lease))
		}
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			errAll = errors.Join(errAll, err)
		}
	}
	if b.due() {
		b.announce()
	}
	return errAll
}

func (b *board) expired(task *catalog.Task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.leases[task.ID]
	if !ok || l.attempt != task.Attempt {
		l = lease{attempt: task.Attempt, until: b.t.c.now().Add(b.t.c.cfg.Tasks.Lease)}
	}
	live := b.t.c.deps.Cache.Node(catalog.RoleIndexNode, task.Node) != nil
	gone := l.seen && !live
	l.seen = l.seen || live
	b.leases[task.ID] = l
	return gone || b.t.c.now().After(l.until)
}

// due reports whether a waiting task may be handed out.
func (b *board) due() bool {
	now := b.t.c.now()
	for _, task := range b.t.c.deps.Cache.Tasks() {
		b.mu.Lock()
		ok := task.Node == 0 && task.Built == nil && !b.taken[task.ID] && !now.Before(b.retry[task.ID])
		b.mu.Unlock()
		if ok {
			return true
		}
	}
	return false
}

// maxLost bounds the memory of tasks that ended.
const maxLost = 10_000

// forget drops what is kept in memory about tasks that are gone.
func (b *board) forget() {
	cache := b.t.c.deps.Cache
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.leases {
		if cache.Task(id) == nil {
			delete(b.leases, id)
		}
	}
	for id := range b.retry {
		if cache.Task(id) == nil {
			delete(b.retry, id)
		}
	}
	for id := range b.built {
		if cache.Task(id) == nil {
			delete(b.built, id)
		}
	}
	if len(b.lost) > maxLost {
		clear(b.lost)
	}
}
