package hnsw

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestPlanner: at every share of allowed rows, whether they lie at random, around the queries or away from them, searches at
// the default pool find what they should, and count no more distances than a few times those without a filter, nor than a
// scan with a walk before it.
func TestPlanner(t *testing.T) {
	const n, dim, k, nq = 20000, 72, 10, 60
	rows := sample.Clustered(31, 0, n, dim, 2000)
	queries := sample.Clustered(31, 1, nq, dim, 2000).Data
	x := build(t, rows, vector.L2, 0)
	_, stats, err := x.Search(t.Context(), queries, Params{K: k, Ef: 64})
	if err != nil {
		t.Fatal(err)
	}
	free := stats.Distances / nq
	near := func(sign float32) func(share float64) *sample.Bits {
		return func(share float64) *sample.Bits {
			bound := quantile(rows, sign, share)
			return sample.Where(n, func(i int) bool { return sign*along(rows.Vector(i)) <= bound })
		}
	}
	for kind, filter := range map[string]func(float64) *sample.Bits{
		"random": func(share float64) *sample.Bits { return sample.Share(5, n, share) },
		"low":    near(1), "high": near(-1),
	} {
		for _, share := range []float64{1, 0.9, 0.5, 0.3, 0.2, 0.1, 0.03, 0.01, 0.001, 0.0002} {
			f := filter(share)
			hits, stats, err := x.Search(t.Context(), queries, Params{K: k, Ef: 64, Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, queries, hits, k, f)
			recall := sample.Recall(vector.L2, hits, exact(t, rows, vector.L2, queries, k, f))
			work := stats.Distances / nq
			what := fmt.Sprintf("%s %g (%d rows): recall %.4f, %d distances, %d without a filter", kind, share, f.Estimate, recall, work, free)
			t.Log(what)
			if recall < 0.95 || work > max(5*free, f.Estimate*3/2+2*free) {
				t.Error(what)
			}
		}
	}
}

// along is where a row lies in a direction that has to do with its cluster.
func along(x []float32) float32 { return x[0] + x[1] + x[2] + x[3] }

func quantile(rows vector.Matrix, sign float32, share float64) float32 {
	all := make([]float32, rows.Len())
	for i := range all {
		all[i] = sign * along(rows.Vector(i))
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(share*float64(len(all))))]
}
