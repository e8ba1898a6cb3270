// Package rotate turns vectors by a fixed rotation that looks random, so that what was wide in a few components is spread
// over all of them: codes with few bits per component then lose nothing to outliers.
//
// A rotation is made of steps: signs are flipped, and a Walsh-Hadamard transform runs over the first or the last power of
// two of the components (as in fast Johnson-Lindenstrauss transforms; Ailon, Chazelle 2009). Steps over the two ends that
// overlap mix all components without padding. Lengths and inner products stay as they are, up to rounding.
package rotate

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

const (
	rounds = 2
	seed   = 0x6a09e667f3bcc908
)

// Rotation is a rotation of vectors of one dimension, the same in every process. It is safe for concurrent use.
type Rotation struct {
	dim, width int
	signs      []float32 // of all steps, one behind the other, with the transform's scale in them
}

// New returns the rotation of dimension dim.
func New(dim int) *Rotation {
	r := &Rotation{dim: dim, width: 1}
	for 2*r.width <= dim {
		r.width *= 2
	}
	scale := float32(1 / math.Sqrt(float64(r.width)))
	r.signs = make([]float32, 2*rounds*r.width)
	for i := range r.signs {
		r.signs[i] = scale
		if work.Mix(seed+uint64(i/64))>>(i%64)&1 != 0 {
			r.signs[i] = -scale
		}
	}
	return r
}

// Apply stores x, rotated, in dst and returns it. Both have the rotation's dimension.
func (r *Rotation) Apply(x, dst []float32) []float32 {
	dst = dst[:r.dim]
	copy(dst, x)
	for step := range 2 * rounds {
		part := dst[:r.width]
		if step%2 == 1 {
			if r.width == r.dim {
				continue
			}
			part = dst[r.dim-r.width:]
		}
		for i, s := range r.signs[step*r.width : (step+1)*r.width] {
			part[i] *= s
		}
		hadamard(part)
	}
	return dst
}

// hadamard is the Walsh-Hadamard transform, without its scale, of a power of two of numbers.
func hadamard(x []float32) {
	h := 1
	if len(x) >= 4 { // the first two levels in one pass
		for i := 0; i+4 <= len(x); i += 4 {
			q := x[i : i+4 : i+4]
			a, b, c, d := q[0]+q[1], q[0]-q[1], q[2]+q[3], q[2]-q[3]
			q[0], q[1], q[2], q[3] = a+c, b+d, a-c, b-d
		}
		h = 4
	}
	for ; h < len(x); h *= 2 {
		for i := 0; i < len(x); i += 2 * h {
			lo, hi := x[i:i+h], x[i+h:i+2*h]
			hi = hi[:len(lo)]
			for j, a := range lo {
				b := hi[j]
				lo[j], hi[j] = a+b, a-b
			}
		}
	}
}
