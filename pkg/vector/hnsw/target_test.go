package hnsw

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// gauss returns rows without any structure, the hardest for their dimension.
func gauss(seed uint64, n, dim int) vector.Matrix {
	r := rand.New(rand.NewPCG(seed, 77))
	data := make([]float32, n*dim)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return vector.Matrix{Data: data, D: dim}
}

// TestTargetRecall: searches that name a recall reach it on queries that no build has seen, with and without a filter.
func TestTargetRecall(t *testing.T) {
	const n = 8000
	for name, c := range map[string]struct {
		rows, queries vector.Matrix
		metric        vector.Metric
	}{
		"clustered": {sample.Clustered(20, 0, n, 80, 60), sample.Clustered(20, 1, 300, 80, 60), vector.Cosine},
		"random":    {gauss(1, n, 20), gauss(2, 300, 20), vector.L2},
		"products":  {gauss(3, n, 12), gauss(4, 300, 12), vector.IP},
	} {
		x := build(t, c.rows, c.metric, 0)
		if x.img.table.Empty() {
			t.Fatalf("%s: not calibrated", name)
		}
		filters := map[string]vector.Filter{"all": nil, "half": sample.Share(3, n, 0.5), "tenth": sample.Share(4, n, 0.1)}
		for kind, f := range filters {
			for _, k := range []int{1, 10, 100} {
				want := exact(t, c.rows, c.metric, c.queries.Data, k, f)
				last := 0
				for _, target := range []float64{0.9, 0.95, 0.99} {
					hits, stats, err := x.Search(t.Context(), c.queries.Data, Params{K: k, TargetRecall: target, Filter: f})
					if err != nil {
						t.Fatal(err)
					}
					recall := sample.Recall(c.metric, hits, want)
					t.Logf("%s, %s, k %d: asked %g, got %.4f with %d distances", name, kind, k, target, recall, stats.Distances/300)
					if recall < target-0.01 {
						t.Errorf("%s, %s, k %d: recall %.4f, asked for %g", name, kind, k, recall, target)
					}
					if stats.Distances < last {
						t.Errorf("%s, %s, k %d: a higher recall takes less work", name, kind, k)
					}
					last = stats.Distances
				}
			}
		}
	}
}

// TestTargetUnknown: graphs that are too small to be calibrated try hard.
func TestTargetUnknown(t *testing.T) {
	rows := sample.Clustered(20, 0, 1000, 80, 10)
	queries := sample.Clustered(20, 1, 20, 80, 10).Data
	x := build(t, rows, vector.L2, 1)
	hits, _, err := x.Search(t.Context(), queries, Params{K: 10, TargetRecall: 0.99})
	if err != nil || sample.Recall(vector.L2, hits, exact(t, rows, vector.L2, queries, 10, nil)) < 0.99 {
		t.Fatal(hits, err)
	}
}

// TestCalibrationIsKept: a loaded graph knows what the built one found out.
func TestCalibrationIsKept(t *testing.T) {
	rows := sample.Clustered(21, 0, 6000, 10, 40)
	x := build(t, rows, vector.L2, 2)
	var buf bytes.Buffer
	if _, err := x.img.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	img, err := Load(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for _, k := range []int{1, 10, 100} {
		got, ok := img.table.Effort(k, 0.97)
		if want, _ := x.img.table.Effort(k, 0.97); !ok || got != want {
			t.Errorf("k %d: effort %d, want %d", k, got, want)
		}
	}
	if img.spread == 0 || img.widenHigh != x.img.widenHigh {
		t.Errorf("spread %g, widening %d", img.spread, img.widenHigh)
	}
}
