// Package sample makes vectors and filters for tests and benchmarks.
package sample

import (
	"math/rand/v2"

	"github.com/gyr-db/gyr/pkg/vector"
)

// Clustered returns n rows of dimension dim around clusters centres that differ in weight; the same seed and dim give the
// same centres, and part tells draws from them apart.
func Clustered(seed, part uint64, n, dim, clusters int) vector.Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	centres := make([]float32, clusters*dim)
	for i := range centres {
		centres[i] = float32(r.NormFloat64()) + 0.5
	}
	r = rand.New(rand.NewPCG(seed, part+2))
	data := make([]float32, n*dim)
	for i := range n {
		c := min(r.IntN(clusters), r.IntN(clusters))
		for d := range dim {
			data[i*dim+d] = centres[c*dim+d] + 0.4*float32(r.NormFloat64())
		}
	}
	return vector.Matrix{Data: data, D: dim}
}

// Bits is a filter over a bit set.
type Bits struct {
	Set      []uint64
	Estimate int
}

// Where returns the filter that allows the rows for which fn is true, with a right estimate.
func Where(n int, fn func(i int) bool) *Bits {
	b := &Bits{Set: make([]uint64, (n+63)/64)}
	for i := range n {
		if fn(i) {
			b.Set[i/64] |= 1 << (i % 64)
			b.Estimate++
		}
	}
	return b
}

// Share returns a filter that allows a row with probability p.
func Share(seed uint64, n int, p float64) *Bits {
	r := rand.New(rand.NewPCG(seed, 9))
	return Where(n, func(int) bool { return r.Float64() < p })
}

// Has reports whether row i is allowed.
func (b *Bits) Has(i uint32) bool { return b.Set[i/64]>>(i%64)&1 != 0 }

// Test implements vector.Filter.
func (b *Bits) Test(ids []uint32) uint64 {
	var m uint64
	for i, id := range ids {
		m |= b.Set[id/64] >> (id % 64) & 1 << i
	}
	return m
}

// Count implements vector.Filter.
func (b *Bits) Count() int { return b.Estimate }

// Words implements vector.Filter.
func (b *Bits) Words() []uint64 { return b.Set }

// Recall returns the share of want's scores that got reaches, so that equal scores count whatever the row.
func Recall(m vector.Metric, got, want [][]vector.Hit) float64 {
	hit, total := 0, 0
	for q := range want {
		total += len(want[q])
		if len(want[q]) == 0 {
			continue
		}
		worst := m.Key(want[q][len(want[q])-1].Score)
		for _, h := range got[q] {
			if m.Key(h.Score) <= worst {
				hit++
			}
		}
	}
	if total == 0 {
		return 1
	}
	return float64(hit) / float64(total)
}
