package pq

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// trainBlock is the number of rows whose distances from all centroids of a part are held at a time.
const trainBlock = 64

// trainer finds the centroids of one part by Lloyd's algorithm.
type trainer struct {
	q      *Quantiser
	part   []float32 // the rows' numbers of this part, row-major
	n      int
	book   []float32
	norms  []float32
	assign []uint8
	dots   []float32
	sums   []float64
	counts []int
}

func newTrainer(q *Quantiser, rows vector.Matrix, j int) *trainer {
	sub, k := q.Sub(), q.K()
	n := rows.Len()
	t := &trainer{
		q: q, n: n, part: make([]float32, n*sub), book: q.book(j), norms: make([]float32, k), assign: make([]uint8, n),
		dots: make([]float32, trainBlock*k), sums: make([]float64, k*sub), counts: make([]int, k),
	}
	for i := range n {
		copy(t.part[i*sub:(i+1)*sub], rows.Vector(i)[j*sub:])
	}
	return t
}

// begin draws rows as centroids, one out of each of as many equal parts of the rows.
func (t *trainer) begin() {
	sub, k := t.q.Sub(), t.q.K()
	for c := range k {
		from := c * t.n / k
		at := from + int(work.Mix(uint64(c)+seed)%uint64(max(1, (c+1)*t.n/k-from)))
		copy(t.book[c*sub:(c+1)*sub], t.part[min(at, t.n-1)*sub:])
	}
}

// step moves centroids to the means of their rows and reports whether many rows changed sides.
func (t *trainer) step() bool {
	sub, k := t.q.Sub(), t.q.K()
	halfNorms(t.book, sub, t.norms)
	clear(t.sums)
	clear(t.counts)
	moved := 0
	for from := 0; from < t.n; from += trainBlock {
		to := min(from+trainBlock, t.n)
		t.q.Set.DotTile(t.part[from*sub:to*sub], t.book, sub, t.dots[:(to-from)*k])
		for i := from; i < to; i++ {
			c := nearest(t.dots[(i-from)*k:(i-from+1)*k], t.norms)
			if c != t.assign[i] {
				t.assign[i] = c
				moved++
			}
			t.counts[c]++
			sum := t.sums[int(c)*sub : (int(c)+1)*sub]
			for d, v := range t.part[i*sub : (i+1)*sub] {
				sum[d] += float64(v)
			}
		}
	}
	t.update()
	return moved > t.n/200
}

// update moves the centroids; one without rows goes beside that with most.
func (t *trainer) update() {
	sub := t.q.Sub()
	for c, n := range t.counts {
		if n == 0 {
			continue
		}
		for d := range sub {
			t.book[c*sub+d] = float32(t.sums[c*sub+d] / float64(n))
		}
	}
	for c, n := range t.counts {
		if n > 0 {
			continue
		}
		most := 0
		for o, n := range t.counts {
			if n > t.counts[most] {
				most = o
			}
		}
		for d := range sub {
			v := t.book[most*sub+d]
			t.book[c*sub+d] = v + v/1024
		}
		t.counts[c], t.counts[most] = t.counts[most]/2, t.counts[most]-t.counts[most]/2
	}
}

// nearest returns the centroid at the least distance: that with the greatest product less half of its squared length.
func nearest(dots, norms []float32) uint8 {
	best, at := float32(math.Inf(-1)), 0
	norms = norms[:len(dots)]
	for c, v := range dots {
		if v -= norms[c]; v > best {
			best, at = v, c
		}
	}
	return uint8(at)
}
