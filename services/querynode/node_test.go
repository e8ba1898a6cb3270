package querynode

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/mq"
	mqmem "github.com/gyr-db/gyr/pkg/mq/mem"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
	"github.com/gyr-db/gyr/pkg/wal"
)

const (
	collectionID = 7
	keyField     = 100
	valueField   = 101
	vecField     = 102
	dim          = 4
)

var testSchema = schema.Schema{Version: 1, Fields: []schema.Field{
	{ID: keyField, Name: "key", Type: schema.Int64, PrimaryKey: true},
	{ID: valueField, Name: "value", Type: schema.Int64},
	{ID: vecField, Name: "vec", Type: schema.FloatVector, Dim: dim},
}}

// world is a one-shard collection whose owner is the test itself: it writes the log, seals, and publishes views.
type world struct {
	t       *testing.T
	ctx     context.Context
	store   meta.Store
	objects *objmem.Store
	log     mq.Log
	node    *Node
	rng     *rand.Rand

	seq, ts  uint64
	position mq.Position
	history  []op
	manifest catalog.Shard
	view     uint64
	segments int64
	sealedAt mq.Position
}

// op is one write of the history.
type op struct {
	ts, position uint64
	kind         wal.Kind
	key, value   int64
}

func newWorld(t *testing.T, seed uint64) *world {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	w := &world{t: t, ctx: ctx, store: metamem.New(), objects: objmem.New(), rng: rand.New(rand.NewPCG(seed, 1))}
	queue := mqmem.New()
	id := mq.LogID{Name: "log-0", UUID: "u"}
	w.must(queue.Create(ctx, id))
	log, err := queue.Open(ctx, id, 0)
	w.must(err)
	w.log = log
	cache := catalog.NewCache(w.store, quiet)
	cfg := DefaultConfig()
	cfg.Addr, cfg.RetireAfter = "test", 50*time.Millisecond
	node, err := New(cfg, Deps{Meta: w.store, Cache: cache, Queue: queue, Objects: w.objects, Logger: quiet})
	w.must(err)
	w.node = node
	w.manifest = catalog.Shard{Collection: collectionID}
	w.put(catalog.LogKey(0), catalog.Log{Name: id.Name, UUID: id.UUID, Created: true})
	w.put(catalog.CollectionKey(collectionID), catalog.Collection{ID: collectionID, Name: "c", State: catalog.Ready, Schema: testSchema, ShardLogs: []int{0}})
	w.put(catalog.ShardKey(collectionID, 0), w.manifest)
	runCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- cache.Run(runCtx) }()
	go func() { ended <- node.Run(runCtx) }()
	w.must(cache.Ready(ctx))
	t.Cleanup(func() { stop(); <-ended; <-ended; cancel() })
	w.append(wal.Record{Kind: wal.Fence})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(key string, v any) {
	raw, err := json.Marshal(v)
	w.must(err)
	_, _, err = w.store.Txn(w.ctx, nil, []meta.Op{{Key: key, Value: raw}})
	w.must(err)
}

// append writes records as one entry of epoch 1.
func (w *world) append(records ...wal.Record) {
	for i := range records {
		records[i].Epoch = 1
		if records[i].Kind != wal.Fence {
			w.seq++
			records[i].Seq = w.seq
			records[i].Collection = collectionID
		}
	}
	pos, err := w.log.Append(w.ctx, wal.EncodeGroup(nil, records), mq.AppendOptions{})
	w.must(err)
	w.position = pos
}

func vectorOf(value int64) []float32 {
	return []float32{float32(value), 1, float32(value % 7), float32(-value % 3)}
}

func rowsOf(keys, values []int64) *schema.Batch {
	var vec []float32
	for _, v := range values {
		vec = append(vec, vectorOf(v)...)
	}
	n := len(keys)
	return &schema.Batch{N: n, Columns: []*schema.Column{
		{Field: keyField, Type: schema.Int64, N: n, Ints: keys},
		{Field: valueField, Type: schema.Int64, N: n, Ints: values},
		{Field: vecField, Type: schema.FloatVector, Dim: dim, N: n, Vectors: vec},
	}}
}

// write appends one entry of a few random upserts and deletes.
func (w *world) write() {
	var records []wal.Record
	for range 1 + w.rng.IntN(4) {
		w.ts++
		key, value := w.rng.Int64N(40), int64(w.ts)
		r := wal.Record{Kind: wal.Upsert, TS: w.ts, SchemaVersion: 1, Keys: schema.Keys{Ints: []int64{key}}.Encode(nil)}
		if w.rng.IntN(3) == 0 {
			r.Kind = wal.Delete
		} else {
			r.Parts = []wal.Part{{Partition: 1, Rows: rowsOf([]int64{key}, []int64{value}).Encode(nil)}}
		}
		records = append(records, r)
		w.history = append(w.history, op{ts: w.ts, kind: r.Kind, key: key, value: value})
	}
	w.append(records...)
	for i := len(w.history) - len(records); i < len(w.history); i++ {
		w.history[i].position = w.position
	}
}

// seal cuts the shard: seal record, row file, delta file, manifest, as an owner does.
func (w *world) seal() {
	w.segments++
	w.append(wal.Record{Kind: wal.Seal, Seal: []wal.SealedSegment{{Partition: 1, Segment: w.segments}}})
	var keys, values []int64
	var rows segment.Rows
	var del segment.Deletes
	for _, o := range w.history {
		if o.position <= w.sealedAt {
			continue
		}
		if o.kind == wal.Upsert {
			keys, values = append(keys, o.key), append(values, o.value)
			rows.TS = append(rows.TS, o.ts)
		}
		del.Keys.Ints = append(del.Keys.Ints, o.key)
		del.TS = append(del.TS, o.ts)
		del.ReadTS = append(del.ReadTS, 0)
		del.Partition = append(del.Partition, 0)
		del.Position = append(del.Position, o.position)
	}
	rows.Batch = rowsOf(keys, values)
	if len(keys) > 0 {
		dir := fmt.Sprintf("segments/%d", w.segments)
		info, err := segment.Write(w.ctx, w.objects, dir, &testSchema, rows)
		w.must(err)
		w.manifest.Segments = append(w.manifest.Segments, catalog.Segment{
			ID: w.segments, Partition: 1, Rows: info.Rows, MinTS: info.MinTS, MaxTS: info.MaxTS,
			AppliedThrough: w.sealedAt, Dir: dir, Schema: 1,
		})
	}
	if len(del.TS) > 0 {
		path := fmt.Sprintf("deltas/%d", w.segments)
		_, err := segment.WriteDelta(w.ctx, w.objects, path, del)
		w.must(err)
		w.manifest.Deltas = append(w.manifest.Deltas, catalog.Delta{Path: path, From: w.sealedAt, To: w.position, Count: len(del.TS), MinTS: del.TS[0], MaxTS: w.ts})
	}
	w.sealedAt, w.manifest.Checkpoint = w.position, w.position
	w.put(catalog.ShardKey(collectionID, 0), w.manifest)
}

// handOff prepares a view of the manifest on the node and publishes it.
func (w *world) handOff(publish bool) uint64 {
	w.t.Helper()
	w.view++
	v := catalog.View{Collection: collectionID, Number: w.view, Leader: w.node.ID(), From: w.manifest.Checkpoint, Segments: map[int64][]catalog.NodeID{}}
	for _, s := range w.manifest.Segments {
		v.Segments[s.ID] = []catalog.NodeID{w.node.ID()}
	}
	raw, err := json.Marshal(v)
	w.must(err)
	for {
		r, err := w.node.PrepareView(w.ctx, &pb.PrepareViewRequest{ViewJson: raw, Node: w.node.ID()})
		w.must(err)
		if r.Ready {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if publish {
		w.put(catalog.ViewKey(collectionID, 0, 0), v)
	}
	return w.view
}

func (w *world) scope(view, position, readTS uint64) *pb.Scope {
	return &pb.Scope{Node: w.node.ID(), Collection: collectionID, Views: []*pb.ViewRef{{Number: view}}, Snapshots: []*pb.Snapshot{{Position: position, ReadTs: readTS}}}
}

// want is what the history says is alive at readTS.
func (w *world) want(readTS uint64) map[int64]int64 {
	alive := map[int64]int64{}
	for _, o := range w.history {
		if o.ts > readTS {
			break
		}
		delete(alive, o.key)
		if o.kind == wal.Upsert {
			alive[o.key] = o.value
		}
	}
	return alive
}

// check reads everything at a snapshot in three ways and compares with the history.
func (w *world) check(view, position, readTS uint64) {
	w.t.Helper()
	want := w.want(readTS)
	q, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: w.scope(view, position, readTS), Fields: []int64{keyField, valueField}})
	w.must(err)
	batch, err := schema.DecodeBatch(q.Rows)
	w.must(err)
	got := map[int64]int64{}
	for i := range batch.N {
		got[batch.Columns[0].Ints[i]] = batch.Columns[1].Ints[i]
	}
	if batch.N != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("view %d at %d: got %v (%d rows), want %v", view, readTS, got, batch.N, want)
	}
	c, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: w.scope(view, position, readTS), CountOnly: true})
	w.must(err)
	if c.Count != int64(len(want)) {
		w.t.Fatalf("view %d at %d: count %d, want %d", view, readTS, c.Count, len(want))
	}
	w.checkSearch(view, position, readTS, want)
}

func (w *world) checkSearch(view, position, readTS uint64, want map[int64]int64) {
	w.t.Helper()
	query := segment.Rows{Batch: rowsOf([]int64{0}, []int64{int64(readTS / 2)})}.Batch.Columns[2]
	raw := (&schema.Batch{N: 1, Columns: []*schema.Column{query}}).Encode(nil)
	r, err := w.node.Search(w.ctx, &pb.SearchRequest{
		Scope:    w.scope(view, position, readTS),
		Searches: []*pb.SubSearch{{Field: vecField, Nq: 1, K: 5, Metric: "L2", Vectors: raw[len(raw)-4*dim:]}},
	})
	w.must(err)
	hits := r.Results[0]
	keys, err := schema.DecodeKeys(hits.Keys)
	w.must(err)
	if n := min(5, len(want)); keys.Len() != n || int(hits.Counts[0]) != n {
		w.t.Fatalf("view %d at %d: %d hits, want %d", view, readTS, keys.Len(), n)
	}
	f, err := w.node.Fetch(w.ctx, &pb.FetchRequest{
		Scope: w.scope(view, position, readTS), Segments: hits.Segments, Rows: hits.Rows, Shards: hits.Shards,
		Fields: []int64{valueField},
	})
	w.must(err)
	batch, err := schema.DecodeBatch(f.Rows)
	w.must(err)
	var scores []float32
	for _, v := range want {
		scores = append(scores, l2(vectorOf(v), query.Vectors))
	}
	slices.Sort(scores)
	for i, k := range keys.Ints {
		if want[k] != batch.Columns[0].Ints[i] || hits.Scores[i] != scores[i] {
			w.t.Fatalf("view %d at %d: hit %d is key %d value %d score %v; want value %d, score %v", view, readTS, i, k, batch.Columns[0].Ints[i], hits.Scores[i], want[k], scores[i])
		}
	}
}

func l2(a, b []float32) float32 {
	var sum float32
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return sum
}

// TestEveryViewShowsTheSameRows: writes, seals and handoffs at random; at any pinned timestamp, the view before and the
// view after a handoff both give every live row exactly once (traces 15, 21, 22).
func TestEveryViewShowsTheSameRows(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			views := []uint64{w.handOff(true)}
			for range 60 {
				switch w.rng.IntN(6) {
				case 0:
					w.seal()
				case 1:
					views = append(views, w.handOff(true))
				default:
					w.write()
				}
				readTS := w.ts
				if w.rng.IntN(3) == 0 && w.ts > 0 {
					readTS = w.rng.Uint64N(w.ts) + 1
				}
				w.check(views[len(views)-1], w.position, readTS)
				if len(views) > 1 && w.rng.IntN(2) == 0 {
					w.checkOld(views[len(views)-2], readTS)
				}
			}
		})
	}
}

// checkOld reads an older view: the right rows, or "stale".
func (w *world) checkOld(view, readTS uint64) {
	w.t.Helper()
	_, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: w.scope(view, w.position, readTS), CountOnly: true})
	if errs.Is(err, errs.ViewStale) {
		return
	}
	w.must(err)
	c, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: w.scope(view, w.position, readTS), CountOnly: true})
	if err == nil && c.Count != int64(len(w.want(readTS))) {
		w.t.Fatalf("old view %d at %d: count %d, want %d", view, readTS, c.Count, len(w.want(readTS)))
	}
}

// TestJoiningLate: a node that gets its first view when the log is long has every row and every delete.
func TestJoiningLate(t *testing.T) {
	w := newWorld(t, 99)
	for i := range 40 {
		w.write()
		if i%9 == 8 {
			w.seal()
		}
	}
	view := w.handOff(true)
	w.check(view, w.position, w.ts)
	w.write()
	w.check(view, w.position, w.ts)
}

func TestOldViewsAreFreedAndStale(t *testing.T) {
	w := newWorld(t, 5)
	w.write()
	old := w.handOff(true)
	w.seal()
	w.handOff(true)
	deadline := time.Now().Add(5 * time.Second)
	for w.node.Status().Views > 1 {
		if time.Now().After(deadline) {
			t.Fatal("the old view is still there")
		}
		time.Sleep(10 * time.Millisecond)
	}
	_, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: w.scope(old, w.position, w.ts), CountOnly: true})
	if !errs.Is(err, errs.ViewStale) {
		t.Fatalf("an old view: %v", err)
	}
	if rows := w.node.Status().GrowingRows; rows != 0 {
		t.Fatalf("%d growing rows are left of what was sealed", rows)
	}
}

// TestWaitingHasAnEnd: a position that is never reached ends with the request's deadline.
func TestWaitingHasAnEnd(t *testing.T) {
	w := newWorld(t, 6)
	w.write()
	view := w.handOff(true)
	ctx, cancel := context.WithTimeout(w.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := w.node.Query(ctx, &pb.QueryRequest{Scope: w.scope(view, w.position+1, w.ts), CountOnly: true})
	if !errs.Is(err, errs.Timeout) {
		t.Fatal(err)
	}
}

// TestRequestsForAnotherProcessAreRefused: a process that was restarted on the address of a dead one must not answer,
// with nothing, for that one.
func TestRequestsForAnotherProcessAreRefused(t *testing.T) {
	w := newWorld(t, 7)
	w.write()
	view := w.handOff(true)
	sc := w.scope(view, w.position, w.ts)
	sc.Node++
	if _, err := w.node.Query(w.ctx, &pb.QueryRequest{Scope: sc, CountOnly: true}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("a query meant for another node: %v", err)
	}
	if _, err := w.node.PrepareView(w.ctx, &pb.PrepareViewRequest{ViewJson: []byte("{}"), Node: sc.Node}); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("a view meant for another node: %v", err)
	}
}

// TestJoiningBeforeTheReaderWentBack: two shards join in a row, the second one further back; neither may lose a record.
func TestJoiningBeforeTheReaderWentBack(t *testing.T) {
	log := &tailer{members: map[shardID]*member{}, changed: make(chan struct{}), applied: 100}
	fresh := func(id int64) *shard { return newShard(shardID{id, 0}, 0, &testSchema, 0) }
	old, b, c := fresh(1), fresh(2), fresh(3)
	log.members[old.id] = &member{shard: old}
	log.join(b, wal.Start{Position: 50})
	log.join(c, wal.Start{Position: 20})
	if log.rewind == nil || log.rewind.Position != 20 {
		t.Fatalf("the reader goes back to %+v, want 20", log.rewind)
	}
	for s, want := range map[*shard]mq.Position{old: 100, b: 50, c: 0} {
		if got := log.members[s.id].floor; got != want {
			t.Errorf("shard %s skips records through %d, want %d", s.id, got, want)
		}
	}
}

// TestLoadBesideASeal: while a segment's files are read, a later seal makes the node forget deletes that a delta file now
// holds. The segment must get them from there.
func TestLoadBesideASeal(t *testing.T) {
	w := newWorld(t, 8)
	w.handOff(true)
	for range 10 {
		w.write()
	}
	w.seal()
	old := w.manifest // what the node saw when the load began
	for range 10 {
		w.write()
	}
	w.seal()
	w.handOff(true)
	w.node.mu.Lock()
	s := w.node.open[shardID{collectionID, 0}]
	w.node.mu.Unlock()
	s.forget(0, w.manifest.Checkpoint, nil)
	e, fresh := s.entry(&old, old.Segments[0].ID)
	if !fresh {
		t.Fatal("the segment is still there")
	}
	w.node.load(w.ctx, s, e)
	if e.err != nil {
		t.Fatal(e.err)
	}
	set, err := e.seg.Select(w.ctx, nil, w.ts, 0)
	w.must(err)
	alive := 0
	for _, o := range w.history {
		if o.position <= old.Checkpoint && o.kind == wal.Upsert && w.want(w.ts)[o.key] == o.value {
			alive++
		}
	}
	if set.Count() != alive {
		t.Fatalf("%d rows of the first segment are alive, want %d", set.Count(), alive)
	}
}
