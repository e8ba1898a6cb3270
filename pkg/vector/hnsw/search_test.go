package hnsw

import (
	"fmt"
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
	m, dim := x.quant.metric, x.img.Dim()
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
		sc := vector.NewScorer(x.quant.set, m, queries[q*dim:(q+1)*dim])
		seen := map[uint32]bool{}
		var score [1]float32
		for i, h := range hs {
			sc.Rows([][]float32{x.rows.Vector(int(h.ID))}, score[:])
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
	const n, dim, k = 20000, 48, 10
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
	for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
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
