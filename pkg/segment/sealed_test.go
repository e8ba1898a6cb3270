package segment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// bigSchema is a small schema for many rows.
func bigSchema() *schema.Schema {
	return &schema.Schema{Version: 1, Fields: []schema.Field{
		{ID: fPK, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: fVec, Name: "vec", Type: schema.FloatVector, Dim: 4},
		{ID: fI32, Name: "medium", Type: schema.Int32},
	}}
}

func bigRows(n int) Rows {
	r := rand.New(rand.NewPCG(9, 9))
	rows := Rows{Batch: emptyBatch(bigSchema())}
	rows.Batch.N = n
	pk, vec, num := rows.Batch.Columns[0], rows.Batch.Columns[1], rows.Batch.Columns[2]
	for i := range n {
		pk.Ints = append(pk.Ints, int64(n-i))
		num.Ints = append(num.Ints, int64(r.IntN(100)))
		for range 4 {
			vec.Vectors = append(vec.Vectors, float32(r.NormFloat64()))
		}
		rows.TS = append(rows.TS, uint64(1000+i))
	}
	pk.N, vec.N, num.N = n, n, n
	return rows
}

func openBig(t testing.TB, n int) *Sealed {
	t.Helper()
	store := mem.New()
	if _, err := Write(context.Background(), store, "big", bigSchema(), bigRows(n)); err != nil {
		t.Fatal(err)
	}
	return open(t, store, bigSchema(), "big")
}

// recorder is an index that notes how it is used.
type recorder struct {
	index.Index
	filter atomic.Value
	closed atomic.Int32
	active atomic.Int32
}

func (r *recorder) Search(ctx context.Context, q []byte, k int, e index.Effort, f index.Filter) (index.Hits, index.Stats, error) {
	r.active.Add(1)
	defer r.active.Add(-1)
	if r.closed.Load() != 0 {
		return index.Hits{}, index.Stats{}, fmt.Errorf("searched after it was closed")
	}
	if f != nil {
		r.filter.Store(fmt.Sprintf("%T", f))
	}
	return r.Index.Search(ctx, q, k, e, f)
}

func (r *recorder) Close() error {
	if r.active.Load() != 0 {
		panic("closed under a search")
	}
	r.closed.Add(1)
	return r.Index.Close()
}

func newRecorder(t testing.TB, s *Sealed) *recorder {
	t.Helper()
	raw, err := s.Vectors(fVec)
	if err != nil {
		t.Fatal(err)
	}
	flat, err := index.Flat(index.Spec{Type: index.TypeFlat, Metric: "L2", Dim: raw.Dim()}, raw)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{Index: flat}
}

func below(t testing.TB, limit int64) *plan.Plan {
	t.Helper()
	p, err := plan.New(&plan.Compare{Operand: plan.Operand{Field: fI32, Type: schema.Int32}, Op: plan.LT, Value: plan.IntValue(limit)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// openBare opens a segment whose file has nothing that makes filters cheaper.
func openBare(t testing.TB, n int) *Sealed {
	t.Helper()
	store, s := mem.New(), bigSchema()
	src, err := sortRows(s, bigRows(n))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writeFiles(context.Background(), store, "bare", s, src, layout{step: 4096, least: n + 1}); err != nil {
		t.Fatal(err)
	}
	return open(t, store, s, "bare")
}

// TestFilterChoice: a plan that most rows pass is tested on demand at its first use, everything else gets a bitmap, and
// both give the same hits. What indexes answer gets a bitmap at once.
func TestFilterChoice(t *testing.T) {
	seg := openBare(t, 60000)
	rec := newRecorder(t, seg)
	seg.SetIndex(fVec, rec)
	spec := SearchSpec{Field: fVec, Queries: index.FloatQueries([]float32{1, 0, 0, 0}), NQ: 1, K: 10, Metric: "L2", ReadTS: 1 << 60, Plan: below(t, 90)}
	first, _, err := seg.Search(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := rec.filter.Load(); got != "*segment.lazyFilter" {
		t.Fatalf("first search used %v", got)
	}
	second, _, err := seg.Search(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := rec.filter.Load(); got != "*index.bitmapFilter" {
		t.Fatalf("second search used %v", got)
	}
	if !slices.Equal(first.IDs[0], second.IDs[0]) {
		t.Fatalf("hits differ: %v, %v", first.IDs, second.IDs)
	}
	spec.Plan = below(t, 2)
	if _, _, err := seg.Search(context.Background(), spec); err != nil {
		t.Fatal(err)
	}
	if got := rec.filter.Load(); got != "*index.bitmapFilter" {
		t.Fatalf("a selective plan used %v", got)
	}
	seg = openBig(t, 60000)
	rec = newRecorder(t, seg)
	seg.SetIndex(fVec, rec)
	spec.Plan = below(t, 90)
	third, _, err := seg.Search(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := rec.filter.Load(); got != "*index.bitmapFilter" || !slices.Equal(first.IDs[0], third.IDs[0]) {
		t.Fatalf("with an index of the column the search used %v; hits %v, %v", got, first.IDs, third.IDs)
	}
}

func TestLazyFilter(t *testing.T) {
	seg := openBig(t, 5000)
	visible := bitset.Full(5000)
	for i := 0; i < 5000; i += 3 {
		visible.Remove(i)
	}
	p := below(t, 50)
	want, err := matchRows(p, seg, allRows(5000), visible)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newLazyFilter(p, seg, visible, 1)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for lo := w * 64; lo+64 <= 5000; lo += 128 {
				if got := f.Test(allRows(5000)[lo : lo+64]); got != want[lo/64] {
					t.Errorf("rows from %d: %x instead of %x", lo, got, want[lo/64])
				}
			}
		})
	}
	wg.Wait()
	if !slices.Equal(f.Bitmap(), want) {
		t.Fatal("Bitmap and Test disagree")
	}
}

func TestIndexSwap(t *testing.T) {
	seg := openBig(t, 2000)
	var recs []*recorder
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				spec := SearchSpec{Field: fVec, Queries: index.FloatQueries([]float32{1, 0, 0, 0}), NQ: 1, K: 5, Metric: "L2", ReadTS: 1 << 60}
				hits, _, err := seg.Search(context.Background(), spec)
				if err != nil || len(hits.IDs[0]) != 5 {
					t.Errorf("%v, %v", hits.IDs, err)
					return
				}
			}
		})
	}
	for i := range 200 {
		time.Sleep(100 * time.Microsecond)
		rec := newRecorder(t, seg)
		recs = append(recs, rec)
		seg.SetIndex(fVec, rec)
		seg.ApplyDeletes(Deletes{Keys: schema.Keys{Ints: []int64{int64(i)}}, TS: []uint64{1 << 59}}, 0)
	}
	close(stop)
	wg.Wait()
	for i, r := range recs {
		if want := min(1, int32(len(recs)-1-i)); r.closed.Load() != want {
			t.Fatalf("index %d was closed %d times, want %d", i, r.closed.Load(), want)
		}
	}
	seg.SetIndex(fVec, nil)
	if last := recs[len(recs)-1]; last.closed.Load() != 1 || seg.HasIndex(fVec) {
		t.Fatal("the index stays after its removal")
	}
}

func TestRelease(t *testing.T) {
	store := mem.New()
	if _, err := Write(context.Background(), store, "big", bigSchema(), bigRows(100)); err != nil {
		t.Fatal(err)
	}
	seg, err := OpenSealed(context.Background(), store, SealedConfig{ID: 4, Dir: "big", Schema: bigSchema()})
	if err != nil {
		t.Fatal(err)
	}
	rec := newRecorder(t, seg)
	seg.SetIndex(fVec, rec)
	if !seg.Retain() {
		t.Fatal("an open segment cannot be retained")
	}
	seg.Release()
	spec := SearchSpec{Field: fVec, Queries: index.FloatQueries([]float32{1, 0, 0, 0}), NQ: 1, K: 5, Metric: "L2", ReadTS: 1 << 60}
	if _, _, err := seg.Search(context.Background(), spec); err != nil || rec.closed.Load() != 0 {
		t.Fatal("one reference is left, yet", err, rec.closed.Load())
	}
	seg.Release()
	if rec.closed.Load() != 1 || seg.Retain() {
		t.Fatal("the last reference is gone, the index is open")
	}
	if _, _, err := seg.Search(context.Background(), spec); !errs.Is(err, errs.SegmentNotFound) {
		t.Fatal(err)
	}
	if _, err := seg.Fetch([]uint32{0}, []int64{fVec}); !errs.Is(err, errs.SegmentNotFound) {
		t.Fatal(err)
	}
	if _, err := seg.Select(context.Background(), nil, 1<<60, 0); !errs.Is(err, errs.SegmentNotFound) {
		t.Fatal(err)
	}
}

func TestVisible(t *testing.T) {
	seg := openBig(t, 1000)
	if _, all := seg.Visible(1999, 0); !all {
		t.Fatal("not every row is visible behind the last one")
	}
	if set, all := seg.Visible(1998, 0); all || set.Count() != 999 {
		t.Fatal("the last row is visible before its time")
	}
	if set, all := seg.Visible(5000, 1500); all || set.Count() != 500 {
		t.Fatal("expired rows are visible")
	}
	d := Deletes{Keys: schema.Keys{Ints: []int64{10, 11, 999999}}, TS: []uint64{3000, 2500, 2600}, Position: []uint64{5, 6, 7}}
	if n := seg.ApplyDeletes(d, 5); n != 1 {
		t.Fatalf("%d rows killed by entries behind 5", n)
	}
	if n := seg.ApplyDeletes(d, 0); n != 1 {
		t.Fatalf("%d more rows killed", n)
	}
	for ts, want := range map[uint64]int{2400: 1000, 2500: 999, 2999: 999, 3000: 998, 1 << 60: 998} {
		set, all := seg.Visible(ts, 0)
		if all {
			set = bitset.Full(1000)
		}
		if set.Count() != want {
			t.Fatalf("%d rows at %d, want %d", set.Count(), ts, want)
		}
	}
	if seg.DeadRows(2500) != 1 || seg.DeadRows(1<<60) != 2 || seg.DeadRows(2000) != 0 {
		t.Fatal("dead rows are miscounted")
	}
}

// TestLateFields: rows that were written before a field came show its default or null.
func TestLateFields(t *testing.T) {
	old, now := testSchema(schema.Int64), lateSchema(testSchema(schema.Int64))
	rows := randomRows(rand.New(rand.NewPCG(5, 5)), old, 50, 1000, 10)
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", old, rows); err != nil {
		t.Fatal(err)
	}
	growing := NewGrowing(1, old)
	if err := growing.Append(rows, 1); err != nil {
		t.Fatal(err)
	}
	sealed := open(t, store, old, "seg")
	p, err := plan.New(plan.Conj(
		&plan.Compare{Operand: plan.Operand{Field: fLate, Type: schema.Int32}, Op: plan.EQ, Value: plan.IntValue(7)},
		&plan.IsNull{Operand: plan.Operand{Field: fLateNull, Type: schema.VarChar}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, seg := range []Segment{sealed, growing} {
		if _, err := seg.Select(context.Background(), p, 1<<60, 0); !errs.Is(err, errs.FieldNotFound) {
			t.Fatalf("a field from the future: %v", err)
		}
		seg.(interface{ SetSchema(*schema.Schema) }).SetSchema(now)
		set, err := seg.Select(context.Background(), p, 1<<60, 0)
		if err != nil || set.Count() != 50 {
			t.Fatal(set.Count(), err)
		}
		b, err := seg.Fetch([]uint32{3, 4}, []int64{fLate, fLateNull})
		if err != nil || b.Columns[0].Ints[1] != 7 || b.Columns[0].IsNull(0) || !b.Columns[1].IsNull(0) {
			t.Fatal(b, err)
		}
	}
	more := randomRows(rand.New(rand.NewPCG(5, 6)), now, 50, 1000, 10000)
	if err := growing.Append(more, 2); err != nil {
		t.Fatal(err)
	}
	b, err := growing.Fetch(allRows(100), []int64{fLate, fLateNull})
	if err != nil {
		t.Fatal(err)
	}
	wantLate := &schema.Batch{N: 50, Columns: []*schema.Column{more.Batch.Column(fLate), more.Batch.Column(fLateNull)}}
	for i := range 50 {
		if got, want := render(b, 50+i), render(wantLate, i); got != want {
			t.Fatalf("row %d: %s instead of %s", i, got, want)
		}
		if got := render(b, i); got != "[7]|null|" {
			t.Fatalf("old row %d: %s", i, got)
		}
	}
	if err := growing.Append(Rows{Batch: more.Batch, TS: rows.TS}, 3); err == nil {
		t.Fatal("older timestamps were appended")
	}
}

func TestBitmapCache(t *testing.T) {
	c := newBitmapCache(4 * (entryOverhead + 80))
	for i := range 20 {
		c.put(fmt.Sprint(i), bitset.New(640))
		if c.bytes() > c.limit {
			t.Fatalf("%d bytes held, %d allowed", c.bytes(), c.limit)
		}
		if i > 0 {
			if set, seen := c.get("1"); set == nil || !seen {
				t.Fatal("the entry in use was dropped")
			}
		}
	}
	if set, _ := c.get("5"); set != nil {
		t.Fatal("an old entry is still there")
	}
	c.put("huge", bitset.New(1<<20))
	if set, _ := c.get("huge"); set != nil || c.bytes() > c.limit {
		t.Fatal("an entry above the limit was kept")
	}
}

// TestGrowingConcurrent reads while rows and deletes come: a read at T always sees the same.
func TestGrowingConcurrent(t *testing.T) {
	s := bigSchema()
	g := NewGrowing(1, s)
	rows := bigRows(20000)
	var done atomic.Uint64 // rows with a timestamp up to it are appended, deletes applied
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for r := rand.New(rand.NewPCG(1, 1)); done.Load() < 20999; {
				limit := done.Load()
				if limit < 1100 {
					continue
				}
				ts := limit - uint64(r.IntN(100))
				set, err := g.Select(context.Background(), nil, ts, 0)
				// Every tenth row is deleted ten timestamps after it came.
				want := int(ts-999) - int(ts-1001)/10
				if err != nil || set.Count() != want {
					t.Errorf("at %d: %d rows, want %d (%v)", ts, set.Count(), want, err)
					return
				}
				hits, _, err := g.Search(context.Background(), SearchSpec{Field: fVec, Queries: index.FloatQueries([]float32{1, 0, 0, 0}), NQ: 1, K: 3, Metric: "L2", ReadTS: ts})
				if err != nil || len(hits.IDs[0]) != 3 {
					t.Errorf("%v %v", hits, err)
					return
				}
			}
		})
	}
	for lo := 0; lo < 20000; lo += 10 {
		part := Rows{Batch: &schema.Batch{N: 10}, TS: rows.TS[lo : lo+10]}
		for _, c := range rows.Batch.Columns {
			part.Batch.Columns = append(part.Batch.Columns, c.Slice(lo, lo+10))
		}
		if lo > 0 {
			key := rows.Batch.Columns[0].Ints[lo-10]
			// The delete at ts lo+1000+1 kills the row with ts lo+1000-10.
			g.ApplyDeletes(Deletes{Keys: schema.Keys{Ints: []int64{key}}, TS: []uint64{uint64(1000 + lo + 1)}}, 0)
		}
		if err := g.Append(part, uint64(lo)); err != nil {
			t.Fatal(err)
		}
		done.Store(uint64(1000 + lo + 9))
	}
	wg.Wait()
}
