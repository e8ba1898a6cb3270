package datanode

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	metafault "github.com/gyr-db/gyr/pkg/meta/fault"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/mq"
	mqfault "github.com/gyr-db/gyr/pkg/mq/fault"
	mqmem "github.com/gyr-db/gyr/pkg/mq/mem"
	"github.com/gyr-db/gyr/pkg/objstore"
	objfault "github.com/gyr-db/gyr/pkg/objstore/fault"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

const (
	coll  = int64(100)
	partA = int64(11)
	partB = int64(12)
)

// world is a store, a queue and a bucket, in virtual time, with a catalog of one collection of two shards in log 0.
type world struct {
	t       *testing.T
	ctx     context.Context
	meta    *metamem.Store
	queue   *mqmem.Queue
	objects *objmem.Store
	coord   *fakeCoordinator
	cache   *catalog.Cache
	wg      sync.WaitGroup

	mu    sync.Mutex
	procs map[string]*proc // by address
	model map[int64]modelRequest
	next  int64
}

// modelRequest is what a test wrote.
type modelRequest struct {
	shard int
	keys  []int64
	acked *pb.WriteResponse
}

type fakeCoordinator struct {
	pb.CoordinatorClient
	mu    sync.Mutex
	ts    uint64
	id    int64
	epoch int64
	down  bool
}

func (c *fakeCoordinator) AllocTimestamp(_ context.Context, req *pb.AllocTimestampRequest, _ ...grpc.CallOption) (*pb.AllocTimestampResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errs.New(errs.Unavailable, "the coordinator is away")
	}
	first := max(c.ts+1, tso.FromTime(time.Now()))
	c.ts = first + uint64(req.Count) - 1
	return &pb.AllocTimestampResponse{First: first, Count: req.Count, CoordinatorEpoch: c.epoch}, nil
}

func (c *fakeCoordinator) AllocID(_ context.Context, req *pb.AllocIDRequest, _ ...grpc.CallOption) (*pb.AllocIDResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errs.New(errs.Unavailable, "the coordinator is away")
	}
	first := c.id + 1
	c.id += int64(req.Count)
	return &pb.AllocIDResponse{First: first, Count: req.Count}, nil
}

func (c *fakeCoordinator) set(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// proc is one datanode process.
type proc struct {
	w       *world
	node    *Node
	meta    *metafault.Store
	queue   *mqfault.Queue
	objects *objfault.Store
	stop    context.CancelFunc
	done    chan struct{}
}

func testSchema() schema.Schema {
	return schema.Schema{Version: 1, Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "request", Type: schema.Int64},
		{ID: 102, Name: "vector", Type: schema.FloatVector, Dim: 2},
	}}
}

func inWorld(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{
			t: t, ctx: ctx, meta: metamem.New(), queue: mqmem.New(), objects: objmem.New(), coord: &fakeCoordinator{id: 1000},
			procs: map[string]*proc{}, model: map[int64]modelRequest{},
		}
		w.cache = catalog.NewCache(w.meta, slog.New(slog.DiscardHandler))
		w.wg.Go(func() { _ = w.cache.Run(ctx) })
		w.seed()
		f(w)
		for _, p := range w.procs {
			p.halt()
		}
		cancel()
		w.wg.Wait()
		w.meta.Close()
	})
}

// seed makes the log and the collection.
func (w *world) seed() {
	w.t.Helper()
	w.coord.epoch = w.put(catalog.LeaderKey, catalog.Node{ID: 1})
	if err := w.queue.Create(w.ctx, mq.LogID{Name: "log", UUID: "u"}); err != nil {
		w.t.Fatal(err)
	}
	w.put(catalog.LogKey(0), catalog.Log{Number: 0, Name: "log", UUID: "u", Created: true})
	w.put(catalog.CollectionKey(coll), catalog.Collection{
		ID: coll, DB: "d", Name: "c", State: catalog.Ready, Schema: testSchema(), ShardLogs: []int{0, 0},
		Partitions: []catalog.Partition{{ID: partA, Name: "a", State: catalog.Ready}, {ID: partB, Name: "b", State: catalog.Ready}},
	})
	for i := range 2 {
		w.put(catalog.ShardKey(coll, i), catalog.Shard{Collection: coll, Index: i})
	}
}

// writePlain stands in for segment.Write, whose encoders are shared over bubbles of virtual time: the same two objects,
// but plain ones. The real files are for TestRealFiles.
func writePlain(ctx context.Context, store objstore.Store, dir string, _ *schema.Schema, rows segment.Rows) (segment.Info, error) {
	raw := rows.Batch.Encode(nil)
	for _, ts := range rows.TS {
		raw = binary.LittleEndian.AppendUint64(raw, ts)
	}
	for _, name := range []string{segment.ParquetName, segment.ColumnsName} {
		if err := store.Put(ctx, dir+"/"+name, bytes.NewReader(raw), int64(len(raw)), objstore.PutOptions{}); err != nil {
			return segment.Info{}, err
		}
	}
	return segment.Info{Rows: rows.Batch.N, Bytes: int64(2 * len(raw)), MinTS: slices.Min(rows.TS), MaxTS: slices.Max(rows.TS)}, nil
}

func readPlain(ctx context.Context, store objstore.Store, dir string) (rows segment.Rows, err error) {
	var raw [2][]byte
	for i, name := range []string{segment.ParquetName, segment.ColumnsName} {
		r, _, err := store.Get(ctx, dir+"/"+name)
		if err != nil {
			return rows, err
		}
		if raw[i], err = io.ReadAll(r); err != nil {
			return rows, err
		}
		r.Close()
	}
	if !bytes.Equal(raw[0], raw[1]) {
		return rows, fmt.Errorf("files of two attempts in %s", dir)
	}
	for n := 0; ; n++ { // the batch is what remains without n timestamps
		rows.Batch, err = schema.DecodeBatch(raw[0][:len(raw[0])-8*n])
		if err == nil && rows.Batch.N == n {
			break
		}
		if 8*(n+1) > len(raw[0]) {
			return rows, fmt.Errorf("no rows in %s", dir)
		}
	}
	for at := len(raw[0]) - 8*rows.Batch.N; at < len(raw[0]); at += 8 {
		rows.TS = append(rows.TS, binary.LittleEndian.Uint64(raw[0][at:]))
	}
	return rows, nil
}

func (w *world) put(key string, record any) int64 {
	w.t.Helper()
	op, err := catalog.Put(key, record)
	if err != nil {
		w.t.Fatal(err)
	}
	rev, ok, err := w.meta.Txn(w.ctx, nil, []meta.Op{op})
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	return rev
}

// start runs a datanode.
func (w *world) start(addr string, adjust func(*Config)) *proc {
	w.t.Helper()
	return w.startWith(addr, adjust, writePlain)
}

type segmentWriter func(ctx context.Context, store objstore.Store, dir string, s *schema.Schema, rows segment.Rows) (segment.Info, error)

func (w *world) startWith(addr string, adjust func(*Config), files segmentWriter) *proc {
	w.t.Helper()
	p := &proc{w: w, meta: metafault.New(w.meta.Dial()), queue: mqfault.New(w.queue.Dial(), nil), objects: objfault.New(w.objects), done: make(chan struct{})}
	cfg := DefaultConfig()
	cfg.Addr, cfg.UploadRetryMax = addr, time.Second
	if adjust != nil {
		adjust(&cfg)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cache := catalog.NewCache(p.meta, slog.New(slog.DiscardHandler))
	var err error
	p.node, err = New(cfg, Deps{Meta: p.meta, Cache: cache, Queue: p.queue, Objects: p.objects, Coordinator: w.coord, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	p.node.writeSegment = files
	runCtx, stop := context.WithCancel(ctx)
	p.stop = stop
	w.wg.Go(func() { _ = cache.Run(ctx) })
	w.wg.Go(func() {
		defer close(p.done)
		defer cancel()
		if err := p.node.Run(runCtx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.mu.Lock()
	w.procs[addr] = p
	w.mu.Unlock()
	return p
}

// halt stops a process properly.
func (p *proc) halt() {
	p.stop()
	<-p.done
}

// kill cuts a process off from everything at once, and ends it.
func (p *proc) kill() {
	p.meta.Partition()
	_ = p.queue.Close()
	p.objects.SetPartition(true)
	p.stop()
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("still not after ten minutes: %s", what)
}

// owner is the process that the catalog names as the owner of log 0.
func (w *world) owner() *proc {
	o := w.cache.Owner(0)
	if o == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.procs[o.Addr]
}

func (w *world) owned() {
	w.t.Helper()
	w.until("the log is served", func() bool { p := w.owner(); return p != nil && len(p.node.owners()) == 1 })
}

// insertOf makes an insert of one row per key whose field 101 is the request's number.
func (w *world) insertOf(shard int, partition int64, keys ...int64) *pb.WriteRequest {
	w.mu.Lock()
	w.next++
	n := w.next
	w.model[n] = modelRequest{shard: shard, keys: keys}
	w.mu.Unlock()
	id := make([]byte, 16)
	copy(id, fmt.Sprintf("request-%08d", n))
	return &pb.WriteRequest{
		Collection: coll, Shard: int32(shard), RequestId: id, SchemaVersion: 1, Kind: pb.WriteKind_INSERT,
		Parts: []*pb.WritePart{{Partition: partition, Rows: rowsOf(n, keys).Encode(nil)}},
	}
}

func rowsOf(request int64, keys []int64) *schema.Batch {
	b := &schema.Batch{N: len(keys), Columns: []*schema.Column{
		{Field: 100, Type: schema.Int64, N: len(keys), Ints: keys},
		{Field: 101, Type: schema.Int64, N: len(keys)},
		{Field: 102, Type: schema.FloatVector, Dim: 2, N: len(keys)},
	}}
	for range keys {
		b.Columns[1].Ints = append(b.Columns[1].Ints, request)
		b.Columns[2].Vectors = append(b.Columns[2].Vectors, float32(request), 1)
	}
	return b
}

// write sends a request to the owner until it is answered for good.
func (w *world) write(ctx context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	for {
		resp, err := w.writeOnce(ctx, req)
		if err == nil || ctx.Err() != nil || !errs.CodeOf(err).Retriable() && !errs.Is(err, errs.Canceled) && !errs.Is(err, errs.Timeout) {
			return resp, err
		}
		sleep(ctx, 50*time.Millisecond)
	}
}

func (w *world) writeOnce(ctx context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	p := w.owner()
	if p == nil {
		return nil, errs.New(errs.Unavailable, "no owner")
	}
	resp, err := p.node.Write(ctx, req)
	if err == nil && req.Kind == pb.WriteKind_INSERT {
		w.mu.Lock()
		defer w.mu.Unlock()
		var n int64
		_, _ = fmt.Sscanf(string(req.RequestId), "request-%08d", &n)
		m := w.model[n]
		if m.acked != nil && (m.acked.Timestamp != resp.Timestamp || m.acked.Position != resp.Position) {
			w.t.Errorf("request %d was answered %v, now %v", n, m.acked, resp)
		}
		m.acked = resp
		w.model[n] = m
	}
	return resp, err
}

func (w *world) mustWrite(req *pb.WriteRequest) *pb.WriteResponse {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	resp, err := w.write(ctx, req)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

func (w *world) flush() {
	w.t.Helper()
	var resp *pb.FlushResponse
	w.until("flush is taken", func() bool {
		p := w.owner()
		if p == nil {
			return false
		}
		var err error
		resp, err = p.node.Flush(w.ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0, 1}})
		return err == nil
	})
	w.until("flushed", func() bool {
		p := w.owner()
		if p == nil {
			return false
		}
		s, err := p.node.FlushState(w.ctx, &pb.FlushStateRequest{Collection: coll, Shards: []int32{0, 1}, FlushTs: resp.FlushTs})
		return err == nil && s.Flushed
	})
}

func (w *world) shard(i int) *catalog.Shard {
	w.t.Helper()
	m, _, err := catalog.Read[catalog.Shard](w.ctx, w.meta, catalog.ShardKey(coll, i))
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// row is one row as a reader finds it.
type row struct {
	request, key int64
	ts           uint64
	partition    int64
	sealed       bool
}

// found is everything that a reader finds of one shard.
type found struct {
	rows    []row
	deletes segment.Deletes
}

// read reads a shard as a query node does: manifest, files, and the log behind the manifest's checkpoint.
func (w *world) read(i int) found {
	w.t.Helper()
	var out found
	m := w.shard(i)
	for _, seg := range m.Segments {
		rows, err := readPlain(w.ctx, w.objects, seg.Dir)
		if err != nil {
			w.t.Fatal(err)
		}
		for r, key := range rows.Batch.Column(100).Ints {
			out.rows = append(out.rows, row{rows.Batch.Column(101).Ints[r], key, rows.TS[r], seg.Partition, true})
		}
	}
	for _, d := range m.Deltas {
		deletes, err := segment.ReadDelta(w.ctx, w.objects, d.Path)
		if err != nil {
			w.t.Fatal(err)
		}
		if lo, hi := slices.Min(deletes.Position), slices.Max(deletes.Position); lo <= d.From || hi > d.To || d.Count != deletes.Len() {
			w.t.Errorf("delta %+v holds %d deletes at positions %d to %d", d, deletes.Len(), lo, hi)
		}
		out.add(deletes)
	}
	w.readLog(&out, i, m.Checkpoint)
	return out
}

func (f *found) add(d segment.Deletes) {
	f.deletes.Keys.Ints = append(f.deletes.Keys.Ints, d.Keys.Ints...)
	f.deletes.TS = append(f.deletes.TS, d.TS...)
	f.deletes.ReadTS = append(f.deletes.ReadTS, d.ReadTS...)
	f.deletes.Partition = append(f.deletes.Partition, d.Partition...)
}

// readLog takes what the log has of a shard behind a position.
func (w *world) readLog(out *found, i int, behind mq.Position) {
	w.t.Helper()
	log, err := w.queue.Open(w.ctx, mq.LogID{Name: "log", UUID: "u"}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	var marks catalog.LogMarks
	if m, _, err := catalog.Read[catalog.LogMarks](w.ctx, w.meta, catalog.MarksKey(0)); err == nil {
		marks = *m
	}
	tail, _ := log.Tail(w.ctx)
	r := wal.NewReader(log, wal.Start{Position: marks.Checkpoint, Epoch: marks.Epoch, Seq: marks.Seq})
	for r.Position()+1 < tail {
		ctx, cancel := context.WithTimeout(w.ctx, time.Millisecond)
		e, err := r.Next(ctx)
		over := ctx.Err() != nil
		cancel()
		if err != nil && over {
			return // what is left does not count
		}
		if err != nil {
			w.t.Fatal(err)
		}
		for x := range e.Records {
			if rec := &e.Records[x]; rec.Collection == coll && int(rec.Shard) == i && e.Position > behind && rec.Kind != wal.Seal {
				p, err := decode(rec, 100)
				if err != nil {
					w.t.Fatal(err)
				}
				for _, part := range p.parts {
					for k, key := range part.batch.Column(100).Ints {
						out.rows = append(out.rows, row{part.batch.Column(101).Ints[k], key, rec.TS, part.partition, false})
					}
				}
				if rec.Kind == wal.Upsert {
					rec.ReadTS = 0 // it guards the write, it limits no delete
				}
				if p.keys.Len() > 0 {
					out.add(deletesOf([]deletion{{keys: p.keys, ts: rec.TS, readTS: rec.ReadTS, partition: rec.Partition}}))
				}
			}
		}
	}
}

// check verifies that every acknowledged row is there exactly once with its timestamp, and no row twice.
func (w *world) check() {
	w.t.Helper()
	type place struct {
		request, key int64
	}
	seen := map[place]row{}
	for i := range 2 {
		for _, r := range w.read(i).rows {
			p := place{r.request, r.key}
			if other, twice := seen[p]; twice {
				w.t.Errorf("row %+v is there twice: %+v", r, other)
			}
			if w.model[r.request].shard != i {
				w.t.Errorf("row %+v in shard %d", r, i)
			}
			seen[p] = r
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.model)) {
		m := w.model[n]
		if m.acked == nil {
			continue
		}
		for _, key := range m.keys {
			if r, ok := seen[place{n, key}]; !ok || r.ts != m.acked.Timestamp {
				w.t.Errorf("request %d, acknowledged as %v: key %d is found as %+v (%v)", n, m.acked, key, r, ok)
			}
		}
	}
}

func (w *world) sealedRows() int {
	n := 0
	for i := range 2 {
		for _, s := range w.shard(i).Segments {
			n += s.Rows
		}
	}
	return n
}

func (w *world) intents() []string {
	kvs, _, err := w.meta.List(w.ctx, intentPrefix)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, kv := range kvs {
		out = append(out, kv.Key)
	}
	return out
}
