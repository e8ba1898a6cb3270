package ivf

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bounds of the parameters.
const (
	MaxLists = 65536
	MaxDim   = 32768
	MaxBits  = pq.MaxBits // of a sub-quantiser

	maxRows = 1<<31 - 1
	// minPerList is the number of rows per list from which on an index has as many lists as asked for; fewer rows get fewer
	// lists. With less rows than that in a list, looking at a few lists would miss most of what is near.
	minPerList = 32
	// settled is the share of rows that may still move for k-means to end early.
	settled = 0.002
)

// Coding is what lists hold beside row numbers. The numbers stand in files.
type Coding uint8

// Codings.
const (
	Plain  Coding = iota // nothing: searches score the raw vectors of whole lists
	SQ8                  // a byte per dimension; a search scores exactly what codes cannot tell apart, but for rare errors
	Exact                // the codes of SQ8, with bounds of their errors: results are those of Plain, without exception
	PQ                   // codes of a product quantiser; errors are known from a sample of queries
	RaBitQ               // a bit per dimension; errors are known but for their sign

	numCodings
)

func (c Coding) String() string {
	if c >= numCodings {
		return fmt.Sprintf("coding %d", uint8(c))
	}
	return [...]string{"plain", "SQ8", "exact", "PQ", "RaBitQ"}[c]
}

// scalar reports whether codes are a byte per dimension.
func (c Coding) scalar() bool { return c == SQ8 || c == Exact }

// residual reports whether what is left of a row without its list's reference is coded.
func (c Coding) residual() bool { return c == PQ || c == RaBitQ }

// Config says what to build.
type Config struct {
	Set     kernel.Set
	Metric  vector.Metric
	Lists   int // lists asked for, 1 to MaxLists
	Coding  Coding
	Workers int // goroutines; 0 means one per processor

	Parts int // sub-quantisers of PQ; the dimension is a multiple
	Bits  int // of each of them, 1 to MaxBits
	// Along, for PQ with IP and Cosine, is how much errors along a row count beside those across it, in order to err less for
	// queries that lie near it. 0 and 1 mean as much.
	Along float32
}

func (c Config) validate(rows vector.Rows) error {
	switch {
	case !c.Metric.Dense():
		return fmt.Errorf("unknown %s", c.Metric)
	case c.Coding >= numCodings:
		return fmt.Errorf("unknown %s", c.Coding)
	case c.Lists < 1 || c.Lists > MaxLists:
		return fmt.Errorf("number of lists %d is not in [1, %d]", c.Lists, MaxLists)
	case rows.Dim() < 1 || rows.Dim() > MaxDim:
		return fmt.Errorf("dimension %d is not in [1, %d]", rows.Dim(), MaxDim)
	case rows.Len() > maxRows:
		return fmt.Errorf("%d rows are too many for one index", rows.Len())
	case c.Coding == PQ:
		return pq.Check(rows.Dim(), c.Parts, c.Bits)
	}
	return nil
}

// lists returns how many lists n rows get.
func (c Config) lists(n int) int {
	if n == 0 {
		return 0
	}
	return min(c.Lists, max(1, n/minPerList))
}
