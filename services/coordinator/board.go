package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/tso"
)

// board keeps the tasks: plans them, hands them out, takes results. What is in memory only (who reported when, when to
// try again) may be lost with the leader; the next one gives every running task a new lease.
type board struct {
	t *term

	mu     sync.Mutex // guards all below
	leases map[int64]lease
	retry  map[int64]time.Time // not before
	taken  map[int64]bool      // being handed out
	posted chan struct{}       // closed and replaced when there may be work
	lost   map[int64]int64     // collection of tasks that ended, for a report that is repeated
	built  map[int64]time.Time // compactions that wait for index files, since when
}

// lease is how long a running attempt is waited for.
type lease struct {
	attempt  int64
	until    time.Time
	progress float32
	seen     bool // the node was live
}

func newBoard(t *term) *board {
	return &board{
		t: t, leases: map[int64]lease{}, retry: map[int64]time.Time{}, taken: map[int64]bool{},
		posted: make(chan struct{}), lost: map[int64]int64{}, built: map[int64]time.Time{},
	}
}

// planEvery bounds how often tasks are planned while the catalog changes.
const planEvery = 100 * time.Millisecond

// run plans and expires until ctx ends.
func (b *board) run(ctx context.Context) error {
	changed, cancel := b.t.c.deps.Cache.Subscribe()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			sleep(ctx, planEvery)
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		if err := b.round(ctx); err != nil && ctx.Err() == nil {
			b.t.log.Warn("coordinator: planning tasks", "error", err)
		}
		timer.Reset(b.interval())
	}
}

func (b *board) interval() time.Duration {
	return min(b.t.c.cfg.Tasks.Interval, max(b.t.c.cfg.Tasks.Lease/4, 10*time.Millisecond))
}

func (b *board) round(ctx context.Context) error {
	b.forget()
	errExpire := b.expire(ctx)
	errBuilt := b.commitBuilt(ctx)
	errPlan := b.plan(ctx)
	b.measure()
	return errors.Join(errExpire, errBuilt, errPlan)
}

// horizon is the timestamp below which dead versions may be dropped.
func (b *board) horizon() tso.Timestamp {
	return tso.FromTime(b.t.c.now().Add(-b.t.c.cfg.Compact.Retention))
}

// plan tidies the manifests and posts the tasks that are missing.
func (b *board) plan(ctx context.Context) error {
	cache := b.t.c.deps.Cache
	open := openByShard(cache.Tasks())
	counts := map[catalog.TaskKind]int{}
	for _, task := range cache.Tasks() {
		counts[task.Kind]++
	}
	var errAll error
	for _, coll := range cache.AllCollections() {
		for i := range coll.ShardLogs {
			if ctx.Err() != nil || coll.State == catalog.Dropping {
				break
			}
			errAll = errors.Join(errAll, b.planShard(ctx, coll.ID, i, open[shardID{coll.ID, i}], counts))
		}
	}
	return errors.Join(errAll, b.dropObsolete(ctx))
}

type shardID struct {
	collection int64
	shard      int
}

func openByShard(tasks []*catalog.Task) map[shardID][]*catalog.Task {
	out := map[shardID][]*catalog.Task{}
	for _, task := range tasks {
		id := shardID{task.Collection, task.Shard}
		out[id] = append(out[id], task)
	}
	return out
}

func (b *board) planShard(ctx context.Context, collection int64, i int, open []*catalog.Task, counts map[catalog.TaskKind]int) error {
	cache, cfg := b.t.c.deps.Cache, b.t.c.cfg
	// The manifest first: a collection read later knows every partition and index that the manifest can name.
	shard := cache.Shard(collection, i)
	coll := cache.CollectionByID(collection)
	if shard == nil || coll == nil || coll.State == catalog.Dropping {
		return nil
	}
	if err := b.tidy(ctx, shard, coll); err != nil {
		return err
	}
	tasks := planIndexes(coll, shard, open, cfg.Tasks.MinIndexRows, cfg.Tasks.MaxOpen-counts[catalog.TaskIndex])
	if !cfg.Compact.Disabled && coll.Properties["collection.autocompaction.enabled"] != "false" && counts[catalog.TaskCompact] < cfg.Tasks.MaxOpen {
		tasks = append(tasks, planCompactions(coll, shard, open, cfg.Compact, b.horizon())...)
	}
	for k := range tasks {
		counts[tasks[k].Kind]++
	}
	return b.post(ctx, tasks)
}

// tidy removes what a manifest need not name any more.
func (b *board) tidy(ctx context.Context, shard *catalog.Shard, coll *catalog.Collection) error {
	if _, _, changed := tidyShard(coll, shard, b.horizon()); !changed {
		return nil
	}
	_, err := b.t.editShard(ctx, coll.ID, shard.Index, func(s *catalog.Shard, batch *batch) bool {
		// s may be newer than coll; partitions and indexes made since then must not look as if they were gone.
		fresh, kv, err := catalog.Read[catalog.Collection](ctx, b.t.c.deps.Meta, catalog.CollectionKey(coll.ID))
		if err != nil {
			batch.err = err
			return false
		}
		batch.cmps = append(batch.cmps, meta.Compare{Key: kv.Key, ModRev: kv.ModRev})
		next, gone, changed := tidyShard(fresh, s, b.horizon())
		*s = next
		retire(batch, coll.ID, gone, b.t.c.now())
		return changed
	})
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	}
	return err
}

// maxPost bounds the tasks written in one transaction.
const maxPost = 32

// post writes new tasks.
func (b *board) post(ctx context.Context, tasks []catalog.Task) error {
	for len(tasks) > 0 {
		n := min(len(tasks), maxPost)
		var w batch
		for i := range tasks[:n] {
			if err := b.number(ctx, &tasks[i]); err != nil {
				return err
			}
			key := catalog.TaskKey(tasks[i].ID)
			w.cmps = append(w.cmps, meta.Compare{Key: key})
			put(&w, key, &tasks[i])
		}
		if w.err != nil {
			return w.err
		}
		rev, err := b.t.commit(ctx, w.cmps, w.ops)
		if err != nil {
			return fmt.Errorf("post %d tasks: %w", n, err)
		}
		if err := b.t.c.deps.Cache.WaitRevision(ctx, rev); err != nil {
			return err
		}
		b.announce()
		tasks = tasks[n:]
	}
	return nil
}

func (b *board) number(ctx context.Context, task *catalog.Task) error {
	first, err := b.t.ids.alloc(ctx, 2)
	if err != nil {
		return err
	}
	task.ID = first
	if task.Kind == catalog.TaskCompact {
		task.Target = first + 1
	}
	return nil
}

// announce wakes everybody who waits for a task.
func (b *board) announce() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.posted)
	b.posted = make(chan struct{})
}

// dropObsolete removes tasks whose sources or index are gone.
func (b *board) dropObsolete(ctx context.Context) error {
	cache := b.t.c.deps.Cache
	var errAll error
	for _, task := range cache.Tasks() {
		rev := cache.ModRev(catalog.TaskKey(task.ID))
		shard, coll := cache.Shard(task.Collection, task.Shard), cache.CollectionByID(task.Collection)
		if why := worthless(task, coll, b.withBuilt(shard)); why != "" {
			b.t.log.Info("coordinator: task dropped", "task", task.ID, "kind", task.Kind, "reason", why)
			_, err := b.t.commit(ctx, []meta.Compare{{Key: catalog.TaskKey(task.ID), ModRev: rev}}, []meta.Op{{Key: catalog.TaskKey(task.ID), Delete: true}})
			if err != nil && !errors.Is(err, errConflict) {
				errAll = errors.Join(errAll, err)
			}
		}
	}
	return errAll
}

// worthless says why nobody needs a task's result any more, or "".
func worthless(task *catalog.Task, coll *catalog.Collection, shard *catalog.Shard) string {
	if coll == nil || coll.State == catalog.Dropping || shard == nil {
		return "the collection is gone"
	}
	for _, src := range task.Sources {
		found := false
		for i := range shard.Segments {
			if shard.Segments[i].ID == src.ID {
				found = true
				if task.Index != nil && hasIndex(&shard.Segments[i], task.Index.ID) {
					return "the index is built"
				}
			}
		}
		if !found {
			return errSourceGone{src.ID}.Error()
		}
	}
	if task.Kind == catalog.TaskIndex && task.Index != nil {
		for _, x := range coll.Indexes {
			if x.ID == task.Index.ID {
				return ""
			}
		}
		return "the index is dropped"
	}
	return ""
}

// measure sets the gauges.
func (b *board) measure() {
	g := b.t.c.met.tasks
	g.Reset()
	for _, task := range b.t.c.deps.Cache.Tasks() {
		g.WithLabelValues(string(task.Kind), taskState(task, b.t.c.cfg.Tasks.MaxFailures)).Inc()
	}
}

// taskState is a task's state in a word.
func taskState(task *catalog.Task, maxFailures int) string {
	switch {
	case task.Node != 0:
		return "running"
	case task.Built != nil:
		return "indexing"
	case task.Failures >= maxFailures:
		return "failed"
	case task.Failures > 0:
		return "retrying"
	}
	return "waiting"
}
