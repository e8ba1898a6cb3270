package flat

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	tileFrom    = 8  // so many queries share products; the lengths of rows cost as much as a query
	tileQueries = 16 // queries per tile
)

// tile is the scratch of scans for several queries. Their inner products with a block come from one kernel, which loads a row
// for several queries; they bound the scores, and only rows that may be better than what a query has are scored exactly.
type tile struct {
	on     bool
	margin float64   // of a product, relative to the product of the lengths
	norms  []float64 // lengths of the queries
	floats []float32 // the block's rows as single-precision numbers
	dots   []float32
	ip     [batch]float32
	norm2  [batch]float32
	length [batch]float64 // of the rows
	pick   [batch]uint32
	list   [][]byte
}

func (t *tile) begin(s *scan) {
	if t.on = len(s.asks) >= tileFrom; !t.on {
		return
	}
	dim := s.Rows.Dim()
	// A product of dim terms is off by at most dim/2^24 of the sum of the terms' sizes, which is at most the product of the
	// lengths; so is the exact score, and so are the squared lengths.
	t.margin = float64(dim+8) / (1 << 22)
	t.norms = t.norms[:0]
	for i := range s.asks {
		q := s.queries[i*dim : (i+1)*dim]
		t.norms = append(t.norms, math.Sqrt(float64(s.Set.Dot(q, q))))
	}
	if need := tileQueries * s.rows; cap(t.dots) < need {
		t.dots = make([]float32, need)
	}
	if need := s.rows * dim; s.Rows.Elem() != kernel.F32 && cap(t.floats) < need {
		t.floats = make([]float32, need)
	}
	if cap(t.list) < batch {
		t.list = make([][]byte, 0, batch)
	}
}

// tiled scores a block for all queries.
func (s *scan) tiled(ctx context.Context, first, count int, block []byte) error {
	t, dim := &s.tile, s.Rows.Dim()
	if err := s.look(ctx, len(block)); err != nil {
		return err
	}
	s.Set.RawBlockIPNorm(s.Rows.Elem(), s.queries[:dim], block, t.ip[:count], t.norm2[:count])
	for i, n := range t.norm2[:count] {
		t.length[i] = math.Sqrt(float64(n))
	}
	floats := s.Set.Decode(s.Rows.Elem(), block, t.floats[:cap(t.floats)])
	for q := 0; q < len(s.asks); q += tileQueries {
		n := min(tileQueries, len(s.asks)-q)
		if err := s.look(ctx, n*len(floats)); err != nil {
			return err
		}
		s.Set.DotTile(s.queries[q*dim:(q+n)*dim], floats, dim, t.dots)
		for i := range n {
			s.finish(q+i, first, count, block, t.dots[i*count:(i+1)*count])
		}
	}
	return nil
}

// finish scores the rows of a block that may be good enough for query q, whose products with them are dots.
func (s *scan) finish(q, first, count int, block []byte, dots []float32) {
	a, t := &s.asks[q], &s.tile
	n := s.mayEnter(a, t.norms[q], dots)
	if n == 0 {
		return
	}
	t.list = t.list[:0]
	for i, at := range t.pick[:n] {
		t.list = append(t.list, block[int(at)*s.size:(int(at)+1)*s.size])
		t.pick[i] = uint32(first) + at
	}
	s.list(a, t.list, t.pick[:n])
}

// mayEnter picks the rows that may have a score better than the bound of a. What is no number may be anything.
func (s *scan) mayEnter(a *ask, norm float64, dots []float32) int {
	t, n, bound := &s.tile, 0, float64(a.bound)
	const tiny = 1e-30 // more than what products of tiny numbers lose
	keep := func(i int) {
		t.pick[n] = uint32(i)
		n++
	}
	switch {
	case !a.bounded:
		for i := range dots {
			keep(i)
		}
	case s.Metric == vector.L2:
		for i, dot := range dots {
			sum := norm + t.length[i]
			if !(norm*norm+t.length[i]*t.length[i]-2*float64(dot)-t.margin*sum*sum-tiny >= bound) {
				keep(i)
			}
		}
	default:
		per := t.margin * norm // what a product may be off, per length of the row
		if s.Metric == vector.Cosine {
			per -= bound * norm
			bound = 0
		}
		for i, dot := range dots {
			if !(float64(dot)+per*t.length[i]+tiny <= bound) {
				keep(i)
			}
		}
	}
	return n
}
