package ivf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

var metrics = []vector.Metric{vector.L2, vector.IP, vector.Cosine}

var codings = []Coding{Plain, SQ8, Exact, PQ, RaBitQ}

// complete fills in what a coding needs besides.
func complete(c Config, dim int) Config {
	if c.Coding != PQ || c.Parts > 0 {
		return c
	}
	if c.Parts, c.Bits = dim, 4; dim%2 == 0 {
		c.Parts = dim / 2
	}
	return c
}

func testSet(t testing.TB) kernel.Set {
	t.Helper()
	s, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func build(t testing.TB, rows vector.Rows, cfg Config) *Index {
	t.Helper()
	if cfg.Set == (kernel.Set{}) {
		cfg.Set = testSet(t)
	}
	img, err := Build(t.Context(), complete(cfg, rows.Dim()), rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewIndex(cfg.Set, img, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func exact(t testing.TB, x *Index, queries []float32, k int, f *sample.Bits) [][]vector.Hit {
	t.Helper()
	hits, _, err := flat.Scanner{Set: x.quant.Set, Metric: x.quant.Metric, Rows: x.rows}.Search(t.Context(), queries, k, filter(f))
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

func filter(f *sample.Bits) vector.Filter {
	if f == nil {
		return nil
	}
	return f
}

func search(t testing.TB, x *Index, queries []float32, k, probe int, f *sample.Bits) ([][]vector.Hit, vector.Stats) {
	t.Helper()
	hits, stats, err := x.Search(t.Context(), queries, Params{K: k, Probe: probe, Filter: filter(f)})
	if err != nil {
		t.Fatal(err)
	}
	checkHits(t, x, queries, hits, k, f)
	return hits, stats
}

// checkHits looks at what must hold for any search: number, order, scores, filter.
func checkHits(t testing.TB, x *Index, queries []float32, hits [][]vector.Hit, k int, f *sample.Bits) {
	t.Helper()
	m, dim := x.quant.Metric, x.img.Dim()
	allowed := 0
	for i := range x.img.Len() {
		if f == nil || f.Has(uint32(i)) {
			allowed++
		}
	}
	for q, hs := range hits {
		if len(hs) != min(k, allowed) {
			t.Fatalf("query %d: %d hits, want %d", q, len(hs), min(k, allowed))
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

func filters(rows vector.Matrix) map[string]*sample.Bits {
	n := rows.Len()
	out := map[string]*sample.Bits{"all": nil, "none": sample.Where(n, func(int) bool { return false })}
	for _, p := range []float64{0.999, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001} {
		out[fmt.Sprintf("random %g", p)] = sample.Share(7, n, p)
	}
	for _, cut := range []float32{0.5, -0.4, -0.9} {
		out[fmt.Sprintf("correlated %g", cut)] = sample.Where(n, func(i int) bool { return rows.Vector(i)[0] < cut })
	}
	out["estimate too high"] = sample.Share(7, n, 0.001)
	out["estimate too high"].Estimate = n * 8 / 10
	out["estimate too low"] = sample.Share(7, n, 0.8)
	out["estimate too low"].Estimate = 3
	return out
}

func TestRecall(t *testing.T) {
	const n, dim, k, nq = 12000, 32, 10, 60
	rows := sample.Clustered(1, 0, n, dim, 100)
	queries := sample.Clustered(1, 1, nq, dim, 100).Data
	for _, metric := range metrics {
		for _, coding := range codings {
			x := build(t, rows, Config{Metric: metric, Lists: 128, Coding: coding})
			if x.img.Lists() < 120 {
				t.Fatalf("only %d lists", x.img.Lists())
			}
			for name, f := range filters(rows) {
				hits, stats := search(t, x, queries, k, 16, f)
				recall := sample.Recall(metric, hits, exact(t, x, queries, k, f))
				t.Logf("%s %s %s: recall %.4f, %d distances per query", metric, coding, name, recall, stats.Distances/nq)
				if recall < 0.95 {
					t.Errorf("%s %s %s: recall %.4f", metric, coding, name, recall)
				}
				if f == nil && stats.Distances > nq*n/3 {
					t.Errorf("%d distances per query", stats.Distances/nq)
				}
			}
		}
	}
}

// TestAllLists: looking at all lists gives exactly what a flat scan gives; with codes nearly so.
func TestAllLists(t *testing.T) {
	const n, dim, k = 3000, 19, 50
	rows := sample.Clustered(2, 0, n, dim, 20)
	queries := sample.Clustered(2, 1, 10, dim, 20).Data
	for _, metric := range metrics {
		for _, f := range []*sample.Bits{nil, sample.Share(1, n, 0.9), sample.Share(1, n, 0.3)} {
			x := build(t, rows, Config{Metric: metric, Lists: 64})
			hits, _ := search(t, x, queries, k, x.img.Lists(), f)
			want := exact(t, x, queries, k, f)
			for q := range want {
				if !slices.Equal(hits[q], want[q]) {
					t.Fatalf("%s query %d: %v, want %v", metric, q, hits[q], want[q])
				}
			}
			x = build(t, rows, Config{Metric: metric, Lists: 64, Coding: SQ8})
			hits, _ = search(t, x, queries, k, MaxLists, f)
			if r := sample.Recall(metric, hits, want); r < 0.995 {
				t.Fatalf("%s: recall %.4f", metric, r)
			}
		}
	}
}

// TestSizes builds small numbers of rows, with fewer of them than lists, and asks for more hits than there are.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 31, 32, 33, 63, 64, 65, 127, 300} {
		rows := sample.Clustered(3, 0, n, 3, 4)
		for _, c := range []Config{{Lists: 1}, {Lists: 128}, {Lists: 2, Coding: SQ8}, {Lists: MaxLists, Coding: SQ8, Workers: 3}} {
			for _, c.Metric = range metrics {
				x := build(t, rows, c)
				for _, k := range []int{0, 1, 7, 1000} {
					for _, f := range []*sample.Bits{nil, sample.Share(2, n, 0.5), sample.Share(2, n, 0)} {
						search(t, x, []float32{1, 2, 3, -1, 0, 0}, k, 1, f)
					}
				}
			}
		}
	}
}

// TestManyHits asks for very many rows, more than there are and more than are allowed.
func TestManyHits(t *testing.T) {
	const n, dim = 20000, 8
	rows := sample.Clustered(10, 0, n, dim, 50)
	query := sample.Clustered(10, 1, 1, dim, 50).Data
	for _, coding := range codings {
		x := build(t, rows, Config{Metric: vector.L2, Lists: 128, Coding: coding})
		for _, k := range []int{1, 500, 16384, 30000} {
			for _, f := range []*sample.Bits{nil, sample.Share(1, n, 0.5)} {
				hits, _ := search(t, x, query, k, 8, f)
				if r := sample.Recall(vector.L2, hits, exact(t, x, query, k, f)); r < 0.9 {
					t.Fatalf("k %d: recall %.3f", k, r)
				}
			}
		}
	}
}

// TestOtherSide: all rows near the query are disallowed, so that the first lists have no allowed row. A search of one list
// finds 10 rows all the same, and a fair share of the best on the average of some queries.
func TestOtherSide(t *testing.T) {
	const n, dim, queries = 20000, 16, 10
	rows := sample.Clustered(11, 0, n, dim, 8)
	for _, coding := range codings {
		x := build(t, rows, Config{Metric: vector.L2, Lists: 64, Coding: coding})
		recall := 0.0
		for i := range queries {
			query := rows.Vector(5 + 100*i)
			near := exact(t, x, query, n/5, nil)[0]
			f := sample.Where(n, func(int) bool { return true })
			for _, h := range near {
				f.Set[h.ID/64] &^= 1 << (h.ID % 64)
			}
			f.Estimate = n - len(near)
			hits, _ := search(t, x, query, 10, 1, f)
			if len(hits[0]) != 10 {
				t.Fatalf("%s: %d hits", coding, len(hits[0]))
			}
			recall += sample.Recall(vector.L2, hits, exact(t, x, query, 10, f)) / queries
		}
		if recall < 0.2 {
			t.Fatalf("%s: recall %.3f", coding, recall)
		}
	}
}

// TestTiers: every tier of kernels builds and searches.
func TestTiers(t *testing.T) {
	rows := sample.Clustered(5, 0, 2000, 33, 30)
	queries := sample.Clustered(5, 1, 20, 33, 30).Data
	for _, set := range kernel.Tiers() {
		for _, metric := range metrics {
			for _, coding := range codings {
				x := build(t, rows, Config{Set: set, Metric: metric, Lists: 32, Coding: coding})
				hits, _ := search(t, x, queries, 10, 8, nil)
				if r := sample.Recall(metric, hits, exact(t, x, queries, 10, nil)); r < 0.95 {
					t.Errorf("%s %s %s: recall %.3f", set.Name(), metric, coding, r)
				}
			}
		}
	}
}

func TestCloseWhileSearching(t *testing.T) {
	rows := sample.Clustered(12, 0, 3000, 24, 10)
	x := build(t, rows, Config{Metric: vector.Cosine, Lists: 16, Coding: SQ8})
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				hits, _, err := x.Search(context.Background(), rows.Vector(i%3000), Params{K: 3, Probe: 2})
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

// TestCancelled: searches look at the context before each query and during long scans, and leave a clean scratch behind.
func TestCancelled(t *testing.T) {
	rows := sample.Clustered(13, 0, 40000, 2, 10)
	x := build(t, rows, Config{Metric: vector.L2, Lists: 4})
	queries := sample.Clustered(13, 1, 3, 2, 10).Data
	for name, c := range map[string]struct {
		looks   int
		queries []float32
		p       Params
	}{
		"at once":       {0, queries[:2], Params{K: 1, Probe: 1}},
		"during a scan": {2, queries[:2], Params{K: 1, Probe: 4}},
		"between":       {30, queries, Params{K: 1, Probe: 4}},
	} {
		if _, _, err := x.Search(&countdown{t.Context(), c.looks}, c.queries, c.p); !errors.Is(err, context.Canceled) && name != "between" {
			t.Errorf("%s: %v", name, err)
		}
		search(t, x, queries, 5, 2, nil)
	}
}

func TestSearchErrors(t *testing.T) {
	rows := sample.Clustered(13, 0, 100, 2, 10)
	x := build(t, rows, Config{Metric: vector.L2, Lists: 4})
	for name, c := range map[string]struct {
		queries int
		p       Params
	}{"half a query": {3, Params{K: 1, Probe: 1}}, "k": {2, Params{K: -1, Probe: 1}}, "probe": {2, Params{K: 1}}} {
		if _, _, err := x.Search(t.Context(), make([]float32, c.queries), c.p); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	if _, err := NewIndex(testSet(t), x.img, sample.Clustered(13, 0, 99, 2, 10)); err == nil {
		t.Error("wrong rows accepted")
	}
}

// TestSearchAllocations: a search allocates its results, which are made behind the scratch, and nothing else. (The pool of
// scratches is left out: under the race detector it forgets some of what it is given.)
func TestSearchAllocations(t *testing.T) {
	rows := sample.Clustered(14, 0, 20000, 32, 10)
	for _, coding := range codings {
		x := build(t, rows, Config{Metric: vector.L2, Lists: 64, Coding: coding})
		for _, f := range []*sample.Bits{nil, sample.Share(1, 20000, 0.9)} {
			s := newSearcher(x)
			p, ctx := Params{K: 10, Probe: 8, Filter: filter(f)}, t.Context()
			n := testing.AllocsPerRun(50, func() {
				s.begin(p)
				if hits, err := s.search(ctx, rows.Vector(7)); err != nil || len(hits) != 10 {
					t.Fatal(hits, err)
				}
			})
			if n > 0 {
				t.Fatalf("%v allocations per search", n)
			}
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	rows := sample.Clustered(1, 0, 50000, 128, 300)
	queries := sample.Clustered(1, 1, 1000, 128, 300)
	for _, coding := range codings {
		x := build(b, rows, Config{Metric: vector.L2, Lists: 128, Coding: coding})
		for _, share := range []float64{1, 0.5, 0.1, 0.01} {
			var f vector.Filter
			if share < 1 {
				f = sample.Share(1, 50000, share)
			}
			b.Run(fmt.Sprintf("%s/share=%g", coding, share), func(b *testing.B) {
				for i := range b.N {
					if _, _, err := x.Search(b.Context(), queries.Vector(i%1000), Params{K: 10, Probe: 8, Filter: f}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
