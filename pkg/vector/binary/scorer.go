package binary

import (
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// batch is the number of rows scored per step.
const batch = 128

// scorer computes scores for one query at a time.
type scorer struct {
	set    kernel.Set
	metric vector.Metric
	query  []byte
	ones   uint32 // bits of the query that are set

	a, b [batch]uint32 // scratch: distances, or counts of common and of all bits
}

func (s *scorer) begin(query []byte) {
	s.query, s.ones = query, 0
	for _, x := range query {
		s.ones += uint32(bits.OnesCount8(x))
	}
}

// rows stores the scores of up to batch rows in out.
func (s *scorer) rows(rows [][]byte, out []float32) {
	n := len(rows)
	if s.metric == vector.Hamming {
		s.set.HammingRows(s.query, rows, s.a[:n])
	} else {
		s.set.AndOrRows(s.query, rows, s.a[:n], s.b[:n])
	}
	s.finish(out[:n])
}

// block stores the scores of the first len(out) rows of a row-major block, up to batch, in out.
func (s *scorer) block(block []byte, out []float32) {
	n := len(out)
	if s.metric == vector.Hamming {
		s.set.HammingRange(s.query, block, len(s.query), s.a[:n])
	} else {
		s.set.AndOrRange(s.query, block, len(s.query), s.a[:n], s.b[:n])
	}
	s.finish(out)
}

func (s *scorer) finish(out []float32) {
	for i := range out {
		and, or := s.a[i], s.b[i]
		switch s.metric {
		case vector.Jaccard:
			out[i] = jaccard(and, or)
		case vector.Substructure: // every bit of the query is in the row
			out[i] = unless(and == s.ones)
		case vector.Superstructure: // no bit of the row is outside the query
			out[i] = unless(or == s.ones)
		default:
			out[i] = float32(and)
		}
	}
}

// jaccard is the distance of two sets of which one number of elements is common and one is in either. Two empty sets have
// distance 1, as in the libraries that applications know.
func jaccard(and, or uint32) float32 {
	if or == 0 {
		return 1
	}
	return float32(or-and) / float32(or)
}

func unless(match bool) float32 {
	if match {
		return 0
	}
	return 1
}

// accepts reports whether a row of that score may be a result at all.
func accepts(m vector.Metric, score float32) bool {
	return score == 0 || m != vector.Substructure && m != vector.Superstructure
}
