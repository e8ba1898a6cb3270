package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

func (w *world) copies() []string {
	w.t.Helper()
	keys, err := copies.List(w.ctx, w.objects)
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

func TestCopiesFollowChangesAndTime(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		time.Sleep(5 * time.Second)
		if n := len(w.copies()); n != 1 {
			t.Errorf("%d copies after the start", n)
		}
		w.create("a", 1)
		time.Sleep(5 * time.Second)
		c, err := copies.Read(w.ctx, w.objects, w.copies()[0])
		if err != nil {
			t.Fatal(err)
		}
		colls, err := copies.All[catalog.Collection](c, catalog.CollectionPrefix)
		if err != nil || len(colls) != 1 || colls[0].Name != "a" || len(colls[0].Indexes) != 1 {
			t.Errorf("the newest copy has %+v, %v", colls, err)
		}
		time.Sleep(3 * time.Hour)
		keys := w.copies()
		record := w.cache.Copies()
		if len(keys) != 8 || len(record.Kept) != 8 || record.Pending != nil {
			t.Fatalf("%d copies in the bucket, record %+v", len(keys), record)
		}
		for i, k := range record.Kept {
			if k.Key != keys[i] {
				t.Errorf("copy %d is %s, the record says %s", i, keys[i], k.Key)
			}
		}
		if age := w.c.now().Sub(time.UnixMilli(record.Newest().AtMS)); age > 10*time.Minute {
			t.Errorf("the newest copy is %s old", age)
		}
	})
}

// TestManyChangesFewCopies: changes one after the other do not make a copy each, and do not drive out the older copies.
func TestManyChangesFewCopies(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		time.Sleep(2 * time.Hour)
		before := w.cache.Copies().Kept[3]
		for i := range 100 {
			w.must(w.c.CreateDatabase(w.ctx, &pb.DatabaseRequest{Name: fmt.Sprintf("d%d", i%50)}))
			w.must(w.c.DropDatabase(w.ctx, &pb.DatabaseRequest{Name: fmt.Sprintf("d%d", i%50)}))
			time.Sleep(500 * time.Millisecond)
		}
		kept := w.cache.Copies().Kept
		if !slices.ContainsFunc(kept, func(k catalog.KeptCopy) bool { return k.AtMS <= before.AtMS }) {
			t.Errorf("of the copies of an hour ago none is left: %+v", kept)
		}
	})
}

func TestKeepCopies(t *testing.T) {
	cfg := CopyConfig{Interval: 10 * time.Minute, Keep: 4}
	minutes := func(ms ...int64) (out []catalog.KeptCopy) {
		for _, m := range ms {
			out = append(out, catalog.KeptCopy{Key: fmt.Sprint(m), AtMS: m * 60_000})
		}
		return out
	}
	for _, tc := range []struct {
		old  []int64
		made int64
		want string
	}{
		{nil, 5, "5"},
		{[]int64{20, 10}, 30, "30 20 10"},
		{[]int64{40, 30, 20, 10}, 50, "50 40 30 20"},
		{[]int64{41, 40, 35, 20}, 42, "42 41 35 20"}, // 40 lies between two that are close
		{[]int64{41, 40, 20, 10}, 42, "42 41 40 20"}, // without 40 the gap would be too wide
		{[]int64{100, 90, 80, 70}, 101, "101 100 90 80"},
	} {
		kept, gone := keepCopies(minutes(tc.old...), minutes(tc.made)[0], cfg)
		var got []string
		for _, k := range kept {
			got = append(got, k.Key)
		}
		if strings.Join(got, " ") != tc.want || len(gone)+len(kept) != len(tc.old)+1 {
			t.Errorf("%d onto %v: %q, gone %q, want %q", tc.made, tc.old, got, gone, tc.want)
		}
	}
}

// TestCopiesHoldGarbageBack: what the newest two copies name stays, though the catalog does not name it any more.
func TestCopiesHoldGarbageBack(t *testing.T) {
	inWorld(t, func(c *Config) {
		c.GC = DefaultConfig().GC
		c.GC.Interval, c.GC.Grace = time.Minute, time.Second
		c.Copies.Interval = time.Hour
	}, func(w *world) {
		coll := w.create("a", 1)
		s := segmentOf(11, coll.Partitions[0].ID, 1)
		w.upload(s.Dir + "/rows.parquet")
		w.seal(coll.ID, 0, 10, s)
		time.Sleep(2 * time.Hour)
		w.must(w.c.DropCollection(w.ctx, ref("a")))
		time.Sleep(30 * time.Minute)
		if !w.has(s.Dir + "/rows.parquet") {
			t.Error("the second newest copy names it, and it was removed")
		}
		time.Sleep(time.Hour)
		if w.has(s.Dir + "/rows.parquet") {
			t.Error("the newest two copies are younger than the drop, and the file stays")
		}
	})
}

// TestGarbageAmongCopies: a copy that no record names, as a leader leaves it that died, is removed.
func TestGarbageAmongCopies(t *testing.T) {
	inWorld(t, func(c *Config) { c.GC = DefaultConfig().GC }, func(w *world) {
		stray := copies.Folder + "20000101T000000.000Z-0000000000000001.gyrcat"
		w.upload(stray)
		time.Sleep(2 * time.Hour)
		if w.has(stray) {
			t.Error("it stays")
		}
		if len(w.copies()) != 8 {
			t.Errorf("%d copies", len(w.copies()))
		}
	})
}

// TestCopyOrder: truncations may go as far as the record says while a copy is read, and the copy has at least that.
func TestCopyOrder(t *testing.T) {
	inWorld(t, func(c *Config) { c.Copies.Interval, c.Copies.AfterChange = 24*time.Hour, 12*time.Hour }, func(w *world) {
		w.put(catalog.MarksKey(0), catalog.LogMarks{Checkpoint: 5})
		k := w.c.term.Load().copier
		record, _, err := k.begin(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if p, held := record.Floor(0); p != 5 || !held {
			t.Errorf("floor %d, %v", p, held)
		}
		w.put(catalog.MarksKey(0), catalog.LogMarks{Checkpoint: 8})
		for range 2 {
			if _, err := k.copy(w.ctx); err != nil {
				t.Fatal(err)
			}
		}
		w.put(catalog.MarksKey(0), catalog.LogMarks{Checkpoint: 9})
		if _, err := k.copy(w.ctx); err != nil {
			t.Fatal(err)
		}
		got, _, err := catalog.Read[catalog.Copies](w.ctx, w.meta, catalog.CopiesKey)
		if err != nil {
			t.Fatal(err)
		}
		if p, _ := got.Floor(0); p != 8 || got.Kept[0].Checkpoints[0] != 9 {
			t.Errorf("floor %d of %+v: the second newest copy begins at 8", p, got)
		}
	})
}

// TestLostCatalog: with an empty metadata store and copies in the bucket nothing begins anew.
func TestLostCatalog(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		time.Sleep(time.Minute)
		w.halt()
		w.txn(meta.Op{Delete: true, Prefix: true})
		cfg := DefaultConfig()
		cfg.Node = catalog.Node{ID: 2, Addr: "two"}
		c, err := New(cfg, w.c.deps)
		if err != nil {
			t.Fatal(err)
		}
		var lost *LostCatalogError
		if err := c.Run(w.ctx); !errors.As(err, &lost) || lost.Newest != w.copies()[0] || !strings.Contains(err.Error(), "gyr-ctl catalog rebuild") {
			t.Errorf("Run: %v", err)
		}
		if _, err := w.meta.Get(w.ctx, catalog.ClusterKey); err == nil {
			t.Error("a new cluster was begun")
		}
	})
}

func TestFailingCopiesAreReported(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		time.Sleep(time.Minute)
		refused := errors.New("no bucket")
		w.away.away.Store(&refused)
		said := func() bool { return w.complains("copy of the catalog") }
		time.Sleep(15 * time.Minute)
		if said() {
			t.Error("reported before it is overdue")
		}
		time.Sleep(15 * time.Minute)
		if !said() {
			t.Errorf("not reported: %q", w.c.Problems())
		}
		w.away.away.Store(nil)
		time.Sleep(15 * time.Minute)
		if said() {
			t.Error("still reported")
		}
	})
}
