package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/rpc"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// world is a cluster of simple stand-ins: a coordinator that only keeps records, owners that keep rows in memory, and
// query nodes that look at the same rows by brute force, at the timestamp and the position that a request names.
type world struct {
	store meta.Store
	cache *catalog.Cache
	proxy *Proxy
	conn  *grpc.ClientConn

	flushState func(*pb.FlushStateRequest) *pb.FlushStateResponse // of a log's owner; nil: all is sealed

	mu       sync.Mutex // guards all below
	nextTS   uint64
	nextID   int64
	versions map[[2]int64][]*rowVersion // by collection and shard
	sealed   map[int64]map[int]bool
	writes   []*pb.WriteRequest
	scopes   []*pb.Scope
	fail     map[string][]error // by method, the next errors
	requests map[string]uint64
	trace    string // of the last CreateDatabase
}

// rowVersion is one row.
type rowVersion struct {
	row       *schema.Batch
	partition int64
	ts, dead  uint64
}

const worldNodes = 2

func newWorld(t testing.TB) *world {
	w := &world{
		store: mem.New(), nextID: 1000, versions: map[[2]int64][]*rowVersion{}, sealed: map[int64]map[int]bool{},
		fail: map[string][]error{}, requests: map[string]uint64{},
	}
	w.cache = catalog.NewCache(w.store, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = w.cache.Run(ctx) })
	w.seed(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.proxy = New(Config{RequestTimeout: 5 * time.Second, StopGrace: time.Second}, Deps{
		Cache: w.cache, Meta: w.store, Peers: worldPeers{w}, Logger: slog.New(slog.DiscardHandler), Listener: listener,
	})
	done.Go(func() {
		if err := w.proxy.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := w.proxy.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for !w.proxy.leased.Load() {
		time.Sleep(time.Millisecond)
	}
	w.conn, err = grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.conn.Close()
		cancel()
		done.Wait()
		w.store.Close()
	})
	return w
}

// client is a client of the public API.
func (w *world) client() milvuspb.MilvusServiceClient { return milvuspb.NewMilvusServiceClient(w.conn) }

func (w *world) put(key string, record any) int64 {
	raw, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	rev, _, err := w.store.Txn(context.Background(), nil, []meta.Op{{Key: key, Value: raw}})
	if err != nil {
		panic(err)
	}
	return rev
}

func (w *world) seed(t testing.TB) {
	w.put(catalog.DatabaseKey("default"), catalog.Database{ID: 1, Name: "default"})
	w.put(catalog.LeaderKey, catalog.Node{ID: 1, Role: catalog.RoleCoordinator, Addr: "coordinator"})
	for n := range 2 {
		w.put(catalog.LogKey(n), catalog.Log{Number: n, Created: true})
		w.put(catalog.OwnerKey(n), catalog.Owner{Node: int64(10 + n), Addr: "datanode", Epoch: 1})
	}
	for n := range int64(worldNodes) {
		w.put(catalog.NodeKey(catalog.RoleQueryNode, 20+n), catalog.Node{ID: 20 + n, Role: catalog.RoleQueryNode, Addr: "querynode"})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, rev, err := w.store.List(ctx, "")
	if err == nil {
		err = w.cache.WaitRevision(ctx, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// failNext makes the next calls of a method fail.
func (w *world) failNext(method string, failures ...error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail[method] = append(w.fail[method], failures...)
}

func (w *world) failure(method string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fail[method]) == 0 {
		return nil
	}
	err := w.fail[method][0]
	w.fail[method] = w.fail[method][1:]
	return err
}

// stamp returns a new timestamp; mu is held.
func (w *world) stamp() uint64 {
	w.nextTS = max(w.nextTS+1, tso.FromTime(time.Now()))
	return w.nextTS
}

type worldPeers struct{ w *world }

func (p worldPeers) Coordinator() pb.CoordinatorClient {
	return rpc.LocalCoordinator{Server: worldCoordinator{w: p.w}}
}

func (p worldPeers) DataNode(addr string) (pb.DataNodeClient, error) {
	if addr != "datanode" {
		return nil, errs.New(errs.Unavailable, "no datanode at %s", addr)
	}
	return rpc.LocalDataNode{Server: worldDataNode{w: p.w}}, nil
}

func (p worldPeers) QueryNode(addr string) (pb.QueryNodeClient, error) {
	if addr != "querynode" {
		return nil, errs.New(errs.Unavailable, "no querynode at %s", addr)
	}
	return rpc.LocalQueryNode{Server: worldQueryNode{w: p.w}}, nil
}

type worldCoordinator struct {
	pb.UnimplementedCoordinatorServer
	w *world
}

func (c worldCoordinator) AllocTimestamp(_ context.Context, req *pb.AllocTimestampRequest) (*pb.AllocTimestampResponse, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return &pb.AllocTimestampResponse{First: c.w.stamp(), Count: req.Count}, nil
}

func (c worldCoordinator) AllocID(_ context.Context, req *pb.AllocIDRequest) (*pb.AllocIDResponse, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	first := c.w.nextID
	c.w.nextID += int64(req.Count)
	return &pb.AllocIDResponse{First: first, Count: req.Count}, nil
}

func (c worldCoordinator) newID() int64 {
	resp, _ := c.AllocID(context.Background(), &pb.AllocIDRequest{Count: 1})
	return resp.First
}

func (c worldCoordinator) newTS() uint64 {
	resp, _ := c.AllocTimestamp(context.Background(), &pb.AllocTimestampRequest{Count: 1})
	return resp.First
}

// edit changes a copy of a collection's record and stores it.
func (c worldCoordinator) edit(ref *pb.CollectionRef, fn func(*catalog.Collection)) (*pb.Ack, error) {
	found := c.w.cache.Collection(ref.Db, ref.Name)
	if found == nil {
		return nil, collectionNotFound(ref.Db, ref.Name)
	}
	changed := *found
	changed.Partitions = slices.Clone(found.Partitions)
	changed.Indexes = slices.Clone(found.Indexes)
	changed.Schema.Fields = slices.Clone(found.Schema.Fields)
	fn(&changed)
	return &pb.Ack{Revision: c.w.put(catalog.CollectionKey(changed.ID), changed), Id: changed.ID}, nil
}

func (c worldCoordinator) CreateCollection(_ context.Context, req *pb.CreateCollectionRequest) (*pb.Ack, error) {
	coll := catalog.Collection{
		ID: c.newID(), DB: req.Db, Name: req.Name, Description: req.Description, State: catalog.Ready, Consistency: req.Consistency,
		Properties: req.Properties, NumPartitions: int(req.NumPartitions), CreatedTS: c.newTS(),
	}
	coll.UpdatedTS = coll.CreatedTS
	if err := json.Unmarshal(req.SchemaJson, &coll.Schema); err != nil {
		return nil, err
	}
	coll.Schema.Version = 1
	names := []string{catalog.DefaultPartition}
	if partitionKeyField(&coll) != 0 {
		names = []string{"_default_0", "_default_1", "_default_2", "_default_3"}
	}
	for _, name := range names {
		coll.Partitions = append(coll.Partitions, catalog.Partition{ID: c.newID(), Name: name, State: catalog.Ready})
	}
	for i := range int(req.Shards) {
		coll.ShardLogs = append(coll.ShardLogs, i%2)
		c.w.put(catalog.ShardKey(coll.ID, i), catalog.Shard{Collection: coll.ID, Index: i, Log: i % 2})
	}
	return &pb.Ack{Revision: c.w.put(catalog.CollectionKey(coll.ID), coll), Id: coll.ID}, nil
}

func (c worldCoordinator) DropCollection(_ context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	found := c.w.cache.Collection(req.Db, req.Name)
	if found == nil {
		return &pb.Ack{}, nil
	}
	rev, _, err := c.w.store.Txn(context.Background(), nil, []meta.Op{{Key: catalog.CollectionKey(found.ID), Delete: true}})
	return &pb.Ack{Revision: rev}, err
}

func (c worldCoordinator) Inspect(context.Context, *pb.InspectRequest) (*pb.InspectResponse, error) {
	return &pb.InspectResponse{Json: []byte(`{"problems":null}`)}, nil
}

func (c worldCoordinator) TruncateCollection(_ context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	return c.edit(req, func(coll *catalog.Collection) { coll.TruncatedTS = c.newTS() })
}

func (c worldCoordinator) RenameCollection(_ context.Context, req *pb.RenameCollectionRequest) (*pb.Ack, error) {
	return c.edit(&pb.CollectionRef{Db: req.Db, Name: req.Name}, func(coll *catalog.Collection) { coll.Name = req.NewName })
}

func (c worldCoordinator) AlterCollection(_ context.Context, req *pb.AlterCollectionRequest) (*pb.Ack, error) {
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		props := map[string]string{}
		for k, v := range coll.Properties {
			props[k] = v
		}
		for k, v := range req.Set {
			props[k] = v
		}
		coll.Properties = props
	})
}

func (c worldCoordinator) AddField(_ context.Context, req *pb.AddFieldRequest) (*pb.Ack, error) {
	var f schema.Field
	if err := json.Unmarshal(req.FieldJson, &f); err != nil {
		return nil, err
	}
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		f.ID = schema.FirstUserField + int64(len(coll.Schema.Fields))
		coll.Schema.Fields = append(coll.Schema.Fields, f)
		coll.Schema.Version++
		coll.UpdatedTS = c.newTS()
	})
}

func (c worldCoordinator) CreatePartition(_ context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		coll.Partitions = append(coll.Partitions, catalog.Partition{ID: c.newID(), Name: req.Partition, State: catalog.Ready})
	})
}

func (c worldCoordinator) DropPartition(_ context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		coll.Partitions = slices.DeleteFunc(coll.Partitions, func(p catalog.Partition) bool { return p.Name == req.Partition })
	})
}

func (c worldCoordinator) CreateAlias(_ context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	found := c.w.cache.Collection(req.Db, req.Collection)
	if found == nil {
		return nil, collectionNotFound(req.Db, req.Collection)
	}
	rev, _, err := c.w.store.Txn(context.Background(), nil, []meta.Op{catalog.PutNumber(catalog.AliasKey(req.Db, req.Alias), uint64(found.ID))})
	return &pb.Ack{Revision: rev}, err
}

func (c worldCoordinator) DropAlias(_ context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	if err := c.w.failure("DropAlias"); err != nil {
		return nil, err
	}
	rev, _, err := c.w.store.Txn(context.Background(), nil, []meta.Op{{Key: catalog.AliasKey(req.Db, req.Alias), Delete: true}})
	return &pb.Ack{Revision: rev}, err
}

func (c worldCoordinator) CreateDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	c.w.mu.Lock()
	c.w.trace = trace.SpanContextFromContext(ctx).TraceID().String()
	c.w.mu.Unlock()
	return &pb.Ack{Revision: c.w.put(catalog.DatabaseKey(req.Name), catalog.Database{ID: c.newID(), Name: req.Name, Properties: req.Properties})}, nil
}

func (c worldCoordinator) DropDatabase(_ context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	rev, _, err := c.w.store.Txn(context.Background(), nil, []meta.Op{{Key: catalog.DatabaseKey(req.Name), Delete: true}})
	return &pb.Ack{Revision: rev}, err
}

func (c worldCoordinator) CreateIndex(_ context.Context, req *pb.CreateIndexRequest) (*pb.Ack, error) {
	var def catalog.Index
	if err := json.Unmarshal(req.IndexJson, &def); err != nil {
		return nil, err
	}
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		def.ID = c.newID()
		coll.Indexes = append(coll.Indexes, def)
	})
}

func (c worldCoordinator) DropIndex(_ context.Context, req *pb.DropIndexRequest) (*pb.Ack, error) {
	return c.edit(req.Collection, func(coll *catalog.Collection) {
		coll.Indexes = slices.DeleteFunc(coll.Indexes, func(x catalog.Index) bool { return x.Name == req.Index })
	})
}

func (c worldCoordinator) Load(_ context.Context, req *pb.LoadRequest) (*pb.Ack, error) {
	found := c.w.cache.Collection(req.Collection.Db, req.Collection.Name)
	if found == nil {
		return nil, collectionNotFound(req.Collection.Db, req.Collection.Name)
	}
	for shard := range found.ShardLogs {
		c.w.publish(found.ID, shard, 1)
	}
	return c.edit(req.Collection, func(coll *catalog.Collection) { coll.Load = &catalog.Load{Replicas: 1} })
}

// publish makes one node, by shard, serve all of a shard's rows.
func (w *world) publish(collection int64, shard int, number uint64) {
	w.put(catalog.ViewKey(collection, shard, 0), catalog.View{
		Collection: collection, Shard: shard, Number: number, Leader: 20 + int64(shard%worldNodes),
	})
}

func (c worldCoordinator) Release(_ context.Context, req *pb.ReleaseRequest) (*pb.Ack, error) {
	if len(req.Partitions) > 0 {
		return c.edit(req.Collection, func(*catalog.Collection) {})
	}
	found := c.w.cache.Collection(req.Collection.Db, req.Collection.Name)
	for shard := range found.ShardLogs {
		_, _, err := c.w.store.Txn(context.Background(), nil, []meta.Op{{Key: catalog.ViewKey(found.ID, shard, 0), Delete: true}})
		if err != nil {
			return nil, err
		}
	}
	return c.edit(req.Collection, func(coll *catalog.Collection) { coll.Load = nil })
}

func (c worldCoordinator) LoadState(_ context.Context, req *pb.LoadStateRequest) (*pb.LoadStateResponse, error) {
	found := c.w.cache.Collection(req.Collection.Db, req.Collection.Name)
	if found == nil || found.Load == nil {
		return &pb.LoadStateResponse{}, nil
	}
	return &pb.LoadStateResponse{Requested: true, Progress: 100}, nil
}

func mustStatus(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errBroken = errors.New("broken")
