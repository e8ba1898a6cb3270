package proxy

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// reading is what one read request fixes before it fans out, and keeps over every attempt.
type reading struct {
	p             *Proxy
	c             *catalog.Collection // its schema is the one that the request was checked against
	shards        []int
	snapshots     []*pb.Snapshot
	named         []int64 // the partitions that the request names
	partitions    []int64 // those to read: never empty, so that rows of a dropped one are not shown
	ignoreGrowing bool
	now           uint64
	demand        demand
}

// readSpec says what to read.
type readSpec struct {
	partitions    []string
	ignoreGrowing bool
	wish          wish
	// filter, if set, may tell that only some shards can have rows.
	filter *plan.Plan
}

// readable says why some partitions, or all, of a collection cannot be read: first what is wrong with the request, then
// that nothing is loaded.
func readable(c *catalog.Collection, partitions []string) error {
	if err := refuseNamedPartitions(c, len(partitions)); err != nil {
		return err
	}
	if _, err := partitionIDs(c, partitions); err != nil {
		return err
	}
	if c.Load == nil {
		return collectionNotLoaded(c)
	}
	return nil
}

// begin checks that a collection can be read and chooses the snapshots.
func (p *Proxy) begin(ctx context.Context, c *catalog.Collection, spec readSpec) (*reading, error) {
	if err := readable(c, spec.partitions); err != nil {
		return nil, err
	}
	ids, err := partitionIDs(c, spec.partitions)
	if err != nil {
		return nil, err
	}
	r := &reading{
		p: p, c: c, named: ids, partitions: ids, ignoreGrowing: spec.ignoreGrowing, now: tso.FromTime(time.Now()),
		shards: shardsToRead(c, spec.filter), demand: demandOf(c, spec.wish),
	}
	if len(ids) == 0 {
		r.partitions = partitionsToRead(c, spec.filter)
	}
	if r.demand.kind == newest {
		if err := p.needLease(ctx); err != nil {
			return nil, err
		}
	}
	_, err = r.views()
	if errs.Is(err, errs.CollectionNotFully) {
		// A load that has just been answered may be news to this proxy.
		if err := p.catchUp(ctx); err != nil {
			return nil, err
		}
		_, err = r.views()
	}
	if err != nil && !worthRetry(err) {
		return nil, err // not loaded, or not yet: known without asking anybody
	}
	if spec.wish.iterator && r.demand.kind != pinned {
		return r, r.pin(ctx)
	}
	return r, r.choose(ctx)
}

func (r *reading) choose(ctx context.Context) (err error) {
	r.snapshots, err = r.p.reads.choose(ctx, r.logs(), r.demand)
	return err
}

// pin chooses one timestamp for all logs, so that the pages of an iterator, which know only one, show the same state.
func (r *reading) pin(ctx context.Context) error {
	if err := r.choose(ctx); err != nil {
		return err
	}
	ts := r.sessionTS()
	if ts == 0 { // nothing was ever written
		var err error
		if ts, err = r.p.allocTimestamp(ctx); err != nil {
			return err
		}
	}
	r.demand = demand{kind: pinned, ts: ts}
	return r.choose(ctx)
}

// sessionTS is the timestamp that the read shows; the highest one if the logs differ.
func (r *reading) sessionTS() uint64 {
	ts := uint64(0)
	for _, s := range r.snapshots {
		ts = max(ts, s.ReadTs)
	}
	return ts
}

// shardsToRead are the shards that can have rows for a filter.
func shardsToRead(c *catalog.Collection, filter *plan.Plan) []int {
	if filter != nil {
		if keys, ok := filter.RequiredKeys(c.Schema.PrimaryKey().ID); ok && keys.Len() > 0 {
			some := shardsOf(keys, len(c.ShardLogs))
			slices.Sort(some)
			return slices.Compact(some)
		}
	}
	all := make([]int, len(c.ShardLogs))
	for i := range all {
		all[i] = i
	}
	return all
}

// partitionsToRead are the loaded partitions that can have rows for a filter: with a partition key, those of the values
// that the filter names.
func partitionsToRead(c *catalog.Collection, filter *plan.Plan) []int64 {
	key := partitionKeyField(c)
	if key == 0 || filter == nil {
		return loadedPartitions(c)
	}
	values, ok := filter.RequiredKeys(key)
	if !ok || values.Len() == 0 {
		return loadedPartitions(c)
	}
	parts := livePartitions(c)
	col := schema.Column{Type: schema.Int64, N: values.Len(), Ints: values.Ints, Strings: values.Strings}
	if values.Strings != nil {
		col.Type = schema.VarChar
	}
	var out []int64
	for i := range col.N {
		out = append(out, parts[keyPartition(&col, i, len(parts))].ID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *reading) logs() []int {
	var out []int
	for _, shard := range r.shards {
		out = append(out, r.c.ShardLogs[shard])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// views chooses, for each shard, the view of a replica whose nodes live.
func (r *reading) views() ([]*catalog.View, error) {
	cache := r.p.deps.Cache
	c := cache.CollectionByID(r.c.ID)
	switch {
	case c == nil || c.State == catalog.Dropping:
		return nil, collectionNotFound(r.c.DB, r.c.Name)
	case c.Load == nil:
		return nil, collectionNotLoaded(c)
	}
	for _, id := range r.named {
		if !partitionLoaded(c, id) {
			return nil, errs.Input(errs.PartitionNotLoaded, "partition not loaded[collection=%s][partition=%d]", c.Name, id)
		}
	}
	byShard := map[int][]*catalog.View{}
	for _, v := range cache.Views(c.ID) {
		byShard[v.Shard] = append(byShard[v.Shard], v)
	}
	first := rand.IntN(max(c.Load.Replicas, 1))
	out := make([]*catalog.View, 0, len(r.shards))
	for _, shard := range r.shards {
		v, err := r.viewOf(shard, byShard[shard], first)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// viewOf chooses one of a shard's views, from replica first on, so that a request meets the same nodes for all shards.
func (r *reading) viewOf(shard int, views []*catalog.View, first int) (*catalog.View, error) {
	covering := views[:0:0]
	for _, v := range views {
		if covers(v, r.named) {
			covering = append(covering, v)
		}
	}
	if len(covering) == 0 {
		return nil, errs.New(errs.CollectionNotFully, "collection not fully loaded[collection=%d]: shard %d is not served yet", r.c.ID, shard)
	}
	for i := range covering {
		v := covering[(first+i)%len(covering)]
		if r.alive(v) {
			return v, nil
		}
	}
	return nil, errs.New(errs.Unavailable, "a query node that serves shard %d of collection %s is gone", shard, r.c.Name)
}

func covers(v *catalog.View, partitions []int64) bool {
	if v.Partitions == nil {
		return true
	}
	for _, id := range partitions {
		if !slices.Contains(v.Partitions, id) {
			return false
		}
	}
	return true
}

func (r *reading) alive(v *catalog.View) bool {
	for _, id := range viewNodes(v) {
		if r.p.deps.Cache.Node(catalog.RoleQueryNode, id) == nil {
			return false
		}
	}
	return true
}

// route is one node's part of a read.
type route struct {
	node   int64
	client pb.QueryNodeClient
	scope  *pb.Scope
}

// routes groups views by node: one call per node and phase.
func (r *reading) routes(views []*catalog.View) ([]route, error) {
	scopes := map[int64]*pb.Scope{}
	var order []int64
	for _, v := range views {
		for _, id := range viewNodes(v) {
			if scopes[id] == nil {
				scopes[id] = &pb.Scope{
					Collection: r.c.ID, Snapshots: r.snapshots, Partitions: r.partitions, IgnoreGrowing: r.ignoreGrowing,
					NowTs: r.now, SchemaVersion: r.c.Schema.Version, Node: id, TruncatedTs: r.c.TruncatedTS,
				}
				order = append(order, id)
			}
			scopes[id].Views = append(scopes[id].Views, &pb.ViewRef{Shard: int32(v.Shard), Replica: int32(v.Replica), Number: v.Number})
		}
	}
	slices.Sort(order)
	out := make([]route, 0, len(order))
	for _, id := range order {
		n := r.p.deps.Cache.Node(catalog.RoleQueryNode, id)
		if n == nil {
			return nil, errs.New(errs.Unavailable, "query node %d is gone", id)
		}
		client, err := r.p.deps.Peers.QueryNode(n.Addr)
		if err != nil {
			return nil, err
		}
		out = append(out, route{node: id, client: client, scope: scopes[id]})
	}
	return out, nil
}

// run calls attempt with the nodes to ask until it succeeds, fails for good, or time is up. Each attempt begins from
// nothing, at the same snapshots.
func (r *reading) run(ctx context.Context, attempt func(ctx context.Context, routes []route) error) error {
	for {
		err := r.once(ctx, attempt)
		if err == nil {
			r.p.reads.served(r.snapshots)
			return nil
		}
		tooOld := errs.Is(err, errs.SnapshotTooOld) && r.demand.kind != pinned
		if ctx.Err() != nil || !worthRetry(err) && !tooOld {
			return err
		}
		r.p.metrics.reruns.WithLabelValues("read", codeLabel(err)).Inc()
		if err := r.p.pause(ctx, err); err != nil {
			return err
		}
		if tooOld {
			r.demand = demand{kind: newest}
			if err := r.choose(ctx); err != nil {
				return err
			}
		}
	}
}

func (r *reading) once(ctx context.Context, attempt func(ctx context.Context, routes []route) error) error {
	views, err := r.views()
	if err != nil {
		return err
	}
	routes, err := r.routes(views)
	if err != nil {
		return err
	}
	inner, cancel := r.p.whileTrue(ctx, func() bool {
		return !slices.ContainsFunc(routes, func(rt route) bool { return r.p.deps.Cache.Node(catalog.RoleQueryNode, rt.node) == nil })
	})
	defer cancel()
	return attempt(inner, routes)
}

// each calls fn for every route at once and returns the first failure, having canceled the others.
func each(ctx context.Context, routes []route, fn func(ctx context.Context, i int) error) error {
	if len(routes) == 1 {
		return fn(ctx, 0)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range routes {
		g.Go(func() error { return fn(ctx, i) })
	}
	return g.Wait()
}
