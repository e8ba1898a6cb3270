package vector

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Metric says how two vectors are compared.
type Metric uint8

// Metrics. L2 is the squared Euclidean distance; for IP and Cosine greater is better, for all others smaller. Hamming to
// Superstructure compare binary vectors x (a row) and q (a query): the number of bits that differ; 1 - |x&q|/|x|q|; 0 if
// every bit of q is set in x (the query is a substructure of the row), else 1; 0 if every bit of x is set in q, else 1.
const (
	L2 Metric = iota + 1
	IP
	Cosine
	Hamming
	Jaccard
	Substructure
	Superstructure
)

func (m Metric) String() string {
	switch m {
	case L2:
		return "L2"
	case IP:
		return "IP"
	case Cosine:
		return "COSINE"
	case Hamming:
		return "HAMMING"
	case Jaccard:
		return "JACCARD"
	case Substructure:
		return "SUBSTRUCTURE"
	case Superstructure:
		return "SUPERSTRUCTURE"
	}
	return fmt.Sprintf("metric %d", uint8(m))
}

// Dense reports whether m compares vectors of numbers.
func (m Metric) Dense() bool { return m >= L2 && m <= Cosine }

// Binary reports whether m compares vectors of bits.
func (m Metric) Binary() bool { return m >= Hamming && m <= Superstructure }

// Greater reports whether a greater score is a better one.
func (m Metric) Greater() bool { return m == IP || m == Cosine }

// Key maps a score to a number that is smaller for a better score, with the exact order of the scores.
func (m Metric) Key(score float32) uint32 {
	if m.Greater() {
		score = -score
	}
	if score == 0 {
		score = 0 // one key for both zeros
	}
	b := math.Float32bits(score)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// Score is the inverse of Key.
func (m Metric) Score(key uint32) float32 {
	if key>>31 != 0 {
		key &^= 1 << 31
	} else {
		key = ^key
	}
	score := math.Float32frombits(key)
	if m.Greater() {
		score = 0 - score
	}
	return score
}

// Elem is how the components of raw vectors are stored.
type Elem = kernel.Elem

// Rows gives random access to raw vectors. It must be safe for concurrent use.
type Rows interface {
	Len() int
	// Dim is the number of components per row.
	Dim() int
	Elem() Elem
	// Row returns row i as stored, Elem().RowBytes(Dim()) bytes, without copying. Rows that are a Fetcher may panic.
	Row(i int) []byte
}

// Blocks is what Rows may offer besides, to make scans cheaper.
type Blocks interface {
	// Block returns row i and all rows that lie behind it without a gap, row-major.
	Block(i int) []byte
}

// Fetcher is what Rows offer besides when the vectors do not lie in memory. Searches then fetch what they score; indexes
// are built from rows in memory only.
type Fetcher interface {
	// Fetch reads the rows ids, one behind the other, into dst.
	Fetch(ctx context.Context, ids []uint32, dst []byte) error
}

// Filter says which rows may be returned.
type Filter interface {
	// Test reports for up to 64 rows which are allowed (bit j for ids[j]).
	Test(ids []uint32) uint64
	// Count estimates the number of allowed rows.
	Count() int
	// Words returns the allowed rows as a dense bit set, row i in bit i%64 of word i/64.
	Words() []uint64
}

// Hit is one result.
type Hit struct {
	ID    uint32
	Score float32
}

// Stats counts the work of a search.
type Stats struct {
	Distances int // distance computations, on codes or raw vectors
	Hops      int // expanded graph nodes
}

// Add adds o.
func (s *Stats) Add(o Stats) {
	s.Distances += o.Distances
	s.Hops += o.Hops
}

// ErrCorrupt marks index files whose bytes are not those that were written.
var ErrCorrupt = errors.New("vector index file is corrupt")

// ErrVersion marks index files of a format that this program does not know.
var ErrVersion = errors.New("vector index file has an unknown format version")

// ErrClosed is returned by searches on a closed index.
var ErrClosed = errors.New("vector index is closed")
