package sq8

import (
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// Rotation turns vectors so that every component becomes a sum of all of them with random signs: a few dimensions that are
// much wider than the rest, for which one scale is no good, are spread over all. Lengths, distances and inner products stay.
//
// It is a fast Hadamard transform of a power of two of components. Where dim is none, the first and the last 2^p are
// transformed in turn, with 2^p <= dim < 2^(p+1), twice.
type Rotation struct {
	signs [rounds][]float32
	power int
}

const rounds = 4

// NewRotation returns a rotation of dim dimensions, the same for the same dim.
func NewRotation(dim int) *Rotation {
	r := &Rotation{power: 1 << (bits.Len(uint(dim)) - 1)}
	scale := float32(1 / math.Sqrt(float64(r.power)))
	for i := range r.signs {
		r.signs[i] = make([]float32, r.power)
		for d := range r.signs[i] {
			r.signs[i][d] = scale
			if work.Mix(uint64(i*dim+d)+seed)&1 != 0 {
				r.signs[i][d] = -scale
			}
		}
	}
	return r
}

// Apply turns x in place.
func (r *Rotation) Apply(x []float32) {
	for i, signs := range r.signs {
		part := x[:r.power]
		if i%2 == 1 {
			part = x[len(x)-r.power:]
		}
		for d, s := range signs {
			part[d] *= s
		}
		hadamard(part)
	}
}

// hadamard is the fast Walsh-Hadamard transform, without its scale.
func hadamard(x []float32) {
	for half := 1; half < len(x); half *= 2 {
		for from := 0; from < len(x); from += 2 * half {
			a, b := x[from:from+half], x[from+half:from+2*half]
			for i, v := range a {
				w := b[i]
				a[i], b[i] = v+w, v-w
			}
		}
	}
}
