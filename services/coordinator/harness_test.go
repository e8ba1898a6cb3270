package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/mq"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// world is a coordinator with everything around it faked, in virtual time.
type world struct {
	t       *testing.T
	ctx     context.Context
	meta    *metamem.Store
	cache   *catalog.Cache
	objects *objmem.Store
	away    *awayStore // objects as the coordinator sees them
	queue   *fakeQueue
	peers   *fakePeers
	c       *Coordinator
	stop    context.CancelFunc
	done    chan struct{}
}

// inWorld runs f with a coordinator that leads.
func inWorld(t *testing.T, adjust func(*Config), f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, meta: metamem.New(), objects: objmem.New(), queue: &fakeQueue{logs: map[string]string{}}, peers: newFakePeers()}
		w.away = &awayStore{Store: w.objects}
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		w.cache = catalog.NewCache(w.meta, slog.New(slog.DiscardHandler))
		cacheDone := make(chan struct{})
		go func() { defer close(cacheDone); _ = w.cache.Run(ctx) }()
		w.start(1, adjust)
		f(w)
		w.halt()
		cancel()
		<-cacheDone
		w.meta.Close()
	})
}

// start runs a coordinator with a node id and waits until it leads.
func (w *world) start(id int64, adjust func(*Config)) {
	w.c, w.stop, w.done = w.launch(id, adjust)
	w.until("it leads", w.c.Leading)
}

// launch runs another coordinator beside.
func (w *world) launch(id int64, adjust func(*Config)) (*Coordinator, context.CancelFunc, chan struct{}) {
	w.t.Helper()
	cfg := DefaultConfig()
	cfg.Node = catalog.Node{ID: id, Addr: fmt.Sprintf("coordinator-%d", id)}
	cfg.Logs, cfg.QueueURL = 2, "mem:"
	if adjust != nil {
		adjust(&cfg)
	}
	c, err := New(cfg, Deps{Meta: w.meta, Cache: w.cache, Objects: w.away, Peers: w.peers, Queue: w.queue, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	return c, stop, done
}

func (w *world) halt() {
	w.stop()
	<-w.done
}

// until waits, in virtual time, until ok holds.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("after a minute still not: %s; problems: %q", what, w.c.Problems())
}

func (w *world) txn(ops ...meta.Op) {
	w.t.Helper()
	rev, ok, err := w.meta.Txn(w.ctx, nil, ops)
	if err != nil || !ok {
		w.t.Fatalf("txn: %v %v", ok, err)
	}
	if err := w.cache.WaitRevision(w.ctx, rev); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(key string, record any) {
	w.t.Helper()
	op, err := catalog.Put(key, record)
	if err != nil {
		w.t.Fatal(err)
	}
	w.txn(op)
}

// node brings a process up or, with up false, ends its lease.
func (w *world) node(role catalog.Role, id int64, up bool) {
	w.t.Helper()
	addr := fmt.Sprintf("%s-%d", role, id)
	if !up {
		w.txn(meta.Op{Key: catalog.NodeKey(role, id), Delete: true})
		return
	}
	w.put(catalog.NodeKey(role, id), catalog.Node{ID: id, Role: role, Addr: addr})
}

// own makes datanode id the owner of log n.
func (w *world) own(n int, id int64) {
	w.put(catalog.OwnerKey(n), catalog.Owner{Node: id, Addr: fmt.Sprintf("%s-%d", catalog.RoleDataNode, id), Epoch: 1})
}

func vectorSchema() schema.Schema {
	return schema.Schema{Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "vector", Type: schema.FloatVector, Dim: 4},
	}}
}

func createRequest(name string, shards int32) *pb.CreateCollectionRequest {
	body, _ := json.Marshal(vectorSchema())
	return &pb.CreateCollectionRequest{Db: "default", Name: name, SchemaJson: body, Shards: shards}
}

func ref(name string) *pb.CollectionRef { return &pb.CollectionRef{Db: "default", Name: name} }

func indexRequest(name, indexName, typ string) *pb.CreateIndexRequest {
	body, _ := json.Marshal(catalog.Index{FieldID: 101, Name: indexName, Type: typ, Metric: "L2", UserParams: []schema.KV{{Key: "metric_type", Value: "L2"}}})
	return &pb.CreateIndexRequest{Collection: ref(name), IndexJson: body}
}

// create makes a collection with an index and returns it.
func (w *world) create(name string, shards int32) *catalog.Collection {
	w.t.Helper()
	w.must(w.c.CreateCollection(w.ctx, createRequest(name, shards)))
	w.must(w.c.CreateIndex(w.ctx, indexRequest(name, "", "HNSW")))
	return w.cache.Collection("default", name)
}

func (w *world) must(ack *pb.Ack, err error) *pb.Ack {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return ack
}

// refused checks an error's code and text.
func (w *world) refused(ack *pb.Ack, err error, code errs.Code, text string) {
	w.t.Helper()
	if err == nil || errs.CodeOf(err) != code || !contains(err.Error(), text) {
		w.t.Errorf("got %v, error %v (code %d), want code %d with %q", ack, err, errs.CodeOf(err), code, text)
	}
}

// segment is a sealed segment of n rows.
func segmentOf(id, partition int64, rows int) catalog.Segment {
	return catalog.Segment{ID: id, Partition: partition, Rows: rows, Bytes: int64(rows) * 100, Dir: fmt.Sprintf("segments/s/%d", id)}
}

// seal puts segments into a shard's manifest, as its owner would, and moves its checkpoint.
func (w *world) seal(collection int64, shard int, checkpoint uint64, segs ...catalog.Segment) {
	w.t.Helper()
	s, _, err := catalog.Read[catalog.Shard](w.ctx, w.meta, catalog.ShardKey(collection, shard))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range segs {
		segs[i].AppliedThrough = s.Checkpoint
	}
	s.Segments = append(s.Segments, segs...)
	s.Checkpoint = checkpoint
	w.put(catalog.ShardKey(collection, shard), s)
}

// fakeQueue remembers which logs were created.
type fakeQueue struct {
	mu      sync.Mutex
	logs    map[string]string // name -> UUID
	creates int
	fail    error
}

func (q *fakeQueue) Create(_ context.Context, id mq.LogID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.creates++
	if q.logs[id.Name] != "" {
		return mq.ErrExists
	}
	q.logs[id.Name] = id.UUID
	err := q.fail
	q.fail = nil
	return err
}

func (q *fakeQueue) Open(context.Context, mq.LogID, mq.Position) (mq.Log, error) {
	return nil, errors.New("the coordinator opens no log")
}
func (q *fakeQueue) Delete(context.Context, mq.LogID) error { return nil }
func (q *fakeQueue) Close() error                           { return nil }

// fakePeers answers for every proxy, datanode and querynode. Silent addresses do not answer.
type fakePeers struct {
	mu       sync.Mutex
	synced   map[string]int64 // address -> revision
	silent   map[string]bool
	flushes  map[string]int
	prepares map[string]int
	unready  map[string]string // querynode address -> what it waits for
	views    map[string][]catalog.View
	// truncated makes querynodes refuse views that begin below it.
	truncated uint64
}

func newFakePeers() *fakePeers {
	return &fakePeers{synced: map[string]int64{}, silent: map[string]bool{}, flushes: map[string]int{}, prepares: map[string]int{}, unready: map[string]string{}, views: map[string][]catalog.View{}}
}

func (p *fakePeers) Proxy(addr string) (pb.ProxyClient, error) {
	return &fakeProxy{peer: peer{p, addr}}, nil
}

func (p *fakePeers) DataNode(addr string) (pb.DataNodeClient, error) {
	return &fakeDataNode{peer: peer{p, addr}}, nil
}

func (p *fakePeers) QueryNode(addr string) (pb.QueryNodeClient, error) {
	return &fakeQueryNode{peer: peer{p, addr}}, nil
}

func (p *fakePeers) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *fakePeers) syncedAt(addr string) (rev int64) {
	p.set(func() { rev = p.synced[addr] })
	return rev
}

type peer struct {
	p    *fakePeers
	addr string
}

func (f peer) hang(ctx context.Context) error {
	f.p.mu.Lock()
	silent := f.p.silent[f.addr]
	f.p.mu.Unlock()
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f peer) sync(ctx context.Context, rev int64) (*pb.SyncCatalogResponse, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	f.p.set(func() { f.p.synced[f.addr] = max(f.p.synced[f.addr], rev) })
	return &pb.SyncCatalogResponse{Revision: rev}, nil
}

type fakeProxy struct {
	pb.ProxyClient
	peer
}

func (f *fakeProxy) SyncCatalog(ctx context.Context, req *pb.SyncCatalogRequest, _ ...grpc.CallOption) (*pb.SyncCatalogResponse, error) {
	return f.sync(ctx, req.Revision)
}

type fakeDataNode struct {
	pb.DataNodeClient
	peer
}

func (f *fakeDataNode) SyncCatalog(ctx context.Context, req *pb.SyncCatalogRequest, _ ...grpc.CallOption) (*pb.SyncCatalogResponse, error) {
	return f.sync(ctx, req.Revision)
}

func (f *fakeDataNode) Flush(ctx context.Context, _ *pb.FlushRequest, _ ...grpc.CallOption) (*pb.FlushResponse, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	f.p.set(func() { f.p.flushes[f.addr]++ })
	return &pb.FlushResponse{FlushTs: 1}, nil
}

func (f *fakeDataNode) FlushState(context.Context, *pb.FlushStateRequest, ...grpc.CallOption) (*pb.FlushStateResponse, error) {
	return &pb.FlushStateResponse{Flushed: true}, nil
}

type fakeQueryNode struct {
	pb.QueryNodeClient
	peer
}

func (f *fakeQueryNode) PrepareView(ctx context.Context, req *pb.PrepareViewRequest, _ ...grpc.CallOption) (*pb.PrepareViewResponse, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	var v catalog.View
	if err := json.Unmarshal(req.ViewJson, &v); err != nil {
		return nil, err
	}
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	f.p.prepares[f.addr]++
	if v.From < f.p.truncated {
		return nil, errs.New(errs.ViewStale, "the log begins at %d", f.p.truncated)
	}
	if why := f.p.unready[f.addr]; why != "" {
		return &pb.PrepareViewResponse{WaitingFor: why, Progress: 0.5}, nil
	}
	f.p.views[f.addr] = append(f.p.views[f.addr], v)
	return &pb.PrepareViewResponse{Ready: true, Progress: 1}, nil
}

// editKey writes one record under the leader's transaction.
func (t *term) editKey(ctx context.Context, op meta.Op) error {
	rev, err := t.commit(ctx, nil, []meta.Op{op})
	if err != nil {
		return err
	}
	return t.c.deps.Cache.WaitRevision(ctx, rev)
}
