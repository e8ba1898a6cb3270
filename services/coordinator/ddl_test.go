package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestDatabases(t *testing.T) {
	inWorld(t, func(c *Config) { c.Limits = DefaultConfig().Limits; c.Limits.Databases = 3 }, func(w *world) {
		db := func(name string) *pb.DatabaseRequest { return &pb.DatabaseRequest{Name: name} }
		refused := func(ack *pb.Ack, err error) func(errs.Code, string) {
			return func(code errs.Code, text string) { t.Helper(); w.refused(ack, err, code, text) }
		}
		w.must(w.c.CreateDatabase(w.ctx, &pb.DatabaseRequest{Name: "a", Properties: map[string]string{"x": "1", propMaxCollections: "1"}}))
		refused(w.c.CreateDatabase(w.ctx, db("a")))(errs.InvalidParameter, "already exist")
		refused(w.c.CreateDatabase(w.ctx, db("1a")))(errs.DatabaseInvalidName, "first character")
		w.must(w.c.CreateDatabase(w.ctx, db("b")))
		refused(w.c.CreateDatabase(w.ctx, db("c")))(errs.DatabaseLimit, "[limit=3]")
		refused(w.c.DropDatabase(w.ctx, db(DefaultDatabase)))(errs.InvalidParameter, "default database")
		refused(w.c.DropDatabase(w.ctx, db("nope")))(errs.DatabaseNotFound, "database not found[database=nope]")
		w.must(w.c.AlterDatabase(w.ctx, &pb.DatabaseRequest{Name: "a", Properties: map[string]string{"y": "2"}}))
		w.must(w.c.AlterDatabase(w.ctx, &pb.DatabaseRequest{Name: "a", DeleteKeys: []string{"x"}}))
		if got := w.cache.Database("a").Properties; got["y"] != "2" || got["x"] != "" || len(got) != 2 {
			t.Errorf("properties %v", got)
		}
		req := createRequest("c", 1)
		req.Db = "a"
		w.must(w.c.CreateCollection(w.ctx, req))
		refused(w.c.DropDatabase(w.ctx, db("a")))(errs.InvalidParameter, "not empty")
		req.Name = "d"
		refused(w.c.CreateCollection(w.ctx, req))(errs.CollectionLimit, "[limit=1]")
		w.must(w.c.DropCollection(w.ctx, &pb.CollectionRef{Db: "a", Name: "c"}))
		w.must(w.c.DropDatabase(w.ctx, db("a")))
		refused(w.c.CreateCollection(w.ctx, req))(errs.DatabaseNotFound, "database not found[database=a]")
	})
}

func TestCreateCollection(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		ack := w.must(w.c.CreateCollection(w.ctx, createRequest("a", 3)))
		coll := w.cache.Collection("default", "a")
		if coll == nil || coll.ID != ack.Id || coll.State != catalog.Ready || coll.Schema.Version != 1 || coll.UpdatedTS == 0 || coll.UpdatedTS != coll.CreatedTS {
			t.Fatalf("collection %+v", coll)
		}
		if len(coll.Partitions) != 1 || coll.Partitions[0].Name != "_default" || coll.Partitions[0].ID == coll.ID {
			t.Errorf("partitions %+v", coll.Partitions)
		}
		for i, log := range coll.ShardLogs {
			if s := w.cache.Shard(coll.ID, i); s == nil || s.Log != log || s.Collection != coll.ID {
				t.Errorf("shard %d: %+v in log %d", i, s, log)
			}
		}
		if fmt.Sprint(coll.ShardLogs) != "[0 1 0]" {
			t.Errorf("shards in logs %v", coll.ShardLogs)
		}
		if again := w.must(w.c.CreateCollection(w.ctx, createRequest("a", 3))); again.Id != ack.Id {
			t.Errorf("creating the same again made %d beside %d", again.Id, ack.Id)
		}
		w.refused2(w.c.CreateCollection(w.ctx, createRequest("a", 2)))(errs.InvalidParameter, "create duplicate collection with different parameters, collection: a")
		w.refused2(w.c.CreateCollection(w.ctx, createRequest("b", 17)))(errs.InvalidParameter, "limited to 16")
		w.refused2(w.c.CreateCollection(w.ctx, createRequest("no-hyphen", 1)))(errs.InvalidParameter, "Invalid collection name: no-hyphen")
		bad := createRequest("b", 1)
		bad.SchemaJson = []byte(`{"fields":[{"id":100,"name":"id","type":5,"primary_key":true}]}`)
		w.refused2(w.c.CreateCollection(w.ctx, bad))(errs.InvalidParameter, "schema does not contain vector field")
		w.must(w.c.CreateAlias(w.ctx, &pb.AliasRequest{Db: "default", Alias: "x", Collection: "a"}))
		w.refused2(w.c.CreateCollection(w.ctx, createRequest("x", 1)))(errs.AliasCollectionClash, "alias and collection name conflict[database=default][alias=x]")
		two := w.must(w.c.CreateCollection(w.ctx, createRequest("b", 2)))
		if got := w.cache.CollectionByID(two.Id).ShardLogs; fmt.Sprint(got) != "[1 0]" {
			t.Errorf("the next shards lie in logs %v", got)
		}
	})
}

func (w *world) refused2(ack *pb.Ack, err error) func(errs.Code, string) {
	return func(code errs.Code, text string) { w.t.Helper(); w.refused(ack, err, code, text) }
}

func TestPartitionKeyCollection(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := vectorSchema()
		s.Fields = append(s.Fields, schema.Field{ID: 102, Name: "tenant", Type: schema.VarChar, MaxLength: 10, PartitionKey: true})
		body, _ := json.Marshal(s)
		w.must(w.c.CreateCollection(w.ctx, &pb.CreateCollectionRequest{Db: "default", Name: "k", SchemaJson: body, NumPartitions: 5}))
		coll := w.cache.Collection("default", "k")
		if len(coll.Partitions) != 5 || coll.Partitions[4].Name != "_default_4" || coll.NumPartitions != 5 {
			t.Errorf("partitions %+v", coll.Partitions)
		}
		p := &pb.PartitionRequest{Collection: ref("k"), Partition: "p"}
		w.refused2(w.c.CreatePartition(w.ctx, p))(errs.InvalidParameter, "partition key mode")
		w.refused2(w.c.DropPartition(w.ctx, p))(errs.InvalidParameter, "partition key mode")
		w.must(w.c.CreateIndex(w.ctx, indexRequest("k", "", "HNSW")))
		w.refused2(w.c.Load(w.ctx, &pb.LoadRequest{Collection: ref("k"), Partitions: []string{"_default_0"}}))(errs.InvalidParameter, "partition key mode")
	})
}

func TestConcurrentCreatesMakeOne(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[int64]bool{}
		for range 10 {
			wg.Go(func() {
				ack, err := w.c.CreateCollection(w.ctx, createRequest("same", 1))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[ack.Id] = true
			})
		}
		wg.Wait()
		if len(ids) != 1 || len(w.cache.AllCollections()) != 1 {
			t.Errorf("ids %v, %d collections", ids, len(w.cache.AllCollections()))
		}
	})
}

func TestAliases(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.create("a", 1)
		w.create("b", 1)
		alias := func(alias, coll string) *pb.AliasRequest {
			return &pb.AliasRequest{Db: "default", Alias: alias, Collection: coll}
		}
		w.must(w.c.CreateAlias(w.ctx, alias("x", "a")))
		w.must(w.c.CreateAlias(w.ctx, alias("x", "a")))
		w.refused2(w.c.CreateAlias(w.ctx, alias("x", "b")))(errs.AliasExists, "alias already exist[database=default][alias=x]")
		w.refused2(w.c.CreateAlias(w.ctx, alias("b", "a")))(errs.AliasCollectionClash, "conflict")
		w.refused2(w.c.CreateAlias(w.ctx, alias("y", "nope")))(errs.CollectionNotFound, "collection not found[database=default][collection=nope]")
		w.refused2(w.c.AlterAlias(w.ctx, alias("y", "a")))(errs.AliasNotFound, "alias not found[database=default][alias=y]")
		w.refused2(w.c.DropAlias(w.ctx, alias("y", "")))(errs.AliasNotFound, "alias not found")
		w.refused2(w.c.DropCollection(w.ctx, ref("x")))(errs.InvalidParameter, "cannot drop the collection via alias = x")
		w.refused2(w.c.DropCollection(w.ctx, ref("a")))(errs.InvalidParameter, "associated aliases [x]")
		w.refused2(w.c.RenameCollection(w.ctx, &pb.RenameCollectionRequest{Db: "default", Name: "x", NewName: "z"}))(errs.InvalidParameter, "alias:x")
		w.must(w.c.AlterAlias(w.ctx, alias("x", "b")))
		if got := w.cache.Collection("default", "x"); got.Name != "b" {
			t.Errorf("x means %s", got.Name)
		}
		w.must(w.c.DropCollection(w.ctx, ref("a")))
		w.must(w.c.DropAlias(w.ctx, alias("x", "")))
		w.must(w.c.DropCollection(w.ctx, ref("b")))
	})
}

func TestRename(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		id := w.create("a", 1).ID
		w.create("b", 1)
		rename := func(from, to, db string) (*pb.Ack, error) {
			return w.c.RenameCollection(w.ctx, &pb.RenameCollectionRequest{Db: "default", Name: from, NewName: to, NewDb: db})
		}
		w.refused2(rename("a", "b", ""))(errs.InvalidParameter, "duplicated new collection name b")
		w.must(w.c.CreateAlias(w.ctx, &pb.AliasRequest{Db: "default", Alias: "x", Collection: "b"}))
		w.refused2(rename("a", "x", ""))(errs.AliasCollectionClash, "alias and collection name conflict[database=default][alias=x]")
		w.refused2(rename("a", "c", "other"))(errs.DatabaseNotFound, "database=other")
		w.refused2(rename("nope", "c", ""))(errs.CollectionNotFound, "collection=nope")
		updated := w.cache.CollectionByID(id).UpdatedTS
		w.must(rename("a", "c", ""))
		if got := w.cache.Collection("default", "c"); got == nil || got.ID != id || w.cache.Collection("default", "a") != nil || got.UpdatedTS != updated {
			t.Errorf("after the rename c is %+v", got)
		}
		w.must(w.c.CreateDatabase(w.ctx, &pb.DatabaseRequest{Name: "other"}))
		w.must(rename("c", "c", "other"))
		if w.cache.Collection("other", "c") == nil || w.cache.Collection("default", "c") != nil {
			t.Error("the collection did not move to the other database")
		}
	})
}

func TestDropCollectionWaitsForProxiesAndOwners(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleProxy, 5, true)
		w.node(catalog.RoleProxy, 6, true)
		w.node(catalog.RoleDataNode, 7, true)
		w.own(0, 7)
		w.own(1, 7)
		coll := w.create("a", 2)
		w.seal(coll.ID, 0, 10, segmentOf(1, coll.Partitions[0].ID, 5))
		w.peers.set(func() { w.peers.silent["proxy-6"] = true })
		done := make(chan error, 1)
		go func() { _, err := w.c.DropCollection(w.ctx, ref("a")); done <- err }()
		time.Sleep(20 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("the drop was answered (%v) though a proxy has not confirmed it", err)
		default:
		}
		if got := w.cache.CollectionByID(coll.ID); got == nil || got.State != catalog.Dropping {
			t.Errorf("meanwhile the collection is %+v", got)
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		_, err := w.c.CreateCollection(ctx, createRequest("b", 1))
		w.refused(nil, err, errs.Unavailable, "proxy-6 has not confirmed") // it is made all the same: changes are decided one by one
		cancel()
		if w.cache.Collection("default", "b") == nil {
			t.Error("a change of one collection holds up another")
		}
		w.node(catalog.RoleProxy, 6, false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		rev := w.meta.Revision()
		for _, addr := range []string{"proxy-5", "datanode-7"} {
			if got := w.peers.syncedAt(addr); got == 0 || got > rev {
				t.Errorf("%s confirmed revision %d", addr, got)
			}
		}
		for _, prefix := range []string{catalog.ShardKey(coll.ID, 0), catalog.CollectionKey(coll.ID)} {
			if kvs, _, _ := w.meta.List(w.ctx, prefix); len(kvs) != 0 {
				t.Errorf("%s is still there", kvs[0].Key)
			}
		}
		w.must(w.c.DropCollection(w.ctx, ref("a")))
	})
}

func TestInterruptedDropIsFinished(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := *w.create("a", 1)
		w.halt()
		coll.State = catalog.Dropping
		w.put(catalog.CollectionKey(coll.ID), coll)
		w.start(2, nil)
		w.must(w.c.CreateCollection(w.ctx, createRequest("a", 1)))
		w.until("the drop is finished", func() bool { return w.cache.CollectionByID(coll.ID) == nil && len(w.cache.Shards(coll.ID)) == 0 })
		if w.cache.Collection("default", "a") == nil {
			t.Error("the new collection of that name went with it")
		}
	})
}

func TestInterruptedPartitionDropIsFinished(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := *w.create("a", 1)
		id := w.must(w.c.CreatePartition(w.ctx, &pb.PartitionRequest{Collection: ref("a"), Partition: "p"})).Id
		w.halt()
		coll = *w.cache.CollectionByID(coll.ID)
		coll.Partitions[1].State = catalog.Dropping
		w.put(catalog.CollectionKey(coll.ID), coll)
		w.seal(coll.ID, 0, 10, segmentOf(11, id, 5))
		w.start(2, nil)
		w.until("the drop is finished", func() bool {
			return len(w.cache.CollectionByID(coll.ID).Partitions) == 1 && len(w.cache.Shard(coll.ID, 0).Segments) == 0
		})
	})
}

func TestPartitions(t *testing.T) {
	inWorld(t, func(c *Config) { c.Limits = DefaultConfig().Limits; c.Limits.Partitions = 3 }, func(w *world) {
		coll := w.create("a", 1)
		p := func(name string) *pb.PartitionRequest {
			return &pb.PartitionRequest{Collection: ref("a"), Partition: name}
		}
		one := w.must(w.c.CreatePartition(w.ctx, p("p1")))
		if again := w.must(w.c.CreatePartition(w.ctx, p("p1"))); again.Id != one.Id {
			t.Errorf("the same partition again is %d, not %d", again.Id, one.Id)
		}
		w.must(w.c.CreatePartition(w.ctx, p("2-p")))
		w.refused2(w.c.CreatePartition(w.ctx, p("p3")))(errs.InvalidParameter, "exceeds max configuration (3)")
		w.refused2(w.c.CreatePartition(w.ctx, p("a b")))(errs.InvalidParameter, "Invalid partition name")
		w.refused2(w.c.DropPartition(w.ctx, p("_default")))(errs.InvalidParameter, "default partition cannot be deleted")
		w.must(w.c.DropPartition(w.ctx, p("nope")))
		w.node(catalog.RoleQueryNode, 3, true)
		w.must(w.c.Load(w.ctx, &pb.LoadRequest{Collection: ref("a"), Partitions: []string{"p1"}}))
		w.refused2(w.c.DropPartition(w.ctx, p("p1")))(errs.InvalidParameter, "partition is loaded")
		w.must(w.c.DropPartition(w.ctx, p("2-p")))
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a")}))
		w.seal(coll.ID, 0, 10, segmentOf(1, one.Id, 5), segmentOf(2, coll.Partitions[0].ID, 5))
		w.must(w.c.DropPartition(w.ctx, p("p1")))
		if got := w.cache.Shard(coll.ID, 0).Segments; len(got) != 1 || got[0].ID != 2 {
			t.Errorf("segments %+v", got)
		}
		if got := w.cache.CollectionByID(coll.ID).Partitions; len(got) != 1 {
			t.Errorf("partitions %+v", got)
		}
		// A seal that was under way names the partition again: the manifest is tidied.
		w.seal(coll.ID, 0, 20, segmentOf(3, one.Id, 5))
		w.until("the late segment is gone", func() bool { return len(w.cache.Shard(coll.ID, 0).Segments) == 1 })
	})
}

func TestSchemaChanges(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleDataNode, 7, true)
		w.own(0, 7)
		id := w.create("a", 1).ID
		before := *w.cache.CollectionByID(id)
		add := func(f schema.Field) (*pb.Ack, error) {
			body, _ := json.Marshal(f)
			return w.c.AddField(w.ctx, &pb.AddFieldRequest{Collection: ref("a"), FieldJson: body})
		}
		w.refused2(add(schema.Field{Name: "n", Type: schema.Int64}))(errs.InvalidParameter, "must be nullable")
		w.refused2(add(schema.Field{Name: "n", Type: schema.FloatVector, Nullable: true}))(errs.InvalidParameter, "vector")
		w.refused2(add(schema.Field{Name: "id", Type: schema.Int64, Nullable: true}))(errs.InvalidParameter, "duplicate field name: id")
		ack := w.must(add(schema.Field{Name: "n", Type: schema.Int64, Nullable: true}))
		if w.peers.syncedAt("datanode-7") < ack.Revision {
			t.Error("the owner did not confirm the new schema")
		}
		alter := func(set map[string]string, remove ...string) (*pb.Ack, error) {
			return w.c.AlterCollection(w.ctx, &pb.AlterCollectionRequest{Collection: ref("a"), Set: set, DeleteKeys: remove})
		}
		w.must(alter(map[string]string{propDynamic: "True", "k": "v"}))
		w.must(add(schema.Field{Name: "m", Type: schema.Bool, Nullable: true}))
		after := w.cache.CollectionByID(id)
		if after.Schema.Version != 4 || after.UpdatedTS <= before.UpdatedTS || after.Properties["k"] != "v" || after.Properties[propDynamic] != "" {
			t.Errorf("collection %+v", after)
		}
		names, ids := "", map[int64]bool{}
		for _, f := range after.Schema.Fields {
			names += f.Name + " "
			ids[f.ID] = true
		}
		if names != "id vector n m $meta " || len(ids) != 5 {
			t.Errorf("fields %s ids %v", names, ids)
		}
		if len(before.Schema.Fields) != 2 {
			t.Error("a record handed out earlier was changed in place")
		}
		ts := after.UpdatedTS
		w.must(alter(map[string]string{propTTL: "60"}))
		w.must(alter(nil, "k"))
		w.refused2(alter(map[string]string{propTTL: "soon"}))(errs.InvalidParameter, propTTL)
		w.refused2(alter(map[string]string{"a": "b"}, "c"))(errs.InvalidParameter, "at the same time")
		w.refused2(alter(map[string]string{propDynamic: "false"}))(errs.InvalidParameter, "cannot be disabled")
		if got := w.cache.CollectionByID(id); got.UpdatedTS != ts || got.Schema.Version != 4 {
			t.Errorf("properties changed the schema's time: %d, %d", got.UpdatedTS, ts)
		}
		w.node(catalog.RoleQueryNode, 3, true)
		w.must(w.c.Load(w.ctx, &pb.LoadRequest{Collection: ref("a")}))
		w.refused2(alter(map[string]string{catalog.MmapKey: "true"}))(errs.CollectionLoaded, "collection already loaded")
	})
}

func TestAlterField(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		s := vectorSchema()
		s.Fields = append(s.Fields, schema.Field{ID: 102, Name: "s", Type: schema.VarChar, MaxLength: 10, TypeParams: []schema.KV{{Key: "max_length", Value: "10"}}})
		body, _ := json.Marshal(s)
		w.must(w.c.CreateCollection(w.ctx, &pb.CreateCollectionRequest{Db: "default", Name: "a", SchemaJson: body}))
		alter := func(field, k, v string) (*pb.Ack, error) {
			return w.c.AlterCollection(w.ctx, &pb.AlterCollectionRequest{Collection: ref("a"), Field: field, Set: map[string]string{k: v}})
		}
		w.must(alter("s", "max_length", "20"))
		coll := w.cache.Collection("default", "a")
		if f := coll.Schema.Field("s"); f.MaxLength != 20 || f.TypeParams[0].Value != "20" || coll.Schema.Version != 2 {
			t.Errorf("field %+v, schema version %d", f, coll.Schema.Version)
		}
		w.must(alter("vector", "mmap_enabled", "true"))
		if got := w.cache.Collection("default", "a"); got.Schema.Version != 2 || got.Schema.Field("vector").TypeParams[0].Key != catalog.MmapKey {
			t.Errorf("collection %+v", got.Schema)
		}
		w.refused2(alter("s", "max_length", "70000"))(errs.InvalidParameter, "[1, 65535]")
		w.refused2(alter("id", "max_length", "10"))(errs.InvalidParameter, "can not modify")
		w.refused2(alter("nope", "max_length", "10"))(errs.FieldNotFound, "nope")
		w.refused2(alter("s", "dim", "10"))(errs.InvalidParameter, "does not allow update")
	})
}

func TestIndexes(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.must(w.c.CreateCollection(w.ctx, createRequest("a", 1)))
		one := w.must(w.c.CreateIndex(w.ctx, indexRequest("a", "", "HNSW")))
		if again := w.must(w.c.CreateIndex(w.ctx, indexRequest("a", "vector", "HNSW"))); again.Id != one.Id {
			t.Errorf("the same index again is %d, not %d", again.Id, one.Id)
		}
		w.refused2(w.c.CreateIndex(w.ctx, indexRequest("a", "", "FLAT")))(errs.InvalidParameter, "at most one distinct index is allowed per field")
		w.refused2(w.c.CreateIndex(w.ctx, indexRequest("nope", "", "FLAT")))(errs.CollectionNotFound, "nope")
		alter := func(index, key string) (*pb.Ack, error) {
			return w.c.AlterIndex(w.ctx, &pb.AlterIndexRequest{Collection: ref("a"), Index: index, Set: map[string]string{key: "true"}})
		}
		w.must(alter("vector", catalog.MmapKey))
		w.refused2(alter("vector", "M"))(errs.InvalidParameter, "M is not")
		w.refused2(alter("nope", catalog.MmapKey))(errs.IndexNotFound, "index not found[index=nope]")
		w.node(catalog.RoleQueryNode, 3, true)
		w.must(w.c.Load(w.ctx, &pb.LoadRequest{Collection: ref("a")}))
		coll := w.cache.Collection("default", "a")
		drop := &pb.DropIndexRequest{Collection: ref("a"), Index: "vector"}
		w.refused2(alter("vector", catalog.MmapKey))(errs.CollectionLoaded, "can't alter index on loaded collection")
		w.refused2(w.c.DropIndex(w.ctx, drop))(errs.InvalidParameter, fmt.Sprintf("vector index cannot be dropped on loaded collection: %d", coll.ID))
		w.must(w.c.DropIndex(w.ctx, &pb.DropIndexRequest{Collection: ref("a"), Index: "other"}))
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a")}))
		w.must(w.c.DropIndex(w.ctx, drop))
		if got := w.cache.Collection("default", "a").Indexes; len(got) != 0 {
			t.Errorf("indexes %+v", got)
		}
		w.must(w.c.DropIndex(w.ctx, drop))
	})
}

// TestUnknownOutcome: a change whose answer was lost is seen by the next one, which must not make the name twice.
func TestUnknownOutcome(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.create("b", 1)
		d := w.c.term.Load().ddl
		other := catalog.Collection{ID: 77, DB: "default", Name: "a", State: catalog.Ready, Schema: vectorSchema(), ShardLogs: []int{0}}
		op, err := catalog.Put(catalog.CollectionKey(77), other)
		if err != nil {
			t.Fatal(err)
		}
		// The first attempt commits without the ddl knowing, as if the answer was lost.
		w.txn(op, catalog.PutNumber(ddlKey, 1))
		calls := 0
		_, err = d.change(w.ctx, func(b *batch) error {
			calls++
			if calls > 1 && w.cache.Collection("default", "a") != nil {
				return errs.Invalid("taken")
			}
			b.number("test/key", 1)
			return nil
		})
		if !errs.Is(err, errs.InvalidParameter) || calls != 2 {
			t.Errorf("after %d decisions: %v", calls, err)
		}
		if _, err := w.meta.Get(w.ctx, "test/key"); err == nil {
			t.Error("the change was committed beside one that it did not know")
		}
	})
}

func TestStandbyRefusesEverything(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		standby, stop, done := w.launch(2, nil)
		time.Sleep(time.Second)
		_, err := standby.CreateCollection(w.ctx, createRequest("a", 1))
		w.refused(nil, err, errs.NotLeader, "standby")
		_, err = standby.PullTask(w.ctx, &pb.PullTaskRequest{Node: 1})
		w.refused(nil, err, errs.NotLeader, "standby")
		stop()
		<-done
	})
}
