package rotate

import (
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

func TestHadamard(t *testing.T) {
	for n := 1; n <= 256; n *= 2 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i*i%17) - 8
		}
		got := append([]float32(nil), x...)
		hadamard(got)
		for i := range x {
			var want float32
			for j, v := range x {
				for bits := i & j; bits != 0; bits &= bits - 1 {
					v = -v
				}
				want += v
			}
			if got[i] != want {
				t.Fatalf("n %d: component %d is %g, want %g", n, i, got[i], want)
			}
		}
	}
}

// TestRotation: products stay, and one wide component is spread over all.
func TestRotation(t *testing.T) {
	for _, dim := range []int{1, 2, 3, 5, 64, 100, 128, 384, 1000, 1536} {
		r := New(dim)
		rows := sample.Clustered(1, 0, 2, dim, 1)
		x, y := rows.Vector(0), rows.Vector(1)
		a, b := r.Apply(x, make([]float32, dim)), r.Apply(y, make([]float32, dim))
		var before, after, xx, yy float64
		for d := range dim {
			before += float64(x[d]) * float64(y[d])
			after += float64(a[d]) * float64(b[d])
			xx += float64(x[d]) * float64(x[d])
			yy += float64(y[d]) * float64(y[d])
		}
		if math.Abs(before-after) > 1e-5*math.Sqrt(xx*yy) {
			t.Errorf("dim %d: product %g became %g", dim, before, after)
		}
		if dim < 64 {
			continue
		}
		one := make([]float32, dim)
		one[dim/3] = 1
		for d, v := range r.Apply(one, make([]float32, dim)) {
			if math.Abs(float64(v))*math.Sqrt(float64(dim)) > 5 {
				t.Errorf("dim %d: component %d holds %g of 1", dim, d, v)
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	r := New(384)
	x, dst := make([]float32, 384), make([]float32, 384)
	for b.Loop() {
		r.Apply(x, dst)
	}
}
