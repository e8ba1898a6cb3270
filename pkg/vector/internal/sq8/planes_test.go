package sq8

import (
	"bytes"
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestPlanes: halves hold the code, and a distance by high halves that was refined is the distance by whole codes.
func TestPlanes(t *testing.T) {
	const n = 50
	for _, set := range kernel.Tiers() {
		for _, dim := range []int{1, 63, 64, 65, 128, 200, 384} {
			for _, metric := range []vector.Metric{vector.L2, vector.IP} {
				rows := sample.Clustered(1, 0, n, dim, 3)
				q := Quantiser{Set: set, Metric: metric, Mean: make([]float32, dim)}
				q.Train(rows)
				stride, half := kernel.CodeStride(dim), PlaneStride(dim)
				codes := kernel.Codes{Data: make([]byte, n*stride), Stride: stride}
				p := Planes{
					High: kernel.Codes{Data: make([]byte, n*half), Stride: half}, Low: kernel.Codes{Data: make([]byte, n*half), Stride: half},
					HighWeight: make([]int32, n), Weight: make([]int32, n),
				}
				ids, back := make([]uint32, n), make([]byte, dim)
				for i := range ids {
					ids[i] = uint32(i)
					code := codes.Row(ids[i])[:dim]
					_, norm, _ := q.Encode(rows.Vector(i), code)
					high := p.Set(ids[i], code)
					if metric == vector.L2 {
						p.Weight[i], p.HighWeight[i] = norm, high
					}
					if p.Code(ids[i], back); !bytes.Equal(back, code) {
						t.Fatalf("dim %d: code %v became %v", dim, code, back)
					}
				}
				for _, far := range []float32{1, 50} {
					query := append([]float32(nil), rows.Vector(7)...)
					query[0] = query[0]*far + 1
					c := Coded{Q: make([]int8, max(stride, 2*half))}
					q.Query(query, &c)
					want, high, got := make([]int32, n), make([]int32, n), make([]int32, n)
					c.Measure(set, codes, ids, p.Weight, want)
					c.MeasureHigh(set, p.High, ids, p.HighWeight, high)
					c.Refine(set, &p, ids, high, got)
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("%s dim %d %s far %g: row %d has %d, want %d", set.Name(), dim, metric, far, i, got[i], want[i])
						}
						if off := math.Abs(float64(Unit*high[i] - want[i])); off > 32*c.Length*math.Sqrt(float64(dim))+2000*float64(dim) {
							t.Fatalf("%s dim %d %s: by high halves %d, by whole codes %d", set.Name(), dim, metric, Unit*high[i], want[i])
						}
					}
				}
			}
		}
	}
}

// TestRotation: lengths and inner products stay, and one wide dimension is spread over all.
func TestRotation(t *testing.T) {
	for _, dim := range []int{1, 2, 3, 7, 64, 96, 100, 384, 768} {
		rows := sample.Clustered(1, 0, 2, dim, 2)
		x, y := rows.Vector(0), rows.Vector(1)
		want := dot(x, y)
		length := dot(x, x)
		r := NewRotation(dim)
		r.Apply(x)
		r.Apply(y)
		if math.Abs(dot(x, y)-want) > 1e-4*length || math.Abs(dot(x, x)-length) > 1e-4*length {
			t.Fatalf("dim %d: %g became %g, %g became %g", dim, want, dot(x, y), length, dot(x, x))
		}
		if dim < 64 {
			continue
		}
		one := make([]float32, dim)
		one[dim/3] = 1
		r.Apply(one)
		for d, v := range one {
			if math.Abs(float64(v)) > 6/math.Sqrt(float64(dim)) {
				t.Fatalf("dim %d: %g of one dimension is in dimension %d", dim, v, d)
			}
		}
	}
}

func dot(x, y []float32) float64 {
	sum := 0.0
	for d := range x {
		sum += float64(x[d]) * float64(y[d])
	}
	return sum
}
