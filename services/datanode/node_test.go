package datanode

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/meta"
	metafault "github.com/gyr-db/gyr/pkg/meta/fault"
	"github.com/gyr-db/gyr/pkg/mq"
	mqfault "github.com/gyr-db/gyr/pkg/mq/fault"
	objfault "github.com/gyr-db/gyr/pkg/objstore/fault"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/wal"
)

func TestWriteRestartFlush(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		for i := range int64(20) {
			w.mustWrite(w.insertOf(int(i%2), []int64{partA, partB}[i%3%2], i, i+100))
		}
		before, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{})
		if err != nil {
			t.Fatal(err)
		}
		w.check()
		p.halt()
		if _, err := w.meta.Get(w.ctx, catalog.OwnerKey(0)); !isNotFound(err) {
			t.Errorf("a stopped node still owns the log: %v", err)
		}
		p = w.start("a", nil)
		w.owned()
		after, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{})
		if err != nil || after.ReadTs != before.ReadTs || after.Position < before.Position {
			t.Errorf("barrier %v before the restart, %v after (%v)", before, after, err)
		}
		w.mustWrite(w.insertOf(0, partA, 999))
		w.check()
		w.flush()
		w.check()
		if n := w.sealedRows(); n != 41 {
			t.Errorf("%d rows in segments", n)
		}
		if st := p.node.Status(); st.UnsealedBytes != 0 || len(st.Logs) != 1 || len(st.Logs[0].Shards) != 0 {
			t.Errorf("status after the flush %+v", st)
		}
		s := w.shard(0)
		if s.Checkpoint == 0 || s.SealedTS == 0 || len(s.Deltas) != 0 || len(w.intents()) != 0 {
			t.Errorf("manifest %+v, intents %v", s, w.intents())
		}
		resp, err := p.node.Flush(w.ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0, 1}})
		if err != nil || len(resp.Sealed) != 0 || resp.FlushTs == 0 || w.shard(0).Checkpoint != s.Checkpoint {
			t.Errorf("flush of an idle collection: %v, %v", resp, err)
		}
	})
}

// TestDeletesAndUpserts: deletes come as delta files in the seal's range, and segments apply those behind their own seal.
func TestDeletesAndUpserts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1, 2))
		del := &pb.WriteRequest{Collection: coll, SchemaVersion: 1, Kind: pb.WriteKind_DELETE, Keys: schema.Keys{Ints: []int64{1}}.Encode(nil), DeletePartition: partA, ReadTs: 77}
		d := w.mustWrite(del)
		w.flush()
		up := w.insertOf(0, partB, 2)
		up.Kind, up.Keys, up.ReadTs = pb.WriteKind_UPSERT, schema.Keys{Ints: []int64{2}}.Encode(nil), d.Timestamp
		u := w.mustWrite(up)
		for range 2 { // growing, then sealed
			f := w.read(0)
			if !slices.Equal(f.deletes.TS, []uint64{d.Timestamp, u.Timestamp}) || !slices.Equal(f.deletes.Keys.Ints, []int64{1, 2}) ||
				!slices.Equal(f.deletes.ReadTS, []uint64{77, 0}) || !slices.Equal(f.deletes.Partition, []int64{partA, 0}) || len(f.rows) != 3 {
				t.Errorf("found %+v", f)
			}
			w.flush()
		}
		s := w.shard(0)
		if len(s.Segments) != 2 || s.Segments[0].AppliedThrough != 0 || s.Segments[1].AppliedThrough != s.Deltas[0].To || s.Deltas[1].From != s.Deltas[0].To || s.Deltas[1].To != s.Checkpoint {
			t.Errorf("manifest %+v", s)
		}
	})
}

func TestRequestIDIsAppendedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		req := w.insertOf(0, partA, 1)
		first := w.mustWrite(req)
		if again := w.mustWrite(req); again.Timestamp != first.Timestamp {
			t.Errorf("retry at the same owner: %v, then %v", first, again)
		}
		p.kill()
		w.start("b", nil)
		w.until("b owns", func() bool { o := w.owner(); return o == w.procs["b"] && len(o.node.owners()) == 1 })
		if again := w.mustWrite(req); again.Timestamp != first.Timestamp {
			t.Errorf("retry at the next owner: %v, then %v", first, again)
		}
		w.flush()
		time.Sleep(5 * time.Second) // marks move
		w.procs["b"].kill()
		w.start("c", nil)
		w.until("c owns", func() bool { o := w.owner(); return o == w.procs["c"] && len(o.node.owners()) == 1 })
		if again := w.mustWrite(req); again.Timestamp != first.Timestamp {
			t.Errorf("retry at the next owner of a sealed row: %v, then %v", first, again)
		}
		w.check()
	})
}

// TestRetryWhileInFlight: the second attempt of a request waits for the first.
func TestRetryWhileInFlight(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		held := make(chan struct{})
		p.queue.SetHook(func(c mqfault.Call) mqfault.Action {
			if c.Op == mqfault.Append {
				<-held
			}
			return mqfault.Action{}
		})
		req := w.insertOf(0, partA, 1)
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := w.writeOnce(ctx, req); !errs.Is(err, errs.Timeout) {
			t.Errorf("held write: %v", err)
		}
		got := make(chan *pb.WriteResponse, 4)
		queued := w.insertOf(0, partA, 2) // both attempts wait in the queue
		for _, r := range []*pb.WriteRequest{req, req, queued, queued} {
			go func() { resp, _ := w.writeOnce(w.ctx, r); got <- resp }()
		}
		synctest.Wait()
		close(held)
		stamps := map[uint64]int{}
		for range 4 {
			stamps[(<-got).GetTimestamp()]++
		}
		if len(stamps) != 2 || stamps[0] != 0 {
			t.Errorf("timestamps of the answers: %v", stamps)
		}
		w.check()
	})
}

func TestPartialUpsertConflicts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("a", nil)
		w.owned()
		first := w.mustWrite(w.insertOf(0, partA, 1, 2))
		upsert := func(readTS uint64, key int64) error {
			req := w.insertOf(0, partA, key)
			req.Kind, req.Keys, req.ReadTs = pb.WriteKind_UPSERT, schema.Keys{Ints: []int64{key}}.Encode(nil), readTS
			_, err := w.writeOnce(w.ctx, req)
			return err
		}
		if err := upsert(first.Timestamp, 1); err != nil {
			t.Errorf("read the newest version: %v", err)
		}
		if err := upsert(first.Timestamp, 1); !errs.Is(err, errs.WriteConflict) {
			t.Errorf("read before the last write: %v", err)
		}
		if err := upsert(first.Timestamp, 2); err != nil {
			t.Errorf("another key: %v", err)
		}
		if err := upsert(first.Timestamp-1, 3); err != nil {
			t.Errorf("a key that nobody wrote, the window is complete: %v", err)
		}
	})
}

func TestWindowIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.WindowKeys, cfg.WindowRequests = 100, 10
	win := newWindow(&cfg, 0)
	for i := range uint64(1000) {
		win.wrote([]uint64{i}, i+1)
		id := requestID{byte(i), byte(i >> 8), 1}
		close(win.begin(id, i+1).done)
	}
	if len(win.keys) != 100 || len(win.requests) != 10 || win.keysFrom != 900 || win.requestsFrom != 990 {
		t.Errorf("%d keys from %d, %d requests from %d", len(win.keys), win.keysFrom, len(win.requests), win.requestsFrom)
	}
	if err := win.conflict([]uint64{5}, 899); !errs.Is(err, errs.WriteConflict) {
		t.Errorf("read before the window: %v", err)
	}
	if err := win.conflict([]uint64{5, 950}, 951); err != nil {
		t.Errorf("read in the window: %v", err)
	}
	win.requestsFrom = 1000 << 18
	v7 := func(ms byte) requestID { return requestID{4: ms >> 4, 5: ms << 4, 6: 0x70} }
	if old, young := (requestID{4: 3, 5: 0xe7, 6: 0x70}), (requestID{4: 3, 5: 0xe8, 6: 0x70}); !win.tooOld(old) || win.tooOld(young) || win.tooOld(requestID{6: 0x40}) {
		t.Error("age of requests", v7(1))
	}
}

func TestBadRequests(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", func(c *Config) { c.MaxRequestBytes = 10_000 })
		w.owned()
		col := func(c schema.Column) []byte {
			b := rowsOf(1, []int64{1})
			for i, old := range b.Columns {
				if old.Field == c.Field {
					b.Columns[i] = &c
				}
			}
			return b.Encode(nil)
		}
		keys := schema.Keys{Ints: []int64{1}}.Encode(nil)
		for name, c := range map[string]struct {
			change func(r *pb.WriteRequest)
			want   errs.Code
		}{
			"log":              {func(r *pb.WriteRequest) { r.Log = 3 }, errs.NotOwner},
			"collection":       {func(r *pb.WriteRequest) { r.Collection = 5 }, errs.Moved},
			"shard":            {func(r *pb.WriteRequest) { r.Shard = 2 }, errs.Moved},
			"negative shard":   {func(r *pb.WriteRequest) { r.Shard = -1 }, errs.Moved},
			"partition":        {func(r *pb.WriteRequest) { r.Parts[0].Partition = 5 }, errs.Moved},
			"delete partition": {func(r *pb.WriteRequest) { r.DeletePartition = 5 }, errs.Moved},
			"old schema":       {func(r *pb.WriteRequest) { r.SchemaVersion = 0 }, errs.SchemaMismatch},
			"new schema":       {func(r *pb.WriteRequest) { r.SchemaVersion = 2 }, errs.SchemaMismatch},
			"kind":             {func(r *pb.WriteRequest) { r.Kind = 9 }, errs.InvalidParameter},
			"no rows":          {func(r *pb.WriteRequest) { r.Parts = nil }, errs.InvalidParameter},
			"insert with keys": {func(r *pb.WriteRequest) { r.Keys = keys }, errs.InvalidParameter},
			"delete with rows": {func(r *pb.WriteRequest) { r.Kind = pb.WriteKind_DELETE; r.Keys = keys }, errs.InvalidParameter},
			"upsert, no keys":  {func(r *pb.WriteRequest) { r.Kind = pb.WriteKind_UPSERT }, errs.InvalidParameter},
			"string keys": {func(r *pb.WriteRequest) {
				r.Kind = pb.WriteKind_UPSERT
				r.Keys = schema.Keys{Strings: []string{"a"}}.Encode(nil)
			}, errs.InvalidParameter},
			"bad keys":   {func(r *pb.WriteRequest) { r.Kind = pb.WriteKind_UPSERT; r.Keys = []byte{7, 7} }, errs.InvalidParameter},
			"request id": {func(r *pb.WriteRequest) { r.RequestId = []byte{1} }, errs.InvalidParameter},
			"garbage":    {func(r *pb.WriteRequest) { r.Parts[0].Rows = []byte("garbage") }, errs.InvalidParameter},
			"empty part": {func(r *pb.WriteRequest) { r.Parts[0].Rows = rowsOf(1, nil).Encode(nil) }, errs.InvalidParameter},
			"missing column": {func(r *pb.WriteRequest) {
				r.Parts[0].Rows = (&schema.Batch{N: 1, Columns: rowsOf(1, []int64{1}).Columns[:2]}).Encode(nil)
			}, errs.InvalidParameter},
			"column type": {func(r *pb.WriteRequest) {
				r.Parts[0].Rows = col(schema.Column{Field: 101, Type: schema.Float, N: 1, Floats: []float32{1}})
			}, errs.InvalidParameter},
			"dim": {func(r *pb.WriteRequest) {
				r.Parts[0].Rows = col(schema.Column{Field: 102, Type: schema.FloatVector, Dim: 1, N: 1, Vectors: []float32{1}})
			}, errs.InvalidParameter},
			"null": {func(r *pb.WriteRequest) {
				r.Parts[0].Rows = col(schema.Column{Field: 101, Type: schema.Int64, N: 1, Ints: []int64{1}, Valid: []bool{false}})
			}, errs.InvalidParameter},
			"too large": {func(r *pb.WriteRequest) { r.Parts[0].Rows = make([]byte, 10_001) }, errs.ParameterTooLarge},
		} {
			req := w.insertOf(0, partA, 1)
			c.change(req)
			if _, err := p.node.Write(w.ctx, req); !errs.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := len(w.read(0).rows); n != 0 {
			t.Errorf("%d rows got into the log", n)
		}
		if err := p.node.owners()[0].gate.drain(w.ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestDroppedCollection(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", func(c *Config) { c.WindowTime = time.Second })
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		w.flush()
		w.mustWrite(w.insertOf(0, partA, 2))
		p.kill() // the rows lie in the log
		dropped := *w.cache.CollectionByID(coll)
		dropped.State = catalog.Dropping
		w.put(catalog.CollectionKey(coll), dropped)
		p = w.start("b", func(c *Config) { c.WindowTime = time.Second })
		w.until("b owns", func() bool { return len(p.node.owners()) == 1 && w.owner() == p })
		if _, err := w.writeOnce(w.ctx, w.insertOf(0, partA, 3)); !errs.Is(err, errs.Moved) {
			t.Errorf("write to a collection that is being dropped: %v", err)
		}
		drop := []meta.Op{{Key: catalog.CollectionKey(coll), Delete: true}, {Key: catalog.ShardPrefix + "100/", Delete: true, Prefix: true}}
		if _, _, err := w.meta.Txn(w.ctx, nil, drop); err != nil {
			t.Fatal(err)
		}
		if _, err := w.writeOnce(w.ctx, w.insertOf(0, partA, 4)); !errs.Is(err, errs.Moved) {
			t.Errorf("write to a dropped collection: %v", err)
		}
		w.until("its rows are forgotten", func() bool { return p.node.unsealed.Load() == 0 })
		w.until("it does not hold the checkpoint", func() bool {
			s := p.node.Status().Logs[0]
			return s.Checkpoint == s.Position
		})
		p.halt()
		p = w.start("c", nil) // finds the rows of a collection that is not there
		w.until("c owns", func() bool { return len(p.node.owners()) == 1 })
		if _, err := w.meta.Get(w.ctx, catalog.ShardKey(coll, 0)); !isNotFound(err) {
			t.Errorf("the manifest came back: %v", err)
		}
	})
}

func TestDroppedPartitionIsNotWritten(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		gone := w.insertOf(0, partB, 2)
		w.mustWrite(gone)
		c := *w.cache.CollectionByID(coll)
		c.Partitions = []catalog.Partition{c.Partitions[0], {ID: partB, State: catalog.Dropping}}
		rev := w.put(catalog.CollectionKey(coll), c)
		if _, err := p.node.SyncCatalog(w.ctx, &pb.SyncCatalogRequest{Revision: rev}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.writeOnce(w.ctx, w.insertOf(0, partB, 3)); !errs.Is(err, errs.Moved) {
			t.Errorf("write to a partition that is being dropped: %v", err)
		}
		w.flush()
		if s := w.shard(0); len(s.Segments) != 1 || s.Segments[0].Partition != partA {
			t.Errorf("manifest %+v", s)
		}
	})
}

// TestTruncatedRows are neither sealed nor counted, and a partial upsert that read them is refused.
func TestTruncatedRows(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partB, 1))
		gone := w.mustWrite(w.insertOf(0, partA, 2))
		c := *w.cache.CollectionByID(coll)
		c.TruncatedTS = gone.Timestamp
		rev := w.put(catalog.CollectionKey(coll), c)
		if _, err := p.node.SyncCatalog(w.ctx, &pb.SyncCatalogRequest{Revision: rev}); err != nil {
			t.Fatal(err)
		}
		stays := w.mustWrite(w.insertOf(0, partA, 3))
		state, err := p.node.FlushState(w.ctx, &pb.FlushStateRequest{Collection: coll, Shards: []int32{0}})
		if err != nil || state.UnsealedRows[partA] != 1 || state.UnsealedRows[partB] != 0 {
			t.Errorf("unsealed rows %v, %v", state.GetUnsealedRows(), err)
		}
		read := w.insertOf(0, partA, 2)
		read.Kind, read.ReadTs = pb.WriteKind_UPSERT, gone.Timestamp
		read.Keys = schema.Keys{Ints: []int64{2}}.Encode(nil)
		if _, err := w.writeOnce(w.ctx, read); !errs.Is(err, errs.WriteConflict) {
			t.Errorf("a partial upsert of a truncated row: %v", err)
		}
		w.flush()
		m := w.shard(0)
		if len(m.Segments) != 1 || m.Segments[0].Partition != partA || m.Segments[0].Rows != 1 || m.Segments[0].MinTS != stays.Timestamp {
			t.Errorf("sealed %+v", m.Segments)
		}
	})
}

// TestSyncCatalogWaits: a change of the catalog is confirmed when the writes admitted before it are settled.
func TestSyncCatalogWaits(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		held := make(chan struct{})
		p.queue.SetHook(func(c mqfault.Call) mqfault.Action {
			if c.Op == mqfault.Append {
				<-held
			}
			return mqfault.Action{}
		})
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		_, _ = w.writeOnce(ctx, w.insertOf(0, partA, 1)) // its caller has left, the record is on the way
		c := *w.cache.CollectionByID(coll)
		c.State = catalog.Dropping
		rev := w.put(catalog.CollectionKey(coll), c)
		synced := make(chan error, 1)
		go func() {
			_, err := p.node.SyncCatalog(w.ctx, &pb.SyncCatalogRequest{Revision: rev})
			synced <- err
		}()
		time.Sleep(time.Second)
		select {
		case err := <-synced:
			t.Fatalf("confirmed with a write in flight: %v", err)
		default:
		}
		close(held)
		if err := <-synced; err != nil {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := p.node.SyncCatalog(short, &pb.SyncCatalogRequest{Revision: rev + 100}); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a revision of the future: %v", err)
		}
	})
}

func TestReasonsToSeal(t *testing.T) {
	big := make([]int64, 2000)
	for i := range big {
		big[i] = int64(i)
	}
	for name, c := range map[string]struct {
		adjust func(*Config)
		after  time.Duration
		rows   int
	}{
		"size":   {func(c *Config) { c.SealBytes = 40_000 }, time.Second, 2000},
		"age":    {func(c *Config) { c.SealAge = time.Hour }, time.Hour + time.Minute, 2001},
		"log":    {func(c *Config) { c.SealLogBytes = 30_000 }, time.Second, 1},                        // the old row of shard 1 holds the log
		"entry":  {func(c *Config) { c.SealLogBytes, c.EntryBytes = 1<<20, 1<<20 }, time.Second, 2001}, // the first seal is an entry too
		"memory": {func(c *Config) { c.SealBytes, c.UnsealedSoft = 500_000, 60_000 }, time.Second, 2000},
		"none":   {func(c *Config) { c.SealAge = time.Hour }, 50 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("a", c.adjust)
				w.owned()
				w.mustWrite(w.insertOf(1, partA, 1))
				w.mustWrite(w.insertOf(0, partA, big...))
				time.Sleep(c.after)
				if n := w.sealedRows(); n != c.rows {
					t.Errorf("%d rows were sealed, want %d", n, c.rows)
				}
				w.check()
			})
		})
	}
}

func TestUnsealedLimits(t *testing.T) {
	big := make([]int64, 1000) // 24 kB
	inWorld(t, func(w *world) {
		p := w.start("a", func(c *Config) { c.UnsealedSoft, c.UnsealedHard = 40_000, 60_000 })
		w.owned()
		p.objects.Add(fault.Rule{Op: objfault.Put, Err: fault.ErrInjected})
		for i := range big {
			big[i] = int64(i)
		}
		w.mustWrite(w.insertOf(0, partA, big...))
		w.mustWrite(w.insertOf(0, partA, big...))
		if _, err := w.writeOnce(w.ctx, w.insertOf(0, partA, 1)); !errs.Is(err, errs.RateLimit) {
			t.Errorf("above the soft limit: %v", err)
		}
		del := &pb.WriteRequest{Collection: coll, SchemaVersion: 1, Kind: pb.WriteKind_DELETE, Keys: schema.Keys{Ints: []int64{1}}.Encode(nil)}
		if _, err := w.writeOnce(w.ctx, del); err != nil {
			t.Errorf("delete above the soft limit: %v", err)
		}
		del.Keys = schema.Keys{Ints: append(big, big...)}.Encode(nil)
		if _, err := w.writeOnce(w.ctx, del); !errs.Is(err, errs.QuotaExceeded) {
			t.Errorf("above the hard limit: %v", err)
		}
		p.objects.Clear()
		w.flush()
		w.mustWrite(w.insertOf(0, partA, 1))
		w.check()
	})
}

func TestDiskFull(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		req := w.insertOf(0, partA, 1)
		p.queue.SetHook(func(c mqfault.Call) mqfault.Action {
			if c.Op == mqfault.Append {
				return mqfault.Action{Err: mq.ErrFull}
			}
			return mqfault.Action{}
		})
		if _, err := w.writeOnce(w.ctx, req); !errs.Is(err, errs.DiskLimit) {
			t.Errorf("disk full: %v", err)
		}
		p.queue.SetHook(nil)
		w.mustWrite(req) // the same id: it is not taken for applied
		w.mustWrite(w.insertOf(0, partB, 2))
		p.queue.SetHook(func(c mqfault.Call) mqfault.Action { return mqfault.Action{Err: mq.ErrFull} })
		if _, err := p.node.Flush(w.ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0}}); !errs.Is(err, errs.DiskLimit) {
			t.Errorf("flush with a full disk: %v", err)
		}
		p.queue.SetHook(nil)
		w.flush()
		w.check()
		if n := w.sealedRows(); n != 2 {
			t.Errorf("%d rows sealed", n)
		}
	})
}

// TestSealWithoutCoordinator: segment ids come from the reserve.
func TestSealWithoutCoordinator(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", func(c *Config) { c.IDReserve = 4 })
		w.owned()
		w.until("ids are there", func() bool { return p.node.ids.left() == 4 })
		w.mustWrite(w.insertOf(0, partA, 1))
		first := w.mustWrite(w.insertOf(0, partB, 2))
		w.coord.set(true)
		if _, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{}); err != nil {
			t.Errorf("barrier without the coordinator: %v", err)
		}
		if _, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{GuaranteeTs: first.Timestamp}); err != nil {
			t.Errorf("barrier for a known timestamp without the coordinator: %v", err)
		}
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := p.node.Flush(ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0}}); !errs.Is(err, errs.Timeout) {
			t.Errorf("a seal needs a timestamp: %v", err)
		}
		w.coord.set(false)
		w.flush()
		w.check()
	})
}

// TestOldEtcd: the metadata store was restored from a backup and knows a lower epoch than the log.
func TestOldEtcd(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		p.halt()
		for range 3 {
			p = w.start("a", nil)
			w.owned()
			w.mustWrite(w.insertOf(0, partA, w.next+1))
			p.halt()
		}
		if _, _, err := w.meta.Txn(w.ctx, nil, []meta.Op{catalog.PutNumber(catalog.EpochKey(0), 1)}); err != nil {
			t.Fatal(err)
		}
		w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 77))
		if e, _, _ := catalog.ReadNumber(w.ctx, w.meta, catalog.EpochKey(0)); e != 5 || w.cache.Owner(0).Epoch != 5 {
			t.Errorf("epoch %d, owner %+v", e, w.cache.Owner(0))
		}
		w.check()
	})
}

// TestMarks: the checkpoint follows what is sealed, keeps the window, and truncation keeps what views need.
func TestMarks(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		first := w.mustWrite(w.insertOf(0, partA, 1))
		w.mustWrite(w.insertOf(1, partA, 2))
		time.Sleep(5 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Checkpoint >= first.Position || s.Truncated > s.Checkpoint {
			t.Errorf("checkpoint above an unsealed row: %+v", s)
		}
		if resp, err := p.node.Flush(w.ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0}}); err != nil || len(resp.Sealed) != 1 {
			t.Errorf("flush %v %v", resp, err)
		}
		time.Sleep(2 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Checkpoint != first.Position {
			t.Errorf("shard 1 has a row behind %d, the checkpoint is %+v", first.Position, s)
		}
		w.put(catalog.ViewKey(coll, 1, 0), catalog.View{Collection: coll, Shard: 1, Number: 1, From: first.Position})
		w.flush()
		time.Sleep(30 * time.Second)
		if s := p.node.Status().Logs[0]; s.Checkpoint >= s.Position {
			t.Errorf("the window is gone after 30 s: %+v", s)
		}
		time.Sleep(3 * time.Minute)
		s := p.node.Status().Logs[0]
		if s.Checkpoint != s.Position || s.Truncated != first.Position {
			t.Errorf("all is sealed, a view starts at %d: %+v", first.Position, s)
		}
		w.put(catalog.ViewKey(coll, 1, 0), catalog.View{Collection: coll, Shard: 1, Number: 2, From: s.Checkpoint})
		time.Sleep(3 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Truncated != s.Checkpoint {
			t.Errorf("the view has moved on: %+v", s)
		}
		log, _ := w.queue.Open(w.ctx, mq.LogID{Name: "log", UUID: "u"}, 0)
		if at, err := wal.StartAt(w.ctx, log, s.Checkpoint); err != nil || at.Position != s.Checkpoint {
			t.Errorf("the view's own entry: %+v, %v", at, err)
		}
		p.halt()
		p = w.start("b", nil)
		w.owned()
		if b, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{}); err != nil || b.ReadTs < s.TS {
			t.Errorf("a barrier of the next owner, all sealed: %v, %v, before %d", b, err, s.TS)
		}
		w.check()
	})
}

// TestIdleShardHoldsNothingBack: a loaded shard without a write does not keep the log of the others (trace 30).
func TestIdleShardHoldsNothingBack(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.put(catalog.ViewKey(coll, 0, 0), catalog.View{Collection: coll, Shard: 0, Number: 1})
		w.mustWrite(w.insertOf(1, partA, 1))
		w.flush()
		time.Sleep(10 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Truncated == 0 || s.Truncated != s.Checkpoint {
			t.Errorf("a view of an idle shard begins at 0, and the log is kept from there: %+v", s)
		}
		w.check()
	})
}

// TestCopiesHoldTheLogBack: the log is not truncated above what the copies of the catalog begin at.
func TestCopiesHoldTheLogBack(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		first := w.mustWrite(w.insertOf(0, partA, 1))
		w.put(catalog.CopiesKey, catalog.Copies{
			Kept: []catalog.KeptCopy{
				{Key: "new", Checkpoints: map[int]mq.Position{0: first.Position + 100}},
				{Key: "old", Checkpoints: map[int]mq.Position{0: first.Position}},
				{Key: "ancient", Checkpoints: map[int]mq.Position{0: 0}},
			},
		})
		w.mustWrite(w.insertOf(0, partA, 2))
		w.flush()
		time.Sleep(10 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Truncated != first.Position || s.Checkpoint <= first.Position {
			t.Errorf("the second newest copy begins at %d: %+v", first.Position, s)
		}
		w.put(catalog.CopiesKey, catalog.Copies{
			Kept:    []catalog.KeptCopy{{Key: "newer", Checkpoints: map[int]mq.Position{0: 1 << 40}}},
			Pending: map[int]mq.Position{0: first.Position},
		})
		time.Sleep(10 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Truncated != first.Position {
			t.Errorf("a copy under way begins at %d: %+v", first.Position, s)
		}
		w.put(catalog.CopiesKey, catalog.Copies{Kept: []catalog.KeptCopy{{Key: "newer", Checkpoints: map[int]mq.Position{0: 1 << 40}}}})
		time.Sleep(10 * time.Minute)
		if s := p.node.Status().Logs[0]; s.Truncated != s.Checkpoint {
			t.Errorf("no copy needs what is below the checkpoint: %+v", s)
		}
		w.check()
	})
}

// TestKillAtEveryStep kills the owner at each call of the upload and commit of a seal, before and after it takes effect.
func TestKillAtEveryStep(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := range 8 {
			inWorld(t, func(w *world) {
				p := w.start("a", nil)
				w.owned()
				w.mustWrite(w.insertOf(0, partA, 1, 2))
				w.mustWrite(w.insertOf(0, partB, 3))
				w.mustWrite(&pb.WriteRequest{Collection: coll, SchemaVersion: 1, Kind: pb.WriteKind_DELETE, Keys: schema.Keys{Ints: []int64{1}}.Encode(nil)})
				rule := fault.Rule{Err: fault.ErrInjected, After: after, Times: 1, Before: p.kill}
				if step < 5 {
					rule.Op, rule.Skip = objfault.Put, step // two files per segment, the delta
					p.objects.Add(rule)
				} else {
					rule.Op, rule.Key = metafault.Txn, []string{intentPrefix, catalog.ShardKey(coll, 0), catalog.MarksKey(0)}[step-5]
					p.meta.Add(rule)
				}
				_, _ = p.node.Flush(w.ctx, &pb.FlushRequest{Collection: coll, Shards: []int32{0}})
				if step < 7 {
					w.until("it was killed", func() bool { return p.meta.Partitioned() })
				} else {
					p.kill()
				}
				p = w.start("b", nil)
				w.until("b owns", func() bool { return len(p.node.owners()) == 1 })
				w.mustWrite(w.insertOf(0, partA, 4))
				w.until("the old seal is committed", func() bool { return w.sealedRows() == 3 })
				w.check()
				w.flush()
				w.check()
				if f := w.read(0); f.deletes.Len() != 1 || len(w.intents()) != 0 {
					t.Errorf("step %d, after %v: %d deletes, intents %v", step, after, f.deletes.Len(), w.intents())
				}
			})
		}
	}
}

// TestCommitBesideCompaction: the manifest is changed by others between its reading and the commit, and answers get lost.
func TestCommitBesideCompaction(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		w.flush()
		w.mustWrite(w.insertOf(0, partA, 2))
		key := catalog.ShardKey(coll, 0)
		p.meta.Add(fault.Rule{Op: metafault.Txn, Key: key, Times: 1, Before: func() {
			m := w.shard(0)
			m.Segments[0].ID, m.Horizon = 4711, 5
			w.put(key, m)
		}})
		p.meta.Add(fault.Rule{Op: metafault.Txn, Key: key, Times: 1, Err: fault.ErrInjected, After: true})
		p.meta.Add(fault.Rule{Op: metafault.Get, Key: key, Skip: 3, Times: 2, Err: fault.ErrInjected}) // the attempt cannot tell
		w.flush()
		w.check()
		if m := w.shard(0); len(m.Segments) != 2 || m.Segments[0].ID != 4711 || m.Horizon != 5 || len(w.intents()) != 0 {
			t.Errorf("manifest %+v, intents %v", m, w.intents())
		}
		if n := p.meta.Calls(metafault.Get); n < 4 {
			t.Errorf("only %d reads: the faults did not hit", n)
		}
	})
}

// TestStaleOwnerPromisesNothing: the log is another's, and this node does not know it yet.
func TestStaleOwnerPromisesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		w.put(catalog.OwnerKey(0), catalog.Owner{Node: 99, Addr: "other", Epoch: 2})
		if b, err := p.node.Barrier(w.ctx, &pb.BarrierRequest{}); !errs.Is(err, errs.NotOwner) {
			t.Errorf("barrier %v, %v", b, err)
		}
		w.until("the node has noticed", func() bool { return len(p.node.owners()) == 0 })
		if _, err := p.node.Write(w.ctx, w.insertOf(0, partA, 2)); !errs.Is(err, errs.NotOwner) {
			t.Errorf("write: %v", err)
		}
	})
}

// TestTakeoverWithoutAnswers: whether the owner key was written is unknown, and cannot be read back.
func TestTakeoverWithoutAnswers(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start("a", nil)
		w.owned()
		w.mustWrite(w.insertOf(0, partA, 1))
		p.kill()
		p = w.start("b", func(c *Config) { c.RebalanceDelay = time.Hour })
		p.meta.Add(fault.Rule{Op: metafault.Txn, Key: catalog.OwnerKey(0), Times: 1, Err: fault.ErrInjected, After: true})
		p.meta.Add(fault.Rule{Op: metafault.Get, Key: catalog.OwnerKey(0), Times: 1, Err: fault.ErrInjected})
		w.until("b owns", func() bool { return len(p.node.owners()) == 1 })
		w.until("the catalog says so", func() bool { return w.owner() == p })
		w.mustWrite(w.insertOf(0, partA, 2))
		w.check()
	})
}

// TestHandover: a node to which the placement gives the log gets it while clients write, without waiting for a lease.
func TestHandover(t *testing.T) {
	inWorld(t, func(w *world) {
		lesser, better := catalog.NodeID(1), catalog.NodeID(2)
		if place([]int{0}, []catalog.NodeID{1, 2})[0] == 1 {
			lesser, better = better, lesser
		}
		a := w.start("a", func(c *Config) { c.NodeID, c.LeaseTTL = lesser, time.Hour })
		w.owned()
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				w.mustWrite(w.insertOf(int(i%2), partA, i))
				time.Sleep(3 * time.Millisecond)
			}
		}()
		time.Sleep(time.Second)
		b := w.start("b", func(c *Config) { c.NodeID, c.LeaseTTL = better, time.Hour })
		began := time.Now()
		w.until("b owns", func() bool { return len(b.node.owners()) == 1 && len(a.node.owners()) == 0 })
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the handover took %s", took)
		}
		time.Sleep(time.Second)
		close(stop)
		<-stopped
		w.check()
		w.flush()
		w.check()
	})
}

func TestPlace(t *testing.T) {
	logs := []int{0, 1, 2, 3, 4, 5, 6, 7}
	nodes := []catalog.NodeID{101, 202, 303}
	before := place(logs, nodes)
	load := map[catalog.NodeID]int{}
	for _, n := range before {
		load[n]++
	}
	for _, n := range nodes {
		if load[n] < 1 || load[n] > 3 {
			t.Errorf("loads %v", load)
		}
	}
	if again := place([]int{7, 6, 5, 4, 3, 2, 1, 0}, []catalog.NodeID{303, 101, 202}); len(again) != 8 || again[3] != before[3] || again[7] != before[7] {
		t.Errorf("depends on the order: %v, %v", before, again)
	}
	moved := 0
	for l, n := range place(logs, nodes[:2]) {
		if before[l] != 303 && before[l] != n {
			moved++
		}
	}
	if moved > 2 {
		t.Errorf("%d logs of nodes that stay were moved", moved)
	}
	if len(place(logs, nil)) != 0 {
		t.Error("logs without nodes")
	}
}
