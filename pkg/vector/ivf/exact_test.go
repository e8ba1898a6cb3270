package ivf

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestExact: lists with bounded codes give what lists of raw vectors give, whatever the rows and the query.
func TestExact(t *testing.T) {
	const n, dim = 6000, 24
	base := sample.Clustered(21, 0, n, dim, 40)
	kinds := map[string]func(i int, row []float32){
		"plain":    func(int, []float32) {},
		"copies":   func(i int, row []float32) { copy(row, base.Vector(i%300)) },
		"zeros":    func(i int, row []float32) { scale(row, float32(i%2)) },
		"wide dim": func(_ int, row []float32) { row[3] *= 1000 },
		"wide row": func(i int, row []float32) { scale(row, map[bool]float32{true: 500, false: 1}[i%1000 == 7]) },
		"tiny":     func(_ int, row []float32) { scale(row, 1e-15) },
		"lengths":  func(i int, row []float32) { scale(row, float32(1+i%7)) },
		"far away": func(_ int, row []float32) {
			for d := range row {
				row[d] += 50
			}
		},
	}
	queries := sample.Clustered(21, 1, 12, dim, 40)
	scale(queries.Vector(1), 1000)
	scale(queries.Vector(2), 0.001)
	clear(queries.Vector(3))
	for name, change := range kinds {
		rows := vector.Matrix{Data: slices.Clone(base.Data), D: dim}
		for i := range n {
			change(i, rows.Vector(i))
		}
		for _, metric := range metrics {
			plain := build(t, rows, Config{Metric: metric, Lists: 80})
			exact := build(t, rows, Config{Metric: metric, Lists: 80, Coding: Exact})
			for _, f := range []*sample.Bits{nil, sample.Share(3, n, 0.6), sample.Share(3, n, 0.2)} {
				for _, k := range []int{1, 10, 200} {
					if f != nil && k == 200 {
						continue // how many allowed rows were met, and so how many lists are looked at, is estimated
					}
					want, _ := search(t, plain, queries.Data, k, 9, f)
					got, stats := search(t, exact, queries.Data, k, 9, f)
					for q := range want {
						if !slices.Equal(got[q], want[q]) {
							t.Fatalf("%s %s k %d query %d:\n%v\n%v", name, metric, k, q, got[q], want[q])
						}
					}
					if f == nil && k == 10 {
						t.Logf("%s %s: %d distances", name, metric, stats.Distances/12)
					}
				}
			}
		}
	}
}

// TestGolden opens files that the first version of the format was written as.
func TestGolden(t *testing.T) {
	rows := sample.Clustered(9, 0, 300, 5, 4)
	queries := sample.Clustered(9, 1, 20, 5, 4).Data
	for name, metric := range map[string]vector.Metric{"v1.0-flat.ivf": vector.L2, "v1.0-sq8.ivf": vector.Cosine} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := Load(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := NewIndex(testSet(t), img, rows)
		if err != nil {
			t.Fatal(err)
		}
		hits, _ := search(t, x, queries, 10, 5, nil)
		if r := sample.Recall(metric, hits, exact(t, x, queries, 10, nil)); r < 1 {
			t.Errorf("%s: recall %.3f", name, r)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSelect compares the pool's selection with sorting.
func TestSelect(t *testing.T) {
	for n := 1; n < 300; n += 7 {
		for k := 1; k <= n; k += 5 {
			a := make([]uint64, n)
			for i := range a {
				a[i] = uint64(i*7919+k)%uint64(n)<<32 | uint64(i)
			}
			want := slices.Sorted(slices.Values(a))[:k]
			p := pool{k: k, pairs: a}
			p.shrink()
			slices.Sort(p.pairs)
			if !slices.Equal(p.pairs, want) {
				t.Fatalf("%d of %d: %x, want %x", k, n, p.pairs, want)
			}
		}
	}
}
