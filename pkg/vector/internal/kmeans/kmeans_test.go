package kmeans

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func testSet(t testing.TB) kernel.Set {
	t.Helper()
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func run(t testing.TB, rows vector.Rows, k, workers int, angle bool) (*Floats, Lists) {
	t.Helper()
	f := NewFloats(testSet(t), rows, k, angle)
	l := Lloyd{Space: f, Rows: rows.Len(), Centroids: k, Settled: 0.002, Workers: workers}
	g, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f, g
}

func distance(x, y []float32) (sum float64) {
	for d, v := range x {
		e := float64(v) - float64(y[d])
		sum += e * e
	}
	return sum
}

// shifted adds a number to every component.
func shifted(m vector.Matrix, by float32) vector.Matrix {
	out := slices.Clone(m.Data)
	for i := range out {
		out[i] += by
	}
	return vector.Matrix{Data: out, D: m.D}
}

// TestNearest: no centroid is nearer than that of a row's list, wherever the rows lie, and centroids lie amid their rows.
func TestNearest(t *testing.T) {
	rows := sample.Clustered(1, 0, 4000, 17, 40)
	for _, offset := range []float32{0, 1000} {
		m := shifted(rows, offset)
		f, g := run(t, m, 50, 2, false)
		var error, spread float64
		for c := range g.Count() {
			for _, id := range g.List(c) {
				x := m.Vector(int(id))
				mine := distance(x, f.Centroids.Vector(c))
				for o := range g.Count() {
					if d := distance(x, f.Centroids.Vector(o)); d < mine*(1-1e-4) {
						t.Fatalf("offset %g: row %d lies %g from its centroid, %g from another", offset, id, mine, d)
					}
				}
				error += mine
				spread += distance(x, m.Vector(0))
			}
		}
		if error > spread/4 {
			t.Errorf("offset %g: centroids explain little: %g of %g is left", offset, error, spread)
		}
	}
}

// TestAngle: centroids have length 1, and none is at a lesser angle than that of a row's list.
func TestAngle(t *testing.T) {
	rows := sample.Clustered(2, 0, 3000, 9, 30)
	f, g := run(t, rows, 40, 1, true)
	for c := range g.Count() {
		if n := distance(f.Centroids.Vector(c), make([]float32, 9)); math.Abs(n-1) > 1e-5 {
			t.Fatalf("centroid %d has the squared length %g", c, n)
		}
		for _, id := range g.List(c) {
			x := rows.Vector(int(id))
			mine := f.set.Dot(x, f.Centroids.Vector(c))
			for o := range g.Count() {
				if d := f.set.Dot(x, f.Centroids.Vector(o)); d > mine+1e-4*max(d, 1) {
					t.Fatalf("row %d: %g with its centroid, %g with another", id, mine, d)
				}
			}
		}
	}
}

// TestWorkers: the result does not depend on their number.
func TestWorkers(t *testing.T) {
	rows := sample.Clustered(3, 0, 20000, 12, 30)
	for _, angle := range []bool{false, true} {
		a, ga := run(t, rows, 60, 1, angle)
		b, gb := run(t, rows, 60, 5, angle)
		if !slices.Equal(a.Centroids.Data, b.Centroids.Data) || !slices.Equal(ga.IDs, gb.IDs) {
			t.Fatal("two trainings differ")
		}
	}
}

// TestOddRows: numbers that are none, huge ones and equal rows end in lists all the same, and one huge row does not blur the others.
func TestOddRows(t *testing.T) {
	rows := sample.Clustered(4, 0, 2000, 8, 20)
	for i := range 20 {
		rows.Data[i*800] = []float32{float32(math.NaN()), float32(math.Inf(1)), 1e30, -1e18}[i%4]
	}
	_, g := run(t, rows, 30, 2, false)
	if len(g.IDs) != 2000 {
		t.Fatal(len(g.IDs))
	}
	used := 0
	for c := range g.Count() {
		if len(g.List(c)) > 0 {
			used++
		}
	}
	if used < 15 {
		t.Errorf("%d lists in use", used)
	}
	equal := vector.Matrix{Data: make([]float32, 800), D: 8}
	_, g = run(t, equal, 10, 2, false)
	kept := 0
	g.DropEmpty(func(l, as int) {
		if as != kept || l < as {
			t.Errorf("list %d becomes %d", l, as)
		}
		kept++
	})
	if g.Count() != kept || len(g.IDs) != 100 {
		t.Fatal(g.Count(), kept)
	}
}

// TestFillEmpty: each empty list gets a row of its own out of the largest.
func TestFillEmpty(t *testing.T) {
	assign := make([]uint32, 20)
	for i := range 5 {
		assign[i] = 3
	}
	g := Group(assign, 8)
	g.fillEmpty(assign)
	for l := range 8 {
		if len(g.List(l)) == 0 {
			t.Errorf("list %d is empty", l)
		}
	}
	if n, m := len(g.List(0)), len(g.List(3)); n+m != 14 || m < 3 {
		t.Errorf("the lists of 15 and 5 kept %d and %d", n, m)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rows := sample.Clustered(5, 0, 500, 4, 5)
	l := Lloyd{Space: NewFloats(testSet(t), rows, 5, false), Rows: 500, Centroids: 5, Workers: 2}
	if _, err := l.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func BenchmarkNearest(b *testing.B) {
	rows := sample.Clustered(6, 0, 4096, 384, 50)
	f := NewFloats(testSet(b), rows, 256, false)
	l := Lloyd{Space: f, Rows: 4096, Centroids: 256, Workers: 1}
	all := l.spread(4096)
	l.begin(all)
	out := make([]uint32, 4096)
	for b.Loop() {
		_ = l.Assign(b.Context(), all, out)
	}
}
