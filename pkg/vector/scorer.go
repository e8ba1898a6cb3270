package vector

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Scorer computes exact scores of raw vectors for one query. It is not safe for concurrent use.
type Scorer struct {
	set    kernel.Set
	metric Metric
	elem   Elem // of the rows
	query  []float32
	norm   float64 // squared length of the query, for Cosine
}

// NewScorer returns a Scorer of rows that are stored as elem, by a dense metric; it keeps query.
func NewScorer(set kernel.Set, metric Metric, elem Elem, query []float32) Scorer {
	s := Scorer{set: set, metric: metric, elem: elem, query: query}
	if metric == Cosine {
		s.norm = float64(set.Dot(query, query))
	}
	return s
}

// Rows stores the score of rows[i] in out[i].
func (s *Scorer) Rows(rows [][]byte, out []float32) {
	if s.metric == L2 {
		s.set.RawL2(s.elem, s.query, rows, out)
		return
	}
	s.set.RawIP(s.elem, s.query, rows, out)
	if s.metric == Cosine {
		for i, row := range rows {
			out[i] = s.cosine(out[i], row)
		}
	}
}

// Block stores the scores of the first len(out) rows of the row-major block in out.
func (s *Scorer) Block(block []byte, out []float32) {
	if s.metric == L2 {
		s.set.RawBlockL2(s.elem, s.query, block, out)
		return
	}
	s.set.RawBlockIP(s.elem, s.query, block, out)
	if s.metric == Cosine {
		size := s.elem.RowBytes(len(s.query))
		for i := range out {
			out[i] = s.cosine(out[i], block[i*size:(i+1)*size])
		}
	}
}

// cosine turns an inner product into a cosine. A vector of length zero has cosine 0 with everything; rounding must not
// push a result out of [-1, 1].
func (s *Scorer) cosine(ip float32, row []byte) float32 {
	n := s.norm * float64(s.set.RawNorm2(s.elem, row))
	if n == 0 {
		return 0
	}
	return float32(max(-1, min(1, float64(ip)/math.Sqrt(n))))
}
