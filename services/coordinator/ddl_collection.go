package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Codes of the API that only the coordinator uses.
const (
	codeInsufficient errs.Code = 12  // not enough querynodes
	codeCapacity     errs.Code = 250 // sum of partitions x shards
)

// defaultKeyPartitions is the number of partitions of a collection with a partition key that names none.
const defaultKeyPartitions = 16

func (t *term) createCollection(ctx context.Context, req *pb.CreateCollectionRequest) (*pb.Ack, error) {
	wanted, err := t.wantedCollection(req)
	if err != nil {
		return nil, err
	}
	if err := t.assignIDs(ctx, wanted); err != nil {
		return nil, err
	}
	id := wanted.ID
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		same, err := t.checkNewCollection(wanted)
		if err != nil {
			return err
		}
		if same != nil {
			id, wanted.ShardLogs = same.ID, same.ShardLogs
			return nil
		}
		wanted.ShardLogs = placeShards(t.shardsPerLog(), len(wanted.ShardLogs))
		put(b, catalog.CollectionKey(wanted.ID), wanted)
		for i, log := range wanted.ShardLogs {
			put(b, catalog.ShardKey(wanted.ID, i), &catalog.Shard{Collection: wanted.ID, Index: i, Log: log})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id, wanted.ShardLogs...)
}

// wantedCollection is the collection that a request asks for, checked for itself; ids, logs and times are not set.
func (t *term) wantedCollection(req *pb.CreateCollectionRequest) (*catalog.Collection, error) {
	limits := t.c.cfg.Limits
	coll := &catalog.Collection{
		DB: req.GetDb(), Name: req.GetName(), Description: req.GetDescription(), State: catalog.Ready,
		Consistency: req.GetConsistency(), Properties: maps.Clone(req.GetProperties()),
	}
	if err := json.Unmarshal(req.GetSchemaJson(), &coll.Schema); err != nil {
		return nil, errs.Invalid("schema of collection %s cannot be read: %v", req.GetName(), err)
	}
	coll.Schema.Version = 1
	shards := max(int(req.GetShards()), 1)
	if shards > limits.Shards {
		return nil, errs.Invalid("maximum shards's number should be limited to %d", limits.Shards)
	}
	coll.ShardLogs = make([]int, shards)
	if err := checkName("collection", coll.Name); err != nil {
		return nil, err
	}
	if err := checkSchema(&coll.Schema, limits); err != nil {
		return nil, err
	}
	for _, f := range coll.Schema.Fields {
		if f.PartitionKey {
			coll.NumPartitions = int(req.GetNumPartitions())
			if coll.NumPartitions <= 0 {
				coll.NumPartitions = defaultKeyPartitions
			}
		}
	}
	if coll.NumPartitions > limits.Partitions {
		return nil, errs.Invalid("partition number (%d) exceeds max configuration (%d)", coll.NumPartitions, limits.Partitions)
	}
	return coll, nil
}

// assignIDs gives the collection and its partitions ids and times.
func (t *term) assignIDs(ctx context.Context, coll *catalog.Collection) error {
	n := max(coll.NumPartitions, 1)
	first, err := t.ids.alloc(ctx, uint32(1+n))
	if err != nil {
		return err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return err
	}
	coll.ID, coll.CreatedTS, coll.UpdatedTS = first, ts, ts
	for i := range n {
		name := catalog.DefaultPartition
		if coll.NumPartitions > 0 {
			name = fmt.Sprintf("%s_%d", catalog.DefaultPartition, i)
		}
		coll.Partitions = append(coll.Partitions, catalog.Partition{ID: first + 1 + int64(i), Name: name, State: catalog.Ready, CreatedTS: ts})
	}
	return nil
}

// checkNewCollection says why a collection cannot be made now. A collection of that name and definition is returned.
func (t *term) checkNewCollection(wanted *catalog.Collection) (*catalog.Collection, error) {
	cache := t.c.deps.Cache
	db := cache.Database(wanted.DB)
	if db == nil {
		return nil, noDatabase(wanted.DB)
	}
	if _, taken := cache.Alias(wanted.DB, wanted.Name); taken {
		return nil, errs.Input(errs.AliasCollectionClash, "alias and collection name conflict[database=%s][alias=%s]", wanted.DB, wanted.Name)
	}
	if have := cache.Collection(wanted.DB, wanted.Name); have != nil {
		if sameDefinition(have, wanted) {
			return have, nil
		}
		return nil, errs.Invalid("create duplicate collection with different parameters, collection: %s", wanted.Name)
	}
	limits := t.c.cfg.Limits
	all := cache.AllCollections()
	if limit := intProperty(db.Properties, propMaxCollections, limits.Collections); len(cache.Collections(wanted.DB)) >= limit || len(all) >= limits.Collections {
		return nil, errs.Input(errs.CollectionLimit, "exceeded the limit number of collections[limit=%d]", min(limit, limits.Collections))
	}
	capacity := len(wanted.Partitions) * len(wanted.ShardLogs)
	for _, c := range all {
		capacity += len(c.Partitions) * len(c.ShardLogs)
	}
	if capacity > limits.Capacity {
		return nil, errs.Input(codeCapacity, "exceeded the limit of general capacity: partitions x shards of all collections would be %d[limit=%d]", capacity, limits.Capacity)
	}
	return nil, nil
}

// shardsPerLog counts the shards by log.
func (t *term) shardsPerLog() []int {
	logs := 1
	if cluster := t.c.deps.Cache.Cluster(); cluster != nil {
		logs = max(cluster.Logs, 1)
	}
	counts := make([]int, logs)
	for _, c := range t.c.deps.Cache.AllCollections() {
		for _, l := range c.ShardLogs {
			if l >= 0 && l < logs {
				counts[l]++
			}
		}
	}
	return counts
}

func (t *term) renameCollection(ctx context.Context, req *pb.RenameCollectionRequest) (*pb.Ack, error) {
	newDB := req.GetNewDb()
	if newDB == "" {
		newDB = req.GetDb()
	}
	if err := checkName("collection", req.GetNewName()); err != nil {
		return nil, err
	}
	coll, unlock, err := t.ddl.lockNamed(ctx, req.GetDb(), req.GetName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	if coll.Name != req.GetName() {
		return nil, errs.Invalid("unsupported use an alias to rename collection, alias:%s", req.GetName())
	}
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		coll, err := t.current(req.GetDb(), req.GetName(), coll.ID)
		if err != nil {
			return err
		}
		if err := t.checkNewName(coll, newDB, req.GetNewName()); err != nil {
			return err
		}
		changed := *coll
		changed.DB, changed.Name = newDB, req.GetNewName()
		put(b, catalog.CollectionKey(coll.ID), &changed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, coll.ID)
}

func (t *term) checkNewName(coll *catalog.Collection, db, name string) error {
	cache := t.c.deps.Cache
	if cache.Database(db) == nil {
		return noDatabase(db)
	}
	if _, alias := cache.Alias(db, name); alias {
		return errs.Input(errs.AliasCollectionClash, "alias and collection name conflict[database=%s][alias=%s]", db, name)
	}
	if cache.Collection(db, name) != nil {
		return errs.Invalid("duplicated new collection name %s in database %s with other collection name or alias", name, db)
	}
	if db != coll.DB && len(cache.AliasesOf(coll.ID)) > 0 {
		return errs.Invalid("fail to rename collection to a different database, must drop all aliases of collection %s before rename", coll.Name)
	}
	return nil
}

// editCollection changes one collection's record under its lock. edit gets a copy and says whether anything changed.
func (t *term) editCollection(ctx context.Context, ref *pb.CollectionRef, edit func(c *catalog.Collection) (bool, error)) (*catalog.Collection, int64, error) {
	found, unlock, err := t.ddl.lockNamed(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	return t.editLocked(ctx, ref, found.ID, edit)
}

// editLocked is editCollection for a caller that holds the collection's lock.
func (t *term) editLocked(ctx context.Context, ref *pb.CollectionRef, id int64, edit func(c *catalog.Collection) (bool, error)) (*catalog.Collection, int64, error) {
	var changed catalog.Collection
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		coll, err := t.current(ref.GetDb(), ref.GetName(), id)
		if err != nil {
			return err
		}
		changed = *coll
		ok, err := edit(&changed)
		if err == nil && ok {
			put(b, catalog.CollectionKey(id), &changed)
		}
		return err
	})
	return &changed, rev, err
}

// touchSchema marks a change of the schema.
func touchSchema(c *catalog.Collection, ts tso.Timestamp) {
	c.Schema.Version++
	c.UpdatedTS = max(ts, c.UpdatedTS+1)
}
