package coordinator

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// load asks for a collection, or some partitions besides those loaded already, to be served. It returns before they are.
func (t *term) load(ctx context.Context, req *pb.LoadRequest) (*pb.Ack, error) {
	ref := req.GetCollection()
	coll, err := t.find(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, err
	}
	wanted, err := t.wantedLoad(coll, req)
	switch {
	case err != nil:
		return nil, err
	case req.GetRefresh() && coll.Load == nil:
		return nil, errs.Input(errs.CollectionNotLoaded, "collection not loaded[collection=%d]", coll.ID)
	case req.GetRefresh() || sameLoad(coll.Load, wanted):
		return &pb.Ack{Revision: t.c.deps.Cache.Revision(), Id: coll.ID}, nil
	}
	t.flushForLoad(ctx, coll)
	if err := t.checkRoom(coll, wanted); err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	changed, rev, err := t.editCollection(ctx, ref, func(c *catalog.Collection) (bool, error) {
		load, err := t.wantedLoad(c, req)
		if err != nil || sameLoad(c.Load, load) {
			return false, err
		}
		load.At = ts
		c.Load = load
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	t.place.poke()
	return t.finish(ctx, rev, changed.ID)
}

// wantedLoad is what a collection's load becomes by a request, or why it cannot.
func (t *term) wantedLoad(coll *catalog.Collection, req *pb.LoadRequest) (*catalog.Load, error) {
	fields, err := loadFields(coll, req.GetFields())
	if err != nil {
		return nil, err
	}
	if err := checkLoadIndexes(coll, fields); err != nil {
		return nil, err
	}
	load := &catalog.Load{Fields: fields, Replicas: int(req.GetReplicas())}
	if err := t.chooseReplicas(coll, load); err != nil {
		return nil, err
	}
	if len(req.GetPartitions()) == 0 || coll.Load != nil && coll.Load.Partitions == nil {
		_, err := partitionIDs(coll, req.GetPartitions())
		return load, err
	}
	ids, err := partitionIDs(coll, req.GetPartitions())
	if err != nil {
		return nil, err
	}
	if coll.Load != nil {
		ids = append(ids, coll.Load.Partitions...)
	}
	slices.Sort(ids)
	load.Partitions = slices.Compact(ids)
	return load, nil
}

// chooseReplicas fills in the number of replicas; 0 means what it is, or the database's default, or one.
func (t *term) chooseReplicas(coll *catalog.Collection, load *catalog.Load) error {
	switch {
	case load.Replicas < 0:
		return errs.Invalid("replica number should be greater than 0, but got %d", load.Replicas)
	case load.Replicas == 0 && coll.Load != nil:
		load.Replicas = coll.Load.Replicas
	case load.Replicas == 0:
		load.Replicas = 1
		if db := t.c.deps.Cache.Database(coll.DB); db != nil {
			load.Replicas = intProperty(db.Properties, propReplicas, 1)
		}
	}
	live := len(t.c.nodesOf(catalog.RoleQueryNode))
	if load.Replicas > max(live, 1) {
		return errs.New(codeInsufficient, "service resource insufficient: %d replicas need as many querynodes, %d are live", load.Replicas, live)
	}
	return nil
}

// partitionIDs looks partitions up by name.
func partitionIDs(coll *catalog.Collection, names []string) ([]int64, error) {
	if len(names) > 0 && coll.NumPartitions > 0 {
		return nil, errs.Invalid("disable load partitions if partition key mode is used")
	}
	var out []int64
	for _, name := range names {
		p := findPartition(coll, name)
		if p == nil {
			return nil, noPartition(name)
		}
		out = append(out, p.ID)
	}
	return out, nil
}

// loadFields looks fields up by name. A choice must hold the primary key and a vector; nil means all.
func loadFields(coll *catalog.Collection, names []string) ([]int64, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var out []int64
	vector := false
	for _, name := range names {
		f := coll.Schema.Field(name)
		if f == nil {
			return nil, errs.Input(errs.FieldNotFound, "field not found[field=%s]", name)
		}
		vector = vector || f.Type.IsVector()
		out = append(out, f.ID)
	}
	for _, f := range coll.Schema.Fields {
		if (f.PrimaryKey || f.PartitionKey) && !slices.Contains(out, f.ID) {
			return nil, errs.Invalid("load field list %v does not contain %s field %s", names, keyWord(f), f.Name)
		}
	}
	if !vector {
		return nil, errs.Invalid("load field list %v does not contain vector field", names)
	}
	return out, nil
}

func keyWord(f schema.Field) string {
	if f.PrimaryKey {
		return "primary key"
	}
	return "partition key"
}

// checkLoadIndexes says which vector field to be loaded has no index.
func checkLoadIndexes(coll *catalog.Collection, fields []int64) error {
	var without []string
	for _, f := range coll.Schema.VectorFields() {
		if fields != nil && !slices.Contains(fields, f.ID) {
			continue
		}
		if !slices.ContainsFunc(coll.Indexes, func(x catalog.Index) bool { return x.FieldID == f.ID }) {
			without = append(without, f.Name)
		}
	}
	switch {
	case len(coll.Indexes) == 0:
		return errs.Input(errs.IndexNotFound, "index not found[collection=%s]", coll.Name)
	case len(without) > 0:
		return errs.Invalid("there is no vector index on field: %v, please create index firstly", without)
	}
	return nil
}

func sameLoad(a, b *catalog.Load) bool {
	return a != nil && b != nil && a.Replicas == b.Replicas && (a.Partitions == nil) == (b.Partitions == nil) &&
		slices.Equal(a.Partitions, b.Partitions) && slices.Equal(a.Fields, b.Fields)
}

// flushForLoad seals the shards, so that the views begin behind what was written before: a node that follows the log for
// some partitions only has dropped the others' rows. Without an owner, or when it takes long, loading goes on with what
// is sealed; a view then begins further back.
func (t *term) flushForLoad(ctx context.Context, coll *catalog.Collection) {
	ctx, cancel := context.WithTimeout(ctx, t.c.cfg.LoadFlushTimeout)
	defer cancel()
	byLog := map[int][]int32{}
	for i, log := range coll.ShardLogs {
		byLog[log] = append(byLog[log], int32(i))
	}
	var group errgroup.Group
	for log, shards := range byLog {
		group.Go(func() error {
			if err := t.flushLog(ctx, coll.ID, log, shards); err != nil {
				t.log.Warn("coordinator: load goes on without a flush", "collection", coll.Name, "log", log, "error", err)
			}
			return nil
		})
	}
	_ = group.Wait() // each failure is logged above
}

func (t *term) flushLog(ctx context.Context, collection int64, log int, shards []int32) error {
	owner := t.c.deps.Cache.Owner(log)
	if owner == nil {
		return errs.New(errs.Unavailable, "log %d has no owner", log)
	}
	client, err := t.c.deps.Peers.DataNode(owner.Addr)
	if err != nil {
		return err
	}
	resp, err := client.Flush(ctx, &pb.FlushRequest{Collection: collection, Log: int32(log), Shards: shards})
	if err != nil {
		return err
	}
	state := &pb.FlushStateRequest{Collection: collection, Log: int32(log), Shards: shards, FlushTs: resp.GetFlushTs()}
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, 200*time.Millisecond) {
		got, err := client.FlushState(ctx, state)
		if err != nil {
			return err
		}
		if got.GetFlushed() {
			return t.awaitManifest(ctx)
		}
		if ctx.Err() != nil {
			return errs.New(errs.Timeout, "not flushed in time: %w", ctx.Err())
		}
		sleep(ctx, delay)
	}
}

// awaitManifest waits until the cache shows the manifests as they are now.
func (t *term) awaitManifest(ctx context.Context) error {
	_, rev, err := t.c.deps.Meta.List(ctx, catalog.ClusterKey)
	if err != nil {
		return err
	}
	return t.c.deps.Cache.WaitRevision(ctx, rev)
}
