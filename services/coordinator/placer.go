package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
)

// placer makes the published views follow what place wants. Each shard and replica is handed over by a job of its own,
// so that one that cannot be made ready holds up no other.
type placer struct {
	t     *term
	wake  chan struct{}
	calls chan struct{} // bounds the calls of PrepareView under way
	wg    sync.WaitGroup

	mu        sync.Mutex // guards all below
	jobs      map[viewID]*job
	published map[viewID]time.Time         // by this leader
	avoid     map[catalog.NodeID]time.Time // nodes that do not become ready, and until when they get nothing new
	problems  []string
}

// viewID names a view apart from its number.
type viewID struct {
	collection int64
	shard      int
	replica    int
}

func idOf(v *catalog.View) viewID { return viewID{v.Collection, v.Shard, v.Replica} }

func (id viewID) String() string {
	return fmt.Sprintf("collection %d shard %d replica %d", id.collection, id.shard, id.replica)
}

// maxPrepareCalls bounds the calls of PrepareView under way.
const maxPrepareCalls = 128

func newPlacer(t *term) *placer {
	return &placer{
		t: t, wake: make(chan struct{}, 1), calls: make(chan struct{}, maxPrepareCalls),
		jobs: map[viewID]*job{}, published: map[viewID]time.Time{}, avoid: map[catalog.NodeID]time.Time{},
	}
}

// run looks at the placement whenever the catalog changes or a job ends, until ctx ends.
func (p *placer) run(ctx context.Context) error {
	changed, cancel := p.t.c.deps.Cache.Subscribe()
	defer cancel()
	defer p.wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var took time.Duration
	for {
		select {
		case <-changed:
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		// A plan over very many segments takes a while: it shall not take more than a fifth of the time.
		sleep(ctx, max(p.t.c.cfg.Placement.Settle, 4*took))
		began := time.Now()
		p.look(ctx)
		took = time.Since(began)
		if err := p.dropOrphans(ctx); err != nil && ctx.Err() == nil {
			p.t.log.Warn("coordinator: remove views that nobody wants", "error", err)
		}
		timer.Reset(p.t.c.cfg.Placement.Interval)
	}
}

// poke asks for another look.
func (p *placer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// look plans once and starts, replaces or ends jobs.
func (p *placer) look(ctx context.Context) {
	wanted, problems := place(p.input())
	byID := make(map[viewID]*catalog.View, len(wanted))
	for i := range wanted {
		byID[idOf(&wanted[i])] = &wanted[i]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = problems
	for id, j := range p.jobs {
		p.review(j, byID[id])
	}
	for i := range wanted {
		v := &wanted[i]
		if p.jobs[idOf(v)] == nil && ctx.Err() == nil && p.worthwhile(v) {
			p.start(ctx, v)
		}
	}
	maps.DeleteFunc(p.published, func(id viewID, _ time.Time) bool { return byID[id] == nil })
	maps.DeleteFunc(p.avoid, func(n catalog.NodeID, until time.Time) bool { return !p.alive(n) || time.Now().After(until) })
	p.t.c.met.waiting.Set(float64(len(p.jobs)))
}

// avoidFor is for how many times StuckAfter a node that does not become ready gets nothing new.
const avoidFor = 10

// review ends a job that can no longer succeed, or that is stuck while something else is wanted. Otherwise it may finish:
// stopping each job at each new segment would starve the shard. mu is held.
func (p *placer) review(j *job, wanted *catalog.View) {
	cache, after := p.t.c.deps.Cache, p.t.c.cfg.Placement.StuckAfter
	why := obsolete(j.view, cache.CollectionByID(j.view.Collection), cache.Shard(j.view.Collection, j.view.Shard), p.alive)
	stuck := j.stuck(after)
	for _, n := range stuck {
		p.avoid[n] = time.Now().Add(avoidFor * after)
	}
	if why == "" && j.behind(wanted) {
		why = fmt.Sprintf("the log begins behind position %d by now", j.view.From)
	}
	if why == "" && len(stuck) > 0 && wanted != nil && !sameServing(j.view, wanted) {
		why = fmt.Sprintf("nodes %v are stuck, something else is wanted by now", stuck)
	}
	if why != "" {
		j.cancel(errors.New(why))
	}
}

// dropOrphans removes the views of replicas that are not wanted any more. A release removes its views by itself.
func (p *placer) dropOrphans(ctx context.Context) error {
	cache := p.t.c.deps.Cache
	for _, coll := range cache.AllCollections() {
		for _, v := range cache.Views(coll.ID) {
			collKey, key := catalog.CollectionKey(coll.ID), catalog.ViewKey(coll.ID, v.Shard, v.Replica)
			// Revisions before records: a record that is newer than its revision fails the compare, never passes it.
			cmps := []meta.Compare{{Key: collKey, ModRev: cache.ModRev(collKey)}, {Key: key, ModRev: cache.ModRev(key)}}
			now := cache.CollectionByID(coll.ID)
			if now == nil || now.Load != nil && v.Replica < max(now.Load.Replicas, 1) {
				continue
			}
			if _, err := p.t.commit(ctx, cmps, []meta.Op{{Key: key, Delete: true}}); err != nil && !errors.Is(err, errConflict) {
				return err
			}
		}
	}
	return nil
}

// worthwhile reports whether a wanted view differs enough from the published one. mu is held.
func (p *placer) worthwhile(v *catalog.View) bool {
	cur := p.t.c.deps.Cache.View(v.Collection, v.Shard, v.Replica)
	if cur == nil || !sameServing(cur, v) {
		return true
	}
	if v.From == cur.From {
		return false
	}
	at, ok := p.published[idOf(v)]
	if !ok {
		p.published[idOf(v)] = time.Now() // published by a former leader: count from now
		return false
	}
	return time.Since(at) > p.t.c.cfg.Placement.AdvanceAfter
}

func (p *placer) alive(n catalog.NodeID) bool {
	return p.t.c.deps.Cache.Node(catalog.RoleQueryNode, n) != nil
}

func (p *placer) avoided(n catalog.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.avoid[n])
}

// input reads what place needs from the cache.
func (p *placer) input() placeInput {
	cache := p.t.c.deps.Cache
	in := placeInput{Slack: p.t.c.cfg.Placement.Slack}
	for _, n := range p.t.c.nodesOf(catalog.RoleQueryNode) {
		in.Nodes = append(in.Nodes, placeNode{ID: n.ID, Draining: n.Draining, Avoid: p.avoided(n.ID), Memory: n.Memory})
	}
	for _, coll := range cache.AllCollections() {
		if coll.State == catalog.Dropping || coll.Load == nil {
			continue
		}
		for i := range coll.ShardLogs {
			if s, ok := p.shardInput(coll, i); ok {
				in.Shards = append(in.Shards, s)
			}
		}
	}
	return in
}

func (p *placer) shardInput(coll *catalog.Collection, i int) (placeShard, bool) {
	cache := p.t.c.deps.Cache
	shard := cache.Shard(coll.ID, i)
	if shard == nil {
		return placeShard{}, false
	}
	s := placeShard{
		Collection: coll.ID, Shard: i, Log: coll.ShardLogs[i], Replicas: max(coll.Load.Replicas, 1),
		Partitions: coll.Load.Partitions, From: shard.Checkpoint, MinReadTS: shard.Horizon, Current: map[int]*catalog.View{},
	}
	for _, seg := range shard.Segments {
		if !loaded(coll, seg.Partition) {
			continue
		}
		s.Segments = append(s.Segments, placeSegment{ID: seg.ID, Bytes: max(segmentMemory(coll, &seg), 1)})
	}
	for r := range s.Replicas {
		if v := cache.View(coll.ID, i, r); v != nil {
			s.Current[r] = v
		}
	}
	return s, true
}

// loaded reports whether a partition of a collection is to be served.
func loaded(coll *catalog.Collection, partition int64) bool {
	if coll.Load == nil {
		return false
	}
	if coll.Load.Partitions != nil {
		return slices.Contains(coll.Load.Partitions, partition)
	}
	return slices.ContainsFunc(coll.Partitions, func(p catalog.Partition) bool {
		return p.ID == partition && p.State != catalog.Dropping
	})
}

// start begins a job. mu is held.
func (p *placer) start(ctx context.Context, v *catalog.View) {
	jobCtx, cancel := context.WithCancelCause(ctx)
	j := &job{p: p, view: v, began: time.Now(), cancel: cancel, waiting: map[catalog.NodeID]string{}, progress: map[catalog.NodeID]float32{}, moved: map[catalog.NodeID]time.Time{}}
	p.jobs[idOf(v)] = j
	p.wg.Go(func() {
		defer cancel(nil)
		err := j.run(jobCtx)
		p.done(j, err)
	})
}

func (p *placer) done(j *job, err error) {
	id := idOf(j.view)
	p.mu.Lock()
	if p.jobs[id] == j {
		delete(p.jobs, id)
	}
	if err == nil {
		p.published[id] = time.Now()
	}
	p.mu.Unlock()
	if err == nil {
		p.t.c.met.views.Inc()
		p.t.log.Info("coordinator: view published", "view", id.String(), "number", j.view.Number,
			"leader", j.view.Leader, "segments", len(j.view.Segments), "took", time.Since(j.began))
	} else {
		p.t.log.Info("coordinator: view given up", "view", id.String(), "reason", err)
	}
	p.poke()
}

// state is how far a shard and replica that is not served as wanted is: 0 to 1, and what it waits for.
func (p *placer) state(id viewID) (float32, string) {
	p.mu.Lock()
	j, problems := p.jobs[id], p.problems
	p.mu.Unlock()
	if j != nil {
		return j.state()
	}
	if len(problems) > 0 {
		return 0, problems[0]
	}
	return 0, ""
}

// stuck are the preparations that take too long, in words.
func (p *placer) stuck() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := slices.Clone(p.problems)
	for _, j := range p.jobs {
		if len(j.stuck(p.t.c.cfg.Placement.StuckAfter)) > 0 {
			_, why := j.state()
			out = append(out, fmt.Sprintf("%s: the next view is not ready after %s: %s", idOf(j.view), time.Since(j.began).Round(time.Second), why))
		}
	}
	for n, until := range p.avoid {
		if time.Now().Before(until) && p.alive(n) {
			out = append(out, fmt.Sprintf("querynode %d does not become ready for what it was given; it gets nothing new for %s", n, time.Until(until).Round(time.Second)))
		}
	}
	slices.Sort(out)
	return out
}
