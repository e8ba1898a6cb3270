package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/mem"
)

// flaky breaks its watches when told to and can hide progress, as a store does whose revision moves on elsewhere.
type flaky struct {
	meta.Store
	breaks   atomic.Pointer[error] // the next batch ends the watch with this
	quiet    atomic.Bool           // batches without events of the catalog are held back until asked for
	asked    atomic.Int64
	progress chan struct{}
}

func (f *flaky) RequestProgress(context.Context) error {
	f.asked.Add(1)
	select {
	case f.progress <- struct{}{}:
	default:
	}
	return nil
}

func (f *flaky) Watch(ctx context.Context, prefix string, rev int64) <-chan meta.WatchBatch {
	out := make(chan meta.WatchBatch)
	in := f.Store.Watch(ctx, prefix, rev)
	go func() {
		defer close(out)
		var held meta.WatchBatch
		for {
			select {
			case b, ok := <-in:
				if !ok {
					return
				}
				if err := f.breaks.Swap(nil); err != nil {
					b = meta.WatchBatch{Err: *err}
				}
				if f.quiet.Load() && b.Err == nil && b.Events[0].KV.Key == "elsewhere" {
					b.Events = nil
					held = b
					continue
				}
				out <- b
				if b.Err != nil {
					for range in { // the reader cancels
					}
					return
				}
			case <-f.progress:
				out <- held
			}
		}
	}()
	return out
}

type world struct {
	t     *testing.T
	ctx   context.Context
	store *mem.Store
	flaky *flaky
	cache *Cache
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store := mem.New()
	f := &flaky{Store: store, progress: make(chan struct{}, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	w := &world{t, ctx, store, f, NewCache(f, slog.New(slog.DiscardHandler))}
	done := make(chan error, 1)
	go func() { done <- w.cache.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		store.Close()
	})
	if err := w.cache.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// txn commits ops and waits until the cache shows them.
func (w *world) txn(ops ...meta.Op) int64 {
	w.t.Helper()
	rev, ok, err := w.store.Txn(w.ctx, nil, ops)
	if err != nil || !ok {
		w.t.Fatalf("txn: %v %v", ok, err)
	}
	if err := w.cache.WaitRevision(w.ctx, rev); err != nil {
		w.t.Fatal(err)
	}
	return rev
}

func put[T any](t *testing.T, key string, v T) meta.Op {
	t.Helper()
	op, err := Put(key, v)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestCacheLookups(t *testing.T) {
	w := newWorld(t)
	c := w.cache
	if c.Cluster() != nil || c.Collection("default", "a") != nil || len(c.Databases()) != 0 {
		t.Fatal("an empty store shows records")
	}
	coll := func(id int64, name string, s State) meta.Op {
		return put(t, CollectionKey(id), Collection{ID: id, DB: "default", Name: name, State: s})
	}
	rev := w.txn(
		put(t, ClusterKey, Cluster{UUID: "u", Logs: 4}),
		put(t, LeaderKey, Node{ID: 9, Role: RoleCoordinator}),
		put(t, DatabaseKey("default"), Database{ID: 1, Name: "default"}),
		coll(7, "a", Ready), coll(8, "b", Ready), coll(6, "gone", Dropping),
		PutNumber(AliasKey("default", "x"), 7), PutNumber(AliasKey("default", "dead"), 6),
		put(t, ShardKey(7, 1), Shard{Collection: 7, Index: 1}), put(t, ShardKey(7, 0), Shard{Collection: 7}),
		put(t, ViewKey(7, 1, 0), View{Collection: 7, Shard: 1}), put(t, ViewKey(7, 0, 1), View{Collection: 7, Replica: 1}),
		put(t, ViewKey(7, 0, 0), View{Collection: 7}),
		put(t, LogKey(3), Log{Number: 3}), put(t, LogKey(1), Log{Number: 1}),
		put(t, MarksKey(3), LogMarks{Epoch: 5}), PutNumber(EpochKey(3), 6), put(t, OwnerKey(3), Owner{Node: 2}),
		put(t, NodeKey(RoleProxy, 5), Node{ID: 5, Role: RoleProxy}), put(t, NodeKey(RoleProxy, 4), Node{ID: 4, Role: RoleProxy}),
		put(t, TaskKey(11), Task{ID: 11}),
		PutNumber(OracleKey, 1), PutNumber(IDsKey, 1),
	)
	node, epoch := c.Leader()
	alias, hasAlias := c.Alias("default", "x")
	for what, ok := range map[string]bool{
		"cluster":          c.Cluster() != nil && c.Cluster().Logs == 4,
		"leader":           node != nil && node.ID == 9 && epoch == rev,
		"databases":        len(c.Databases()) == 1 && c.Database("default").ID == 1 && c.Database("other") == nil,
		"collection":       c.Collection("default", "a").ID == 7 && c.Collection("other", "a") == nil,
		"by alias":         c.Collection("default", "x") == c.CollectionByID(7),
		"dropping":         c.Collection("default", "gone") == nil && c.CollectionByID(6).Name == "gone",
		"alias of dropped": c.Collection("default", "dead") == nil,
		"unknown name":     c.Collection("default", "nope") == nil,
		"collections":      fmt.Sprint(ids(c.Collections("default"))) == "[7 8]",
		"all collections":  fmt.Sprint(ids(c.AllCollections())) == "[6 7 8]",
		"aliases":          fmt.Sprint(c.Aliases("default")) == "[{default dead 6} {default x 7}]",
		"aliases of":       fmt.Sprint(c.AliasesOf(7)) == "[{default x 7}]" && len(c.AliasesOf(8)) == 0,
		"alias":            hasAlias && alias.Collection == 7,
		"shards":           len(c.Shards(7)) == 2 && c.Shards(7)[1].Index == 1 && c.Shard(7, 1) == c.Shards(7)[1] && c.Shard(7, 2) == nil,
		"views":            len(c.Views(7)) == 3 && c.Views(7)[1].Replica == 1 && c.View(7, 1, 0) == c.Views(7)[2] && c.View(8, 0, 0) == nil,
		"logs":             len(c.Logs()) == 2 && c.Logs()[0].Number == 1 && c.Log(3).Number == 3 && c.Log(0) == nil,
		"marks, owner":     c.Marks(3).Epoch == 5 && c.Epoch(3) == 6 && c.Owner(3).Node == 2 && c.Owner(1) == nil,
		"nodes":            len(c.Nodes(RoleProxy)) == 2 && c.Nodes(RoleProxy)[0].ID == 4 && c.Node(RoleProxy, 5).ID == 5 && c.Node(RoleQueryNode, 5) == nil,
		"tasks":            len(c.Tasks()) == 1 && c.Task(11).ID == 11,
		"mod revision":     c.ModRev(CollectionKey(7)) == rev && c.ModRev(CollectionKey(99)) == 0,
		"revision":         c.Revision() == rev,
	} {
		if !ok {
			t.Errorf("%s: wrong answer", what)
		}
	}
	w.txn(meta.Op{Key: "", Delete: true, Prefix: true})
	if !reflect.DeepEqual(c.tables, newTables()) {
		t.Errorf("after everything was deleted the cache still has %+v", c.tables)
	}
}

func ids(cs []*Collection) (out []int64) {
	for _, c := range cs {
		out = append(out, c.ID)
	}
	return out
}

func TestCacheNamesMove(t *testing.T) {
	w := newWorld(t)
	key := CollectionKey(1)
	w.txn(put(t, key, Collection{ID: 1, DB: "d", Name: "a", State: Ready}), PutNumber(AliasKey("d", "x"), 1))
	first := w.cache.Collection("d", "a")
	w.txn(put(t, key, Collection{ID: 1, DB: "d", Name: "b", State: Ready}))
	if w.cache.Collection("d", "a") != nil || w.cache.Collection("d", "b") == nil || first.Name != "a" {
		t.Error("renaming: the old name answers, the new one does not, or a record was changed in place")
	}
	w.txn(put(t, key, Collection{ID: 1, DB: "d", Name: "b", State: Dropping}), put(t, CollectionKey(2), Collection{ID: 2, DB: "d", Name: "b", State: Ready}))
	if got := w.cache.Collection("d", "b"); got == nil || got.ID != 2 {
		t.Errorf("a name taken again while its first bearer is dropped gives %+v", got)
	}
	w.txn(meta.Op{Key: key, Delete: true}, PutNumber(AliasKey("d", "x"), 2))
	if got := w.cache.Collection("d", "b"); got == nil || got.ID != 2 {
		t.Errorf("after the drop the name gives %+v", got)
	}
	if got := w.cache.Collection("d", "x"); got == nil || got.ID != 2 || len(w.cache.AliasesOf(1)) != 0 || len(w.cache.AliasesOf(2)) != 1 {
		t.Errorf("the moved alias gives %+v", got)
	}
}

func TestCacheUnreadable(t *testing.T) {
	w := newWorld(t)
	w.txn(
		meta.Op{Key: CollectionKey(1), Value: []byte("{")},
		put(t, CollectionKey(2), Collection{ID: 3, Name: "other"}),
		meta.Op{Key: "shard/x/1", Value: []byte("{}")},
		meta.Op{Key: AliasKey("d", "x"), Value: []byte("one")},
		meta.Op{Key: "unknown/thing", Value: []byte("?")},
		put(t, CollectionKey(4), Collection{ID: 4, DB: "d", Name: "good"}),
	)
	bad := w.cache.Unreadable()
	for _, key := range []string{CollectionKey(1), CollectionKey(2), "shard/x/1", AliasKey("d", "x")} {
		if err := bad[key]; err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v does not name the key", key, err)
		}
	}
	if len(bad) != 4 || len(w.cache.AllCollections()) != 1 {
		t.Errorf("unreadable %v, collections %d", bad, len(w.cache.AllCollections()))
	}
	w.txn(meta.Op{Key: "", Delete: true, Prefix: true})
	if len(w.cache.Unreadable()) != 0 {
		t.Error("deleted keys still count as unreadable")
	}
}

// TestCacheEqualsFresh runs random changes through watches that break, and compares with a cache that only listed.
func TestCacheEqualsFresh(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	broken := fmt.Errorf("broken")
	for round := range 300 {
		id := r.Int64N(5)
		var op meta.Op
		switch r.IntN(6) {
		case 0:
			op = put(t, CollectionKey(id), Collection{ID: id, DB: "d", Name: fmt.Sprint("n", r.IntN(3)), State: []State{Ready, Dropping}[r.IntN(2)]})
		case 1:
			op = PutNumber(AliasKey("d", fmt.Sprint("a", r.IntN(3))), uint64(id))
		case 2:
			op = put(t, ShardKey(id, r.IntN(2)), Shard{Collection: id, SealedTS: 1})
		case 3:
			op = meta.Op{Key: CollectionKey(id), Delete: true}
		case 4:
			op = meta.Op{Key: AliasPrefix + "d/a1", Delete: true, Prefix: true}
		case 5:
			op = meta.Op{Key: CollectionKey(id), Value: []byte("bad")}
		}
		if r.IntN(20) == 0 {
			err := broken
			if r.IntN(2) == 0 {
				w.store.Compact(w.store.Revision())
				err = meta.ErrCompacted
			}
			w.flaky.breaks.Store(&err)
		}
		w.txn(op)
		if round%10 != 9 {
			continue
		}
		fresh := NewCache(w.store, slog.New(slog.DiscardHandler))
		kvs, rev, _ := w.store.List(w.ctx, "")
		if err := fresh.replace(kvs, rev); err != nil {
			t.Fatal(err)
		}
		w.cache.mu.RLock()
		watched, listed := w.cache.tables, fresh.tables
		w.cache.mu.RUnlock()
		watched.bad, listed.bad = nil, nil // errors differ in identity; the keys are in revs and in no other table
		if !reflect.DeepEqual(watched, listed) {
			t.Fatalf("round %d: the watched cache has\n%+v\nthe listed one\n%+v", round, watched, listed)
		}
	}
}

func TestCacheRelistKeepsPointers(t *testing.T) {
	w := newWorld(t)
	w.txn(put(t, CollectionKey(1), Collection{ID: 1, DB: "d", Name: "a"}), put(t, CollectionKey(2), Collection{ID: 2, DB: "d", Name: "b"}))
	one, two := w.cache.CollectionByID(1), w.cache.CollectionByID(2)
	err := error(meta.ErrCompacted)
	w.flaky.breaks.Store(&err)
	w.txn(put(t, CollectionKey(1), Collection{ID: 1, DB: "d", Name: "c"}))
	if w.cache.CollectionByID(1) == one || w.cache.CollectionByID(2) != two {
		t.Error("a new listing must replace what changed and keep the rest")
	}
}

func TestCacheNeverGoesBack(t *testing.T) {
	c := NewCache(mem.New(), slog.New(slog.DiscardHandler))
	if err := c.replace(nil, 10); err != nil {
		t.Fatal(err)
	}
	if err := c.replace(nil, 9); err == nil {
		t.Error("a listing of an older revision was taken")
	}
}

func TestWaitRevisionAsksForProgress(t *testing.T) {
	w := newWorld(t)
	w.flaky.quiet.Store(true)
	rev := w.txn(PutNumber("elsewhere", 5)) // waits
	if w.flaky.asked.Load() == 0 {
		t.Error("the watch told a revision without events by itself; this test needs one that does not")
	}
	w.flaky.asked.Store(0)
	ctx, cancel := context.WithTimeout(w.ctx, 120*time.Millisecond)
	defer cancel()
	if err := w.cache.WaitRevision(ctx, rev+1); err == nil {
		t.Error("a revision that never was was waited for without an error")
	}
	if n := w.flaky.asked.Load(); n < 2 || n > 5 {
		t.Errorf("asked %d times for progress in 120 ms", n)
	}
}

func TestSubscribe(t *testing.T) {
	w := newWorld(t)
	ch, cancel := w.cache.Subscribe()
	w.txn(PutNumber(OracleKey, 1))
	select {
	case <-ch:
		t.Error("told of a key that is not mirrored")
	default:
	}
	for i := range 3 {
		w.txn(put(t, CollectionKey(int64(i)), Collection{ID: int64(i)}))
	}
	select {
	case <-ch:
	default:
		t.Error("not told of a change")
	}
	select {
	case <-ch:
		t.Error("tokens are not merged")
	default:
	}
	cancel()
	w.txn(put(t, CollectionKey(9), Collection{ID: 9}))
	select {
	case <-ch:
		t.Error("told after cancel")
	default:
	}
}

func TestReadHelpers(t *testing.T) {
	ctx := context.Background()
	store := mem.New()
	if _, _, err := store.Txn(ctx, nil, []meta.Op{put(t, DatabaseKey("a"), Database{Name: "a"}), PutNumber(EpochKey(1), 7), {Key: "database/b", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if db, kv, err := Read[Database](ctx, store, DatabaseKey("a")); err != nil || db.Name != "a" || kv.ModRev == 0 {
		t.Errorf("Read: %v %v %v", db, kv, err)
	}
	if _, _, err := Read[Database](ctx, store, DatabaseKey("b")); err == nil || !strings.Contains(err.Error(), "database/b") {
		t.Errorf("a bad record gives %v", err)
	}
	if _, _, err := ReadAll[Database](ctx, store, DatabasePrefix); err == nil {
		t.Error("a bad record in a listing gives no error")
	}
	if n, kv, err := ReadNumber(ctx, store, EpochKey(1)); n != 7 || kv.ModRev == 0 || err != nil {
		t.Errorf("ReadNumber: %d %v", n, err)
	}
	if n, kv, err := ReadNumber(ctx, store, EpochKey(2)); n != 0 || kv.ModRev != 0 || err != nil {
		t.Errorf("ReadNumber of nothing: %d %v", n, err)
	}
}

func BenchmarkCollection10000(b *testing.B) {
	c := NewCache(mem.New(), slog.New(slog.DiscardHandler))
	var kvs []meta.KV
	for i := range int64(10_000) {
		op, _ := Put(CollectionKey(i), Collection{ID: i, DB: "d", Name: fmt.Sprint("c", i)})
		kvs = append(kvs, meta.KV{Key: op.Key, Value: op.Value, ModRev: i + 1})
	}
	if err := c.replace(kvs, 10_001); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if c.Collection("d", "c777") == nil {
			b.Fatal("lost")
		}
	}
}
