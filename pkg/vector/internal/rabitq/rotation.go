package rabitq

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

const (
	rounds = 3
	seed   = 0x8a5cd789635d2dff
)

// Rotation is a random rotation of vectors that are padded with zeros to a multiple of 4 dimensions. It is made of rounds
// of random signs and a fast Walsh-Hadamard transform over as many dimensions as a power of two allows, in turn the first
// and the last ones; so it takes dim log dim steps and no memory to speak of. It is safe for concurrent use.
type Rotation struct {
	dim    int
	size   int // of the transforms
	signs  [rounds][]uint32
	factor float32
}

// NewRotation returns the rotation for a dimension.
func NewRotation(dim int) *Rotation {
	r := &Rotation{dim: Bits(dim), size: 1}
	for 2*r.size <= r.dim {
		r.size *= 2
	}
	r.factor = float32(1 / math.Sqrt(float64(r.size)))
	for i := range r.signs {
		r.signs[i] = make([]uint32, r.dim)
		for d := range r.signs[i] {
			r.signs[i][d] = uint32(work.Mix(uint64(i*r.dim+d)+seed)&1) << 31
		}
	}
	return r
}

// Turn writes the turned x to out, Bits(len(x)) numbers.
func (r *Rotation) Turn(x, out []float32) {
	copy(out, x)
	clear(out[len(x):])
	for i, signs := range r.signs {
		signs = signs[:len(out)]
		for d, v := range out {
			out[d] = math.Float32frombits(math.Float32bits(v) ^ signs[d])
		}
		part := out[:r.size]
		if i%2 == 1 {
			part = out[len(out)-r.size:]
		}
		hadamard(part)
		for d := range part {
			part[d] *= r.factor
		}
	}
}

// hadamard is the transform of a power of two of numbers, two levels at a time.
func hadamard(x []float32) {
	h := 1
	if n := len(x); n&0x55555555 == 0 { // an odd power
		for i := 0; i+1 < n; i += 2 {
			x[i], x[i+1] = x[i]+x[i+1], x[i]-x[i+1]
		}
		h = 2
	}
	for ; h < len(x); h *= 4 {
		for i := 0; i < len(x); i += 4 * h {
			a, b, c, d := x[i:i+h], x[i+h:i+2*h], x[i+2*h:i+3*h], x[i+3*h:i+4*h]
			b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
			for j := range a {
				s, t, u, v := a[j]+b[j], a[j]-b[j], c[j]+d[j], c[j]-d[j]
				a[j], b[j], c[j], d[j] = s+u, t+v, s-u, t-v
			}
		}
	}
}
