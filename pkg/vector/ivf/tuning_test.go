package ivf

import (
	"bytes"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestTargetRecall: new queries reach the recall that is asked for, with no more lists than that takes, also after the index
// went through a file.
func TestTargetRecall(t *testing.T) {
	const n, dim, nq = 20000, 16, 200
	rows := sample.Clustered(31, 0, n, dim, 400)
	queries := sample.Clustered(31, 1, nq, dim, 400).Data
	for _, coding := range []Coding{Exact, SQ8, RaBitQ} {
		b := image(t, rows, Config{Metric: vector.L2, Lists: 200, Coding: coding})
		img, err := Load(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := NewIndex(testSet(t), img, rows)
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		for _, target := range []float64{0.8, 0.9, 0.95, 0.99} {
			hits, stats, err := x.Search(t.Context(), queries, Params{K: 10, TargetRecall: target})
			if err != nil {
				t.Fatal(err)
			}
			r := sample.Recall(vector.L2, hits, exact(t, x, queries, 10, nil))
			t.Logf("%s: asked for %.2f, got %.4f from %d lists", coding, target, r, stats.Hops/nq)
			if r < target-0.01 {
				t.Errorf("%s: asked for %.2f, got %.4f", coding, target, r)
			}
			if stats.Hops < last || stats.Hops/nq > 100 {
				t.Errorf("%s: %.2f takes %d lists", coding, target, stats.Hops/nq)
			}
			last = stats.Hops
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
