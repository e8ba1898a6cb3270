package hnsw

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestNasty: a few dimensions that are much wider than the rest, and lengths with a heavy tail, lose no recall and take no
// more work than ordinary rows do.
func TestNasty(t *testing.T) {
	const n, dim, nq = 8000, 96, 60
	wide := func(m vector.Matrix) {
		for i := range m.Len() {
			for _, d := range []int{3, 40, 77, 90} {
				m.Vector(i)[d] *= 30
			}
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	tailed := func(m vector.Matrix) {
		for i := range m.Len() {
			scale(m.Vector(i), float32(min(50, math.Pow(1-r.Float64(), -1/1.5))))
		}
	}
	draw := func(part uint64, n int, change func(vector.Matrix)) vector.Matrix {
		m := sample.Clustered(41, part, n, dim, 500)
		if change != nil {
			change(m)
		}
		return m
	}
	for name, c := range map[string]struct {
		change func(vector.Matrix)
		metric vector.Metric
		turned bool
	}{
		"ordinary L2": {nil, vector.L2, false},
		"wide L2":     {wide, vector.L2, true},
		"wide COSINE": {wide, vector.Cosine, true},
		"wide IP":     {wide, vector.IP, false},
		"tailed IP":   {tailed, vector.IP, false},
		"tailed L2":   {tailed, vector.L2, false},
	} {
		rows, queries := draw(0, n, c.change), draw(1, nq, c.change).Data
		x := build(t, rows, c.metric, 0)
		hits, stats, err := x.Search(t.Context(), queries, Params{K: 10, Ef: 64})
		if err != nil {
			t.Fatal(err)
		}
		recall := sample.Recall(c.metric, hits, exact(t, rows, c.metric, queries, 10, nil))
		t.Logf("%s: recall %.4f, %d distances; turned %v, split %v, widening %d", name, recall, stats.Distances/nq, x.img.head.turned, x.img.split, x.img.widen)
		if recall < 0.95 || stats.Distances/nq > 2500 || c.turned && !x.img.head.turned {
			t.Errorf("%s: recall %.4f with %d distances, turned %v", name, recall, stats.Distances/nq, x.img.head.turned)
		}
	}
}
