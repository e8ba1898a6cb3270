// Package rabitq codes vectors with one bit per dimension and estimates inner products from them without bias and with a
// bound of the error: RaBitQ (Gao, Long 2024, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
// Approximate Nearest Neighbor Search", arXiv 2405.12497).
//
// A vector o of length 1, turned by a random rotation P, has the code b = sign(P o), which stands for the corner
// b/sqrt(D) of a cube. For any vector q, <o, q> is about <b, P q> / (sqrt(D) t) with t = <b, P o> / sqrt(D), and the error has
// a standard deviation of |q| sqrt((1-t²)/t²/(D-1)). The length of what is coded is kept in a factor beside the code.
//
// The package owns rotation and codes; what is coded and how inner products become scores is the caller's.
//
// Invariant: the rotation depends on the dimension alone and is part of the format of files.
package rabitq

import "math"

// Deviations is the number of standard deviations that errors are taken to have at most.
const Deviations = 2.2

// Code is what is known of a coded vector beside its bits.
type Code struct {
	// Factor times <b, P q> estimates the inner product of the vector and q.
	Factor float32
	// Spread times Factor times |q| is the standard deviation of the estimate's error.
	Spread float32
}

// Bits returns the number of bits of a code: dim rounded up to a multiple of 4.
func Bits(dim int) int { return (dim + 3) &^ 3 }

// Nibbles returns the number of groups of 4 bits of a code.
func Nibbles(dim int) int { return Bits(dim) / 4 }

// Encode writes the code of a turned vector, one nibble per byte: bit i%4 of byte i/4 says that dimension i is not negative.
// A vector of length 0 has Factor 0; if the vector is not finite, neither is Factor.
func Encode(turned []float32, nibbles []byte) Code {
	clear(nibbles)
	var sum, squares float64
	for i, v := range turned {
		if v >= 0 {
			nibbles[i/4] |= 1 << (i % 4)
		}
		sum += math.Abs(float64(v))
		squares += float64(v) * float64(v)
	}
	d := float64(len(turned))
	if squares == 0 {
		return Code{}
	}
	// With the vector's length r: t = sum/(r sqrt(D)), so that r/(t sqrt(D)) = r²/sum.
	factor := squares / sum
	t2 := min(1, sum*sum/(squares*d))
	return Code{Factor: float32(factor), Spread: float32(math.Sqrt((1 - t2) * d / max(1, d-1)))}
}

// Product returns the inner product of a code's signs and a turned vector.
func Product(nibbles []byte, turned []float32) float32 {
	var sum float64
	for i, v := range turned {
		if nibbles[i/4]>>(i%4)&1 == 0 {
			v = -v
		}
		sum += float64(v)
	}
	return float32(sum)
}

// Table stores in out, for each nibble of a code and each of its 16 values, the negated inner product of its signs and the
// same dimensions of a turned query: sums over a code are -<b, P q>, the smaller the nearer.
func Table(turned, out []float32) {
	for j := range len(turned) / 4 {
		a, b, c, d := turned[4*j], turned[4*j+1], turned[4*j+2], turned[4*j+3]
		row := out[16*j : 16*j+16 : 16*j+16]
		low := [4]float32{a + b, b - a, a - b, -a - b}
		for hi, v := range [4]float32{c + d, d - c, c - d, -c - d} {
			row[4*hi], row[4*hi+1], row[4*hi+2], row[4*hi+3] = v+low[0], v+low[1], v+low[2], v+low[3]
		}
	}
}

// Coarsen rounds a turned query to 2^bits evenly spread values, as if it were held in so many bits; 0 leaves it alone.
func Coarsen(turned []float32, bits int) {
	if bits <= 0 {
		return
	}
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range turned {
		low, high = min(low, v), max(high, v)
	}
	step := (high - low) / float32(int(1)<<bits-1)
	if !(step > 0) {
		return
	}
	for i, v := range turned {
		turned[i] = low + step*float32(int((v-low)/step+0.5))
	}
}
