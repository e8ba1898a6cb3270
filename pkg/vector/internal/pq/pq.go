// Package pq codes vectors with a product quantiser (Jégou, Douze, Schmid 2011): a vector is cut into equal parts, and each
// part is replaced by the number of the nearest of a few centroids that were made for that part.
//
// The package trains, codes, decodes and makes tables of inner products. It does not know what is coded: lists code what is
// left of a row without its centroid. Codes are one byte per part; kernel.PackPQ4 packs those of 4 bits.
//
// Invariant: equal rows and settings give equal centroids and codes, whatever the number of workers.
package pq

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// MaxBits is the largest number of bits of a part's code.
const MaxBits = 8

const (
	iterations = 12
	seed       = 0x9e3779b97f4a7c15
	// samplePerCentroid bounds the rows that training looks at.
	samplePerCentroid = 256
	maxSample         = 16384
)

// Quantiser maps vectors of Dim numbers to M codes of Bits bits.
type Quantiser struct {
	Set  kernel.Set
	Dim  int
	M    int // parts; Dim is a multiple
	Bits int // 1 to MaxBits
	// Books holds the centroids of part j at j*K()*Sub(), K() rows of Sub() numbers.
	Books []float32

	norms []float32 // half of the squared length of each centroid
}

// Check reports why dim dimensions cannot be coded as m parts of bits bits.
func Check(dim, m, bits int) error {
	switch {
	case m < 1 || dim < 1 || dim%m != 0:
		return fmt.Errorf("dimension %d is not a multiple of %d sub-quantisers", dim, m)
	case bits < 1 || bits > MaxBits:
		return fmt.Errorf("%d bits per sub-quantiser are not in [1, %d]", bits, MaxBits)
	}
	return nil
}

// Sub returns the number of dimensions of a part.
func (q *Quantiser) Sub() int { return q.Dim / q.M }

// K returns the number of centroids of a part.
func (q *Quantiser) K() int { return 1 << q.Bits }

// BookSize returns the length of Books.
func (q *Quantiser) BookSize() int { return q.K() * q.Dim }

// SampleSize returns how many of n rows training should see.
func (q *Quantiser) SampleSize(n int) int { return min(n, maxSample, q.K()*samplePerCentroid) }

func (q *Quantiser) book(j int) []float32 {
	size := q.K() * q.Sub()
	return q.Books[j*size : (j+1)*size : (j+1)*size]
}

// Train fills in Books, which has its length, from rows.
func (q *Quantiser) Train(ctx context.Context, rows vector.Matrix, workers int) error {
	return work.Try(ctx, workers, q.M, func(j int) {
		t := newTrainer(q, rows, j)
		if t.n == 0 {
			return
		}
		t.begin()
		for range iterations {
			if ctx.Err() != nil || !t.step() {
				return
			}
		}
	})
}

// Prepare makes the quantiser ready to code, after Books have been filled in.
func (q *Quantiser) Prepare() {
	q.norms = make([]float32, q.M*q.K())
	for j := range q.M {
		halfNorms(q.book(j), q.Sub(), q.norms[j*q.K():(j+1)*q.K()])
	}
}

func halfNorms(book []float32, sub int, out []float32) {
	for c := range out {
		var sum float32
		for _, v := range book[c*sub : (c+1)*sub] {
			sum += v * v
		}
		out[c] = sum / 2
	}
}

// Decode writes the vector that a code stands for.
func (q *Quantiser) Decode(code []byte, out []float32) {
	sub := q.Sub()
	for j, c := range code[:q.M] {
		copy(out[j*sub:(j+1)*sub], q.book(j)[int(c)*sub:])
	}
}

// Table stores factor times the inner product of part j of x and its centroid c in out[j*K()+c].
func (q *Quantiser) Table(x []float32, factor float32, out []float32) {
	sub, k := q.Sub(), q.K()
	switch {
	case sub == 1:
		for j, v := range x[:q.M] {
			v *= factor
			for c, b := range q.book(j) {
				out[j*k+c] = v * b
			}
		}
	case sub == 2:
		for j := range q.M {
			pairs(factor*x[2*j], factor*x[2*j+1], q.book(j), out[j*k:(j+1)*k])
		}
	default:
		for j := range q.M {
			row := out[j*k : (j+1)*k]
			q.Set.IPRange(x[j*sub:(j+1)*sub], q.book(j), sub, row)
			for c := range row {
				row[c] *= factor
			}
		}
	}
}

func pairs(x, y float32, book, out []float32) {
	book = book[:2*len(out)]
	for c := range out {
		out[c] = x*book[2*c] + y*book[2*c+1]
	}
}
