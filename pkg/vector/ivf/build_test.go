package ivf

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

func image(t testing.TB, rows vector.Rows, cfg Config) []byte {
	t.Helper()
	cfg.Set = testSet(t)
	img, err := Build(t.Context(), complete(cfg, rows.Dim()), rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if n, err := img.WriteTo(&buf); err != nil || n != img.Size() {
		t.Fatal(n, err)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestDeterministic: the file does not depend on the number of workers.
func TestDeterministic(t *testing.T) {
	rows := sample.Clustered(2, 0, 5000, 17, 10)
	for _, metric := range metrics {
		cfg := Config{Metric: metric, Lists: 50, Coding: SQ8, Workers: 1}
		one := image(t, rows, cfg)
		cfg.Workers = 5
		if !bytes.Equal(one, image(t, rows, cfg)) {
			t.Fatalf("%s: two builds differ", metric)
		}
	}
}

// TestBalance: k-means finds clusters, rather than leaving most rows in a few lists.
func TestBalance(t *testing.T) {
	rows := sample.Clustered(4, 0, 20000, 16, 60)
	for _, metric := range metrics {
		x := build(t, rows, Config{Metric: metric, Lists: 100})
		largest := 0
		for l := range x.img.count() {
			largest = max(largest, len(x.img.list(l)))
		}
		if largest > 1500 {
			t.Errorf("%s: a list of %d rows", metric, largest)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	rows := sample.Clustered(5, 0, 20000, 8, 5)
	good := Config{Set: testSet(t), Metric: vector.L2, Lists: 100, Coding: SQ8}
	for name, change := range map[string]func(*Config){
		"metric": func(c *Config) { c.Metric = 9 }, "no lists": func(c *Config) { c.Lists = 0 }, "lists": func(c *Config) { c.Lists = MaxLists + 1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := Build(t.Context(), cfg, rows, nil); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last float32
	_, err := Build(ctx, good, rows, func(p float32) {
		if p < last {
			t.Errorf("progress went back from %g to %g", last, p)
		}
		if last = p; p > 0.3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || last > 0.6 {
		t.Fatalf("cancelled at %g: %v", last, err)
	}
	for _, rows := range []vector.Rows{rows, vector.Matrix{D: 4}} {
		if _, err := Build(t.Context(), good, rows, func(p float32) { last = p }); err != nil || last != 1 {
			t.Fatalf("progress ended at %g: %v", last, err)
		}
	}
}

// TestOddRows: equal rows, zero rows and wide ranges must neither crash nor lose hits.
func TestOddRows(t *testing.T) {
	const n, dim = 2500, 8
	base := sample.Clustered(6, 0, n, dim, 40)
	kinds := map[string]func(i int, row []float32){
		"copies":    func(i int, row []float32) { copy(row, base.Vector(i%20)) },
		"zero":      func(_ int, row []float32) { clear(row) },
		"one apart": func(i int, row []float32) { clear(row); row[0] = float32(i / (n - 1)) },
		"half zero": func(i int, row []float32) {
			if i%2 == 0 {
				clear(row)
			}
		},
		"wide dim": func(_ int, row []float32) { row[3] *= 1000 },
		"huge":     func(_ int, row []float32) { scale(row, 1e15) },
		"overflow": func(_ int, row []float32) { scale(row, 1e30) },
		"tiny":     func(_ int, row []float32) { scale(row, 1e-15) },
		"lengths":  func(i int, row []float32) { scale(row, float32(1+i%7)) },
		"far away": func(_ int, row []float32) {
			for d := range row {
				row[d] += 1000
			}
		},
		"not numbers": func(i int, row []float32) {
			if i%3 == 0 {
				row[0] = float32(math.NaN())
			}
			if i%5 == 0 {
				row[1] = float32(math.Inf(1))
			}
		},
	}
	queries := sample.Clustered(6, 1, 20, dim, 40).Data
	for name, change := range kinds {
		rows := vector.Matrix{Data: append([]float32(nil), base.Data...), D: dim}
		for i := range n {
			change(i, rows.Vector(i))
		}
		for _, metric := range metrics {
			for _, coding := range codings {
				x := build(t, rows, Config{Metric: metric, Lists: 64, Coding: coding})
				if name == "not numbers" {
					if hits, _, err := x.Search(t.Context(), queries, Params{K: 10, Probe: 16}); err != nil || len(hits[3]) != 10 {
						t.Fatal(hits, err)
					}
					continue
				}
				if name == "overflow" && metric != vector.Cosine {
					continue // scores are infinite, or not numbers
				}
				hits, _ := search(t, x, queries, 10, 16, nil)
				recall := sample.Recall(metric, hits, exact(t, x, queries, 10, nil))
				t.Logf("%s %s %s: recall %.3f", name, metric, coding, recall)
				least := 0.9
				if coding == PQ {
					least = 0.85 // with two dimensions per code, few errors are much like all others
				}
				if recall < least && !math.IsInf(float64(hits[0][0].Score), 0) {
					t.Errorf("%s %s %s: recall %.3f", name, metric, coding, recall)
				}
			}
		}
	}
}

func scale(row []float32, by float32) {
	for d := range row {
		row[d] *= by
	}
}

func BenchmarkBuild(b *testing.B) {
	rows := sample.Clustered(1, 0, 20000, 128, 300)
	for range b.N {
		img, err := Build(b.Context(), Config{Set: testSet(b), Metric: vector.L2, Lists: 128, Coding: SQ8, Workers: 1}, rows, nil)
		if err != nil {
			b.Fatal(err)
		}
		_ = img.Close()
	}
	b.ReportMetric(float64(20000*b.N)/b.Elapsed().Seconds(), "rows/s")
}
