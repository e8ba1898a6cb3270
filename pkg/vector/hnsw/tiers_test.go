package hnsw

import (
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestTiersAgree: every tier of kernels finds the same rows, by scan and in one graph, with and without a filter. Scores may
// differ by rounding, so rows whose scores are that close may change places.
func TestTiersAgree(t *testing.T) {
	const n, dim, k = 2000, 45, 10
	rows := sample.Clustered(11, 0, n, dim, 20)
	queries := sample.Clustered(11, 1, 30, dim, 20).Data
	some := sample.Share(11, n, 0.3)
	for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
		img, err := Build(t.Context(), Config{Metric: metric, M: 16, EfConstruction: 100, Workers: 1}, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = img.Close() })
		var want [][][]vector.Hit
		for i, set := range kernel.Tiers() {
			x, err := NewIndex(set, img, rows)
			if err != nil {
				t.Fatal(err)
			}
			var got [][][]vector.Hit
			for _, f := range []vector.Filter{nil, some} {
				walked, _, err := x.Search(t.Context(), queries, Params{K: k, Ef: 64, Filter: f})
				if err != nil {
					t.Fatal(err)
				}
				scanned, _, err := flat.Scanner{Set: set, Metric: metric, Rows: rows}.Search(t.Context(), queries, k, f)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, walked, scanned)
			}
			if i == 0 {
				want = got
				continue
			}
			for way := range got {
				for q, hits := range got[way] {
					sameHits(t, set.Name()+" "+metric.String(), hits, want[way][q])
				}
			}
		}
	}
}

func sameHits(t *testing.T, what string, got, want []vector.Hit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d hits, want %d", what, len(got), len(want))
	}
	for i := range got {
		near := func(a, b float32) bool { return math.Abs(float64(a-b)) <= 1e-4*(1+math.Abs(float64(b))) }
		if !near(got[i].Score, want[i].Score) {
			t.Fatalf("%s: hit %d has the score %g, not %g", what, i, got[i].Score, want[i].Score)
		}
		last := i == len(got)-1 // may be as good as one that was left out
		if got[i].ID != want[i].ID && !last && !near(want[i].Score, want[i+1].Score) && (i == 0 || !near(want[i].Score, want[i-1].Score)) {
			t.Fatalf("%s: hit %d is row %d, not %d", what, i, got[i].ID, want[i].ID)
		}
	}
}
