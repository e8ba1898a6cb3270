package vector

import (
	"errors"
	"fmt"
	"math"
)

// Metric says how two vectors are compared.
type Metric uint8

// Metrics. L2 is the squared Euclidean distance (smaller is better); for the others greater is better.
const (
	L2 Metric = iota + 1
	IP
	Cosine
)

func (m Metric) String() string {
	switch m {
	case L2:
		return "L2"
	case IP:
		return "IP"
	case Cosine:
		return "COSINE"
	}
	return fmt.Sprintf("metric %d", uint8(m))
}

// Valid reports whether m is one of the metrics above.
func (m Metric) Valid() bool { return m >= L2 && m <= Cosine }

// Key maps a score to a number that is smaller for a better score, with the exact order of the scores.
func (m Metric) Key(score float32) uint32 {
	if m != L2 {
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
	if m != L2 {
		score = 0 - score
	}
	return score
}

// Rows gives random access to raw vectors. It must be safe for concurrent use.
type Rows interface {
	Len() int
	Dim() int
	// Vector returns row i without copying.
	Vector(i int) []float32
}

// Blocks is what Rows may offer besides, to make scans cheaper.
type Blocks interface {
	// Block returns row i and all rows that lie behind it without a gap, row-major.
	Block(i int) []float32
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

// Matrix is Rows over one row-major block.
type Matrix struct {
	Data []float32
	D    int
}

// Len returns the number of rows.
func (m Matrix) Len() int { return len(m.Data) / m.D }

// Dim returns the dimension.
func (m Matrix) Dim() int { return m.D }

// Vector returns row i.
func (m Matrix) Vector(i int) []float32 { return m.Data[i*m.D : (i+1)*m.D : (i+1)*m.D] }

// Block returns the rows from i on.
func (m Matrix) Block(i int) []float32 { return m.Data[i*m.D:] }

// Chunks is Rows over several row-major blocks of any number of rows each.
type Chunks struct {
	dim    int
	chunks [][]float32
	starts []int // first row of each chunk, and the number of rows at the end
}

// NewChunks returns Rows over chunks, whose lengths are multiples of dim. Only the first limit rows count; a negative
// limit means all.
func NewChunks(dim int, chunks [][]float32, limit int) *Chunks {
	c := &Chunks{dim: dim, starts: make([]int, 1, len(chunks)+1)}
	n := 0
	for _, chunk := range chunks {
		rows := len(chunk) / dim
		if limit >= 0 {
			rows = min(rows, limit-n)
		}
		if rows <= 0 {
			continue
		}
		n += rows
		c.chunks = append(c.chunks, chunk[:rows*dim])
		c.starts = append(c.starts, n)
	}
	return c
}

// Len returns the number of rows.
func (c *Chunks) Len() int { return c.starts[len(c.starts)-1] }

// Dim returns the dimension.
func (c *Chunks) Dim() int { return c.dim }

// Vector returns row i.
func (c *Chunks) Vector(i int) []float32 { return c.Block(i)[:c.dim:c.dim] }

// Block returns row i and the rest of its chunk.
func (c *Chunks) Block(i int) []float32 {
	lo, hi := 0, len(c.chunks)
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if c.starts[mid] <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return c.chunks[lo][(i-c.starts[lo])*c.dim:]
}
