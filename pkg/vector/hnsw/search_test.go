package hnsw

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func testSet(t testing.TB) kernel.Set {
	t.Helper()
	s, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func build(t testing.TB, rows vector.Rows, metric vector.Metric, workers int) *Index {
	t.Helper()
	set := testSet(t)
	img, err := Build(t.Context(), Config{Set: set, Metric: metric, M: 16, EfConstruction: 100, Workers: workers}, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewIndex(set, img, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func exact(t testing.TB, rows vector.Rows, metric vector.Metric, queries []float32, k int, f vector.Filter) [][]vector.Hit {
	t.Helper()
	hits, _, err := flat.Scanner{Set: testSet(t), Metric: metric, Rows: rows}.Search(t.Context(), queries, k, f)
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

// checkHits looks at what must hold for any search: number, order, scores, filter.
func checkHits(t *testing.T, x *Index, queries []float32, hits [][]vector.Hit, k int, f *sample.Bits) {
	t.Helper()
	m, dim := x.quant.Metric, x.img.Dim()
	want := min(k, x.img.Len())
	if f != nil {
		n := 0
		for i := range x.img.Len() {
			if f.Has(uint32(i)) {
				n++
			}
		}
		want = min(k, n)
	}
	for q, hs := range hits {
		if len(hs) != want {
			t.Fatalf("query %d: %d hits, want %d", q, len(hs), want)
		}
		sc := vector.NewScorer(x.quant.Set, m, kernel.F32, queries[q*dim:(q+1)*dim])
		seen := map[uint32]bool{}
		var score [1]float32
		for i, h := range hs {
			sc.Rows([][]byte{x.rows.Row(int(h.ID))}, score[:])
			switch {
			case seen[h.ID]:
				t.Fatalf("query %d: row %d twice", q, h.ID)
			case f != nil && !f.Has(h.ID):
				t.Fatalf("query %d: row %d is not allowed", q, h.ID)
			case score[0] != h.Score:
				t.Fatalf("query %d row %d: score %g, exact %g", q, h.ID, h.Score, score[0])
			case i > 0 && m.Key(hs[i-1].Score) > m.Key(h.Score):
				t.Fatalf("query %d: hit %d out of order", q, i)
			}
			seen[h.ID] = true
		}
	}
}

func TestRecall(t *testing.T) {
	for dim, metrics := range map[int][]vector.Metric{48: {vector.L2, vector.IP, vector.Cosine}, 100: {vector.L2, vector.IP}} {
		t.Run(fmt.Sprint(dim), func(t *testing.T) { testRecall(t, dim, metrics) })
	}
}

func testRecall(t *testing.T, dim int, metrics []vector.Metric) {
	const n, k = 12000, 10
	rows := sample.Clustered(1, 0, n, dim, 100)
	queries := sample.Clustered(1, 1, 200, dim, 100).Data
	filters := map[string]*sample.Bits{"all": nil}
	for _, p := range []float64{0.999, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001} {
		filters[fmt.Sprintf("random %g", p)] = sample.Share(7, n, p)
	}
	for _, cut := range []float32{0.5, -0.4, -0.9} {
		filters[fmt.Sprintf("correlated %g", cut)] = sample.Where(n, func(i int) bool { return rows.Vector(i)[0] < cut })
	}
	wrong := sample.Share(7, n, 0.001)
	wrong.Estimate = n * 8 / 10
	filters["estimate too high"] = wrong
	low := sample.Share(7, n, 0.8)
	low.Estimate = 3
	filters["estimate too low"] = low
	for _, metric := range metrics {
		x := build(t, rows, metric, 0)
		for name, f := range filters {
			var vf vector.Filter
			if f != nil {
				vf = f
			}
			hits, stats, err := x.Search(t.Context(), queries, Params{K: k, Ef: 64, Filter: vf})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, queries, hits, k, f)
			recall := sample.Recall(metric, hits, exact(t, rows, metric, queries, k, vf))
			t.Logf("%s %s: recall %.4f, %d distances per query", metric, name, recall, stats.Distances/200)
			if recall < 0.95 {
				t.Errorf("%s %s: recall %.4f", metric, name, recall)
			}
		}
	}
}

// TestManyHits asks for very many rows, more than there are and more than are allowed.
func TestManyHits(t *testing.T) {
	const n, dim = 20000, 8
	rows := sample.Clustered(10, 0, n, dim, 50)
	query := sample.Clustered(10, 1, 1, dim, 50).Data
	x := build(t, rows, vector.L2, 2)
	half := sample.Share(1, n, 0.5)
	for _, k := range []int{1, 500, 16384, 30000} {
		for _, f := range []*sample.Bits{nil, half} {
			var vf vector.Filter
			if f != nil {
				vf = f
			}
			hits, _, err := x.Search(t.Context(), query, Params{K: k, Ef: max(k, 32), Filter: vf})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, query, hits, k, f)
			if r := sample.Recall(vector.L2, hits, exact(t, rows, vector.L2, query, k, vf)); r < 0.95 {
				t.Fatalf("k %d: recall %.3f", k, r)
			}
		}
	}
}

// TestOtherSide: all rows near the query are disallowed, so that a walk sees none of the allowed ones at first.
func TestOtherSide(t *testing.T) {
	const n, dim = 40000, 16
	rows := sample.Clustered(11, 0, n, dim, 8)
	query := rows.Vector(5)
	x := build(t, rows, vector.L2, 2)
	near := exact(t, rows, vector.L2, query, n/5, nil)[0]
	f := sample.Where(n, func(int) bool { return true })
	for _, h := range near {
		f.Set[h.ID/64] &^= 1 << (h.ID % 64)
	}
	f.Estimate = n - len(near)
	hits, _, err := x.Search(t.Context(), query, Params{K: 10, Ef: 32, Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	checkHits(t, x, query, hits, 10, f)
	if r := sample.Recall(vector.L2, hits, exact(t, rows, vector.L2, query, 10, f)); r < 1 {
		t.Fatalf("recall %.3f", r)
	}
}

func TestCloseWhileSearching(t *testing.T) {
	rows := sample.Clustered(12, 0, 3000, 24, 10)
	x := build(t, rows, vector.Cosine, 2)
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				hits, _, err := x.Search(context.Background(), rows.Vector(i%3000), Params{K: 3, Ef: 20})
				if i == 0 {
					started <- struct{}{}
				}
				if errors.Is(err, vector.ErrClosed) {
					return
				}
				if err != nil || len(hits[0]) != 3 {
					t.Error(hits, err)
					return
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	for range 2 {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := x.Use(func() error { return nil }); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
}

// countdown is a context that is cancelled after n looks at it.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelled: searches look at the context before each query, in long walks and in long scans.
func TestCancelled(t *testing.T) {
	rows := sample.Clustered(13, 0, 40000, 2, 10)
	x := build(t, rows, vector.L2, 2)
	queries := sample.Clustered(13, 1, 3, 2, 10).Data
	for name, c := range map[string]struct {
		looks   int
		queries []float32
		p       Params
	}{
		"at once":       {0, queries[:2], Params{K: 1, Ef: 10}},
		"between":       {2, queries, Params{K: 1, Ef: 10}},
		"during a walk": {1, queries[:2], Params{K: 200, Ef: 300}},
		"during a scan": {1, queries[:2], Params{K: 1, Ef: 40000}},
	} {
		if _, _, err := x.Search(&countdown{t.Context(), c.looks}, c.queries, c.p); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSearchAllocations: a search allocates its results and nothing else.
func TestSearchAllocations(t *testing.T) {
	rows := sample.Clustered(14, 0, 20000, 32, 10)
	x := build(t, rows, vector.L2, 2)
	f := sample.Share(1, 20000, 0.9)
	for _, p := range []Params{{K: 10, Ef: 64}, {K: 10, Ef: 64, Filter: f}, {K: 10, Ef: 64, Filter: sample.Share(1, 20000, 0.05)}} {
		n := testing.AllocsPerRun(50, func() {
			if _, _, err := x.Search(t.Context(), rows.Vector(7), p); err != nil {
				t.Fatal(err)
			}
		})
		if n > 3 { // two for the results; t.Context may take one
			t.Fatalf("%v allocations per search", n)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	rows := sample.Clustered(1, 0, 50000, 128, 300)
	queries := sample.Clustered(1, 1, 1000, 128, 300)
	x := build(b, rows, vector.L2, 0)
	for _, ef := range []int{16, 64, 256} {
		b.Run(fmt.Sprintf("ef%d", ef), func(b *testing.B) {
			for i := range b.N {
				if _, _, err := x.Search(b.Context(), queries.Vector(i%1000), Params{K: 10, Ef: ef}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, share := range []float64{0.5, 0.2, 0.05, 0.01, 0.001} {
		f := sample.Share(1, 50000, share)
		b.Run(fmt.Sprintf("filter%g", share), func(b *testing.B) {
			for i := range b.N {
				if _, _, err := x.Search(b.Context(), queries.Vector(i%1000), Params{K: 10, Ef: 64, Filter: f}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	rows := sample.Clustered(1, 0, 20000, 128, 300)
	for range b.N {
		img, err := Build(b.Context(), Config{Set: testSet(b), Metric: vector.L2, M: 16, EfConstruction: 200, Workers: 1}, rows, nil)
		if err != nil {
			b.Fatal(err)
		}
		_ = img.Close()
	}
	b.ReportMetric(float64(20000*b.N)/b.Elapsed().Seconds(), "rows/s")
}
