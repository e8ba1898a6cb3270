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

// scoreRows is the number of rows that are scored at once where scratch is needed.
const scoreRows = 128

// Rows stores the score of rows[i] in out[i].
func (s *Scorer) Rows(rows [][]byte, out []float32) {
	switch s.metric {
	case L2:
		s.set.RawL2(s.elem, s.query, rows, out)
	case IP:
		s.set.RawIP(s.elem, s.query, rows, out)
	default:
		var norms [scoreRows]float32
		for len(rows) > 0 {
			n := min(len(rows), scoreRows)
			s.set.RawIPNorm(s.elem, s.query, rows[:n], out[:n], norms[:n])
			s.cosines(out[:n], norms[:n])
			rows, out = rows[n:], out[n:]
		}
	}
}

// Block stores the scores of the first len(out) rows of the row-major block in out.
func (s *Scorer) Block(block []byte, out []float32) {
	switch s.metric {
	case L2:
		s.set.RawBlockL2(s.elem, s.query, block, out)
	case IP:
		s.set.RawBlockIP(s.elem, s.query, block, out)
	default:
		var norms [scoreRows]float32
		for size := s.elem.RowBytes(len(s.query)); len(out) > 0; {
			n := min(len(out), scoreRows)
			s.set.RawBlockIPNorm(s.elem, s.query, block, out[:n], norms[:n])
			s.cosines(out[:n], norms[:n])
			block, out = block[n*size:], out[n:]
		}
	}
}

// Better is a list of rows, by place in what was scored, and their scores.
type Better struct {
	Scores [scoreRows]float32
	At     [scoreRows]uint32
	N      int

	raw, norms [scoreRows]float32
}

// BlockBetter sets b to those of the first n rows of the block, at most 128, whose score is better than bound. Rows whose
// score is no number are left out.
func (s *Scorer) BlockBetter(block []byte, n int, bound float32, b *Better) {
	switch s.metric {
	case L2:
		s.set.RawBlockL2(s.elem, s.query, block, b.raw[:n])
	case IP:
		s.set.RawBlockIP(s.elem, s.query, block, b.raw[:n])
	default:
		s.set.RawBlockIPNorm(s.elem, s.query, block, b.raw[:n], b.norms[:n])
	}
	s.keep(n, bound, b)
}

// RowsBetter is BlockBetter for a list of at most 128 rows.
func (s *Scorer) RowsBetter(rows [][]byte, bound float32, b *Better) {
	n := len(rows)
	switch s.metric {
	case L2:
		s.set.RawL2(s.elem, s.query, rows, b.raw[:n])
	case IP:
		s.set.RawIP(s.elem, s.query, rows, b.raw[:n])
	default:
		s.set.RawIPNorm(s.elem, s.query, rows, b.raw[:n], b.norms[:n])
	}
	s.keep(n, bound, b)
}

func (s *Scorer) keep(n int, bound float32, b *Better) {
	switch s.metric {
	case L2:
		b.N = s.set.FilterBelow(b.raw[:n], nil, bound, b.Scores[:], b.At[:])
		return
	case IP:
		b.N = s.set.FilterAbove(b.raw[:n], nil, bound, b.Scores[:], b.At[:])
		return
	}
	b.N = 0
	// Most rows are told by their squares, without a root and a division. The margin is wider than what these round away.
	least, limit := float32(0), float64(bound)*float64(bound)*s.norm*(1-1e-6)
	if !(bound > 0) {
		least, limit = float32(math.Inf(-1)), math.Inf(-1)
	}
	for i, ip := range b.raw[:n] {
		if ip < least || float64(ip)*float64(ip) < limit*float64(b.norms[i]) {
			continue
		}
		if score := s.cosine(ip, b.norms[i]); score > bound {
			b.Scores[b.N], b.At[b.N] = score, uint32(i)
			b.N++
		}
	}
}

func (s *Scorer) cosines(ip, norms []float32) {
	for i, n := range norms {
		ip[i] = s.cosine(ip[i], n)
	}
}

// cosine turns an inner product into a cosine. A vector of length zero has cosine 0 with everything; rounding must not
// push a result out of [-1, 1].
func (s *Scorer) cosine(ip, norm2 float32) float32 {
	n := s.norm * float64(norm2)
	if n == 0 {
		return 0
	}
	return float32(max(-1, min(1, float64(ip)/math.Sqrt(n))))
}
