package hnsw

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

func image(t testing.TB, rows vector.Rows, metric vector.Metric, m, workers int) []byte {
	t.Helper()
	img, err := Build(t.Context(), Config{Set: testSet(t), Metric: metric, M: m, EfConstruction: 40, Workers: workers}, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := img.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestDeterministic: a build depends on the rows alone, not on the number of workers.
func TestDeterministic(t *testing.T) {
	rows := sample.Clustered(2, 0, 3000, 70, 10)
	for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
		if !bytes.Equal(image(t, rows, metric, 8, 1), image(t, rows, metric, 8, 3)) {
			t.Fatalf("%s: two builds differ", metric)
		}
	}
}

// TestSizes builds every small number of rows, with all workers.
func TestSizes(t *testing.T) {
	for n := range 40 {
		for _, m := range []int{2, 5, 64} {
			rows := sample.Clustered(3, 0, n, 3, 4)
			b := image(t, rows, vector.L2, m, 3)
			img, err := Load(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(n, m, err)
			}
			x, err := NewIndex(testSet(t), img, rows)
			if err != nil {
				t.Fatal(err)
			}
			q := []float32{1, 2, 3}
			hits, _, err := x.Search(t.Context(), q, Params{K: 7, Ef: 7})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, q, hits, 7, nil)
			_ = x.Close()
		}
	}
}

func TestLinks(t *testing.T) {
	rows := sample.Clustered(4, 0, 4000, 12, 30)
	for _, workers := range []int{1, 4} {
		x := build(t, rows, vector.L2, workers)
		g := &x.img.graph
		if err := g.check(); err != nil {
			t.Fatal(err)
		}
		reached := map[uint32]bool{}
		for id := range uint32(g.n) {
			for level := g.level(id); level >= 0; level-- {
				seen := map[uint32]bool{}
				for _, to := range g.links(id, level) {
					if to == none {
						break
					}
					if to == id || seen[to] {
						t.Fatalf("workers %d: node %d level %d links to %d twice or to itself", workers, id, level, to)
					}
					seen[to] = true
				}
				if level == 0 && len(seen) == 0 {
					t.Fatalf("node %d has no links", id)
				}
			}
		}
		queue := []uint32{g.entry}
		reached[g.entry] = true
		for len(queue) > 0 {
			id := queue[0]
			queue = queue[1:]
			for _, to := range g.links(id, 0) {
				if to == none {
					break
				}
				if !reached[to] {
					reached[to] = true
					queue = append(queue, to)
				}
			}
		}
		if lost := g.n - len(reached); lost > g.n/1000 {
			t.Fatalf("workers %d: %d nodes cannot be reached", workers, lost)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	rows := sample.Clustered(5, 0, 5000, 8, 5)
	good := Config{Set: testSet(t), Metric: vector.L2, M: 8, EfConstruction: 50}
	for name, change := range map[string]func(*Config){
		"metric": func(c *Config) { c.Metric = 9 }, "M": func(c *Config) { c.M = 1 }, "efConstruction": func(c *Config) { c.EfConstruction = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := Build(t.Context(), cfg, rows, nil); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last float32
	_, err := Build(ctx, good, rows, func(p float32) {
		if p < last {
			t.Errorf("progress went back from %g to %g", last, p)
		}
		last = p
		if p > 0.5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || last > 0.9 {
		t.Fatalf("cancelled at %g: %v", last, err)
	}
	if _, err := Build(t.Context(), good, rows, func(p float32) { last = p }); err != nil || last != 1 {
		t.Fatalf("progress ended at %g: %v", last, err)
	}
}

// TestOddRows: equal rows, zero rows and wide ranges must neither crash nor lose hits.
func TestOddRows(t *testing.T) {
	const n, dim = 6000, 8
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
		"tiny":     func(_ int, row []float32) { scale(row, 1e-15) },
		"lengths":  func(i int, row []float32) { scale(row, float32(1+i%7)) },
		"far away": func(_ int, row []float32) {
			for d := range row {
				row[d] += 1000
			}
		},
	}
	queries := sample.Clustered(6, 1, 20, dim, 40).Data
	for name, change := range kinds {
		rows := vector.Matrix{Data: append([]float32(nil), base.Data...), D: dim}
		for i := range n {
			change(i, rows.Vector(i))
		}
		for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
			x := build(t, rows, metric, 2)
			hits, _, err := x.Search(t.Context(), queries, Params{K: 10, Ef: 64})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, queries, hits, 10, nil)
			recall := sample.Recall(metric, hits, exact(t, rows, metric, queries, 10, nil))
			t.Logf("%s %s recall %.3f", name, metric, recall)
			floor := 0.9
			if name == "far away" && metric == vector.IP {
				floor = 0.8 // the queries have nothing in common with the rows, and the mean decides nearly everything
			}
			if recall < floor && !math.IsInf(float64(hits[0][0].Score), 0) {
				t.Errorf("%s %s: recall %.3f", name, metric, recall)
			}
		}
	}
}

func scale(row []float32, by float32) {
	for d := range row {
		row[d] *= by
	}
}
