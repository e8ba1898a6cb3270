package datanode

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/fault"
	metafault "github.com/gyr-db/gyr/pkg/meta/fault"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/mq"
	mqfault "github.com/gyr-db/gyr/pkg/mq/fault"
	mqmem "github.com/gyr-db/gyr/pkg/mq/mem"
	objfault "github.com/gyr-db/gyr/pkg/objstore/fault"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// TestTorture lets datanodes write, seal, lose their store, be killed and be paused while clients write and take
// barriers. In the end every acknowledged row must be there once, and no barrier may have promised too much.
func TestTorture(t *testing.T) {
	worlds := 12
	if testing.Short() {
		worlds = 3
	}
	acked, owners, seals := 0, uint64(0), 0
	for seed := range worlds {
		inWorld(t, func(w *world) {
			tt := &torture{world: w, dice: rand.New(rand.NewPCG(uint64(seed), 7))}
			tt.run(90 * time.Second)
			for _, m := range w.model {
				if m.acked != nil {
					acked++
				}
			}
			e, _, _ := catalog.ReadNumber(w.ctx, w.meta, catalog.EpochKey(0))
			owners += e
			seals += len(w.shard(0).Segments)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d requests acknowledged, %d owners, %d segments", acked, owners, seals)
	if acked < 100*worlds || owners < uint64(4*worlds) || seals < 5*worlds {
		t.Error("too little happened")
	}
}

type torture struct {
	*world
	dmu  sync.Mutex
	dice *rand.Rand

	bmu      sync.Mutex // guards what follows
	acks     []*pb.WriteResponse
	barriers []promise
	deleted  []int64 // keys whose delete was acknowledged
}

type promise struct {
	need int // acks known before the call
	got  *pb.BarrierResponse
}

func (t *torture) n(n int) int {
	t.dmu.Lock()
	defer t.dmu.Unlock()
	return t.dice.IntN(n)
}

func (t *torture) ms(n int) time.Duration { return time.Duration(t.n(n)+1) * time.Millisecond }

func (t *torture) run(life time.Duration) {
	ctx, cancel := context.WithTimeout(t.ctx, life)
	defer cancel()
	var wg sync.WaitGroup
	loop := func(pause int, f func()) {
		wg.Go(func() {
			for ctx.Err() == nil {
				sleep(ctx, t.ms(pause))
				f()
			}
		})
	}
	for range 4 {
		loop(300, t.client)
	}
	loop(200, t.barrier)
	wg.Go(func() { t.chaos(ctx) })
	wg.Wait()
	t.calm()
}

func small(c *Config) {
	c.SealBytes, c.SealAge, c.WindowTime, c.TruncateDelay = 600, 5*time.Second, 10*time.Second, 5*time.Second
}

// chaos starts, kills, cuts off and stops nodes.
func (t *torture) chaos(ctx context.Context) {
	names := 0
	for ctx.Err() == nil {
		t.mu.Lock()
		alive := len(t.procs)
		var some *proc
		for _, p := range t.procs {
			some = p
		}
		t.mu.Unlock()
		if alive < 2 {
			names++
			p := t.start(fmt.Sprint("node-", names), small)
			t.faults(p)
			sleep(ctx, t.ms(3000))
			continue
		}
		switch t.n(4) {
		case 0:
			some.kill()
		case 1: // a zombie: it can write to the log and the bucket, but not keep its lease
			some.meta.Partition()
			sleep(ctx, t.ms(8000))
			some.kill()
		case 2:
			some.stop()
		case 3:
			some.meta.Partition()
			sleep(ctx, t.ms(1500))
			some.meta.Heal() // its lease is gone all the same
			sleep(ctx, t.ms(3000))
			continue
		}
		t.mu.Lock()
		for addr, p := range t.procs {
			if p == some {
				delete(t.procs, addr)
				t.wg.Go(func() { p.halt() })
			}
		}
		t.mu.Unlock()
		sleep(ctx, t.ms(4000))
	}
}

// faults makes a node's stores unreliable.
func (t *torture) faults(p *proc) {
	p.queue.SetHook(func(c mqfault.Call) mqfault.Action {
		if c.Op != mqfault.Append {
			return mqfault.Action{}
		}
		a := mqfault.Action{Delay: t.ms(4)}
		switch t.n(30) {
		case 0:
			a = mqfault.NotPersisted
		case 1:
			a = mqfault.Persisted
		case 2:
			a.Twice = true
		case 3:
			a = mqfault.Action{Err: mq.ErrFull}
		case 4:
			a.Delay = t.ms(3000)
		}
		return a
	})
	for range 40 {
		p.objects.Add(fault.Rule{Op: objfault.Put, Skip: t.n(100), Times: 1, Err: fault.ErrInjected, After: t.n(2) == 0})
		p.meta.Add(fault.Rule{
			Op: metafault.Txn, Key: []string{catalog.ShardPrefix, intentPrefix, catalog.MarksPrefix, catalog.OwnerPrefix}[t.n(4)],
			Skip: t.n(40), Times: 1, Err: fault.ErrInjected, After: t.n(2) == 0,
		})
		p.meta.Add(fault.Rule{Op: metafault.Get, Skip: t.n(400), Times: 1, Err: fault.ErrInjected})
	}
}

func (t *torture) client() {
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Second)
	defer cancel()
	key := int64(t.n(1_000_000))
	req := t.insertOf(t.n(2), []int64{partA, partB}[t.n(2)], key, key+1)
	switch t.n(6) {
	case 0:
		key = -t.number() // a key of its own, so that a delete that is there twice is seen
		req = &pb.WriteRequest{
			Collection: coll, Shard: int32(t.n(2)), SchemaVersion: 1, Kind: pb.WriteKind_DELETE,
			RequestId: fmt.Appendf(nil, "delete--%08d", -key), Keys: schema.Keys{Ints: []int64{key}}.Encode(nil),
		}
	case 1:
		ctx, cancel = context.WithTimeout(ctx, t.ms(100)) // a client that leaves
		defer cancel()
	}
	resp, err := t.write(ctx, req)
	if err != nil {
		return
	}
	t.bmu.Lock()
	defer t.bmu.Unlock()
	t.acks = append(t.acks, resp)
	if req.Kind == pb.WriteKind_DELETE {
		t.deleted = append(t.deleted, key)
	}
}

func (t *torture) number() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	return t.next
}

func (t *torture) barrier() {
	t.mu.Lock()
	var some *proc // any: it may have lost the log and not know
	for _, p := range t.procs {
		some = p
	}
	t.mu.Unlock()
	if some == nil {
		return
	}
	t.bmu.Lock()
	need := len(t.acks)
	t.bmu.Unlock()
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	resp, err := some.node.Barrier(ctx, &pb.BarrierRequest{})
	if err != nil {
		return
	}
	t.bmu.Lock()
	defer t.bmu.Unlock()
	t.barriers = append(t.barriers, promise{need, resp})
}

// calm ends all faults, starts a last node, flushes and checks.
func (t *torture) calm() {
	for _, p := range t.procs {
		p.stop()
	}
	clear(t.procs)
	t.start("last", nil)
	t.until("the last node owns the log", func() bool { o := t.owner(); return o != nil && len(o.node.owners()) == 1 })
	t.check()
	t.flush()
	t.check()
	deletes := map[int64]int{}
	for i := range 2 {
		for _, key := range t.read(i).deletes.Keys.Ints {
			deletes[key]++
		}
	}
	for _, key := range t.deleted {
		if deletes[key] == 0 {
			t.t.Errorf("the delete of %d was acknowledged and is lost", key)
		}
	}
	for key, n := range deletes {
		if n > 1 {
			t.t.Errorf("the delete of %d is there %d times", key, n)
		}
	}
	for _, b := range t.barriers {
		for _, a := range t.acks[:b.need] {
			if a.Position > b.got.Position || a.Timestamp > b.got.ReadTs {
				t.t.Errorf("barrier %v misses %v, acknowledged before", b.got, a)
			}
		}
		for _, a := range t.acks {
			if a.Timestamp <= b.got.ReadTs && a.Position > b.got.Position {
				t.t.Errorf("barrier %v promised too much: %v", b.got, a)
			}
		}
	}
	if in := t.intents(); len(in) != 0 {
		t.t.Errorf("intents that nobody takes away: %v", in)
	}
}

// TestRealFiles seals into real segment files, in real time, over a change of the schema.
func TestRealFiles(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{
		t: t, ctx: ctx, meta: metamem.New(), queue: mqmem.New(), objects: objmem.New(), coord: &fakeCoordinator{id: 1000},
		procs: map[string]*proc{}, model: map[int64]modelRequest{},
	}
	w.cache = catalog.NewCache(w.meta, slog.New(slog.DiscardHandler))
	w.wg.Go(func() { _ = w.cache.Run(ctx) })
	w.seed()
	defer func() { cancel(); w.wg.Wait() }()
	p := w.startWith("a", nil, segment.Write)
	defer p.halt()
	w.owned()
	keys := make([]int64, 500)
	for i := range keys {
		keys[i] = int64(i * 7 % 500)
	}
	w.mustWrite(w.insertOf(0, partA, keys...))
	c := *w.cache.CollectionByID(coll)
	c.Schema.Version = 2
	c.Schema.Fields = append(c.Schema.Fields, schema.Field{ID: 103, Name: "added", Type: schema.VarChar, Nullable: true},
		schema.Field{ID: 104, Name: "defaulted", Type: schema.Int64, Default: &schema.Column{Field: 104, Type: schema.Int64, N: 1, Ints: []int64{9}}})
	rev := w.put(catalog.CollectionKey(coll), c)
	if _, err := p.node.SyncCatalog(ctx, &pb.SyncCatalogRequest{Revision: rev}); err != nil {
		t.Fatal(err)
	}
	req := w.insertOf(0, partA, 1000, 1001)
	if _, err := w.writeOnce(ctx, req); !errs.Is(err, errs.SchemaMismatch) {
		t.Errorf("old schema: %v", err)
	}
	req.SchemaVersion = 2
	b := rowsOf(w.next, []int64{1000, 1001})
	b.Columns = append(b.Columns, &schema.Column{Field: 103, Type: schema.VarChar, N: 2, Strings: []string{"x", ""}, Valid: []bool{true, false}},
		&schema.Column{Field: 104, Type: schema.Int64, N: 2, Ints: []int64{1, 2}})
	req.Parts[0].Rows = b.Encode(nil)
	w.mustWrite(req)
	w.flush()
	seg := w.shard(0).Segments[0]
	s, err := segment.OpenSealed(ctx, w.objects, segment.SealedConfig{ID: seg.ID, Partition: seg.Partition, Dir: seg.Dir, Schema: &c.Schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if s.Rows() != 502 || seg.Rows != 502 || seg.Schema != 2 {
		t.Fatalf("%d rows, %+v", s.Rows(), seg)
	}
	got, err := s.Fetch([]uint32{0, 500, 501}, []int64{100, 103, 104, 102})
	if err != nil {
		t.Fatal(err)
	}
	names, numbers := got.Column(103), got.Column(104)
	if !names.IsNull(0) || names.Strings[1] != "x" || !names.IsNull(2) || fmt.Sprint(numbers.Ints) != "[9 1 2]" || fmt.Sprint(got.Column(100).Ints) != "[0 1000 1001]" {
		t.Errorf("fetched %+v", got)
	}
}
