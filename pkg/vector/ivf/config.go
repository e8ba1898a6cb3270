package ivf

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bounds of the parameters.
const (
	MaxLists = 65536
	MaxDim   = 32768

	maxRows = 1<<31 - 1
	// minPerList is the number of rows per list from which on an index has as many lists as asked for; fewer rows get fewer
	// lists. With less rows than that in a list, looking at a few lists would miss most of what is near.
	minPerList = 32
	// samplePerList is the number of rows per list that k-means looks at.
	samplePerList = 256
)

// Config says what to build.
type Config struct {
	Set     kernel.Set
	Metric  vector.Metric
	Lists   int  // lists asked for, 1 to MaxLists
	Codes   bool // whether lists hold codes
	Workers int  // goroutines; 0 means one per processor
}

func (c Config) validate(rows vector.Rows) error {
	switch {
	case !c.Metric.Dense():
		return fmt.Errorf("unknown %s", c.Metric)
	case c.Lists < 1 || c.Lists > MaxLists:
		return fmt.Errorf("number of lists %d is not in [1, %d]", c.Lists, MaxLists)
	case rows.Dim() < 1 || rows.Dim() > MaxDim:
		return fmt.Errorf("dimension %d is not in [1, %d]", rows.Dim(), MaxDim)
	case rows.Len() > maxRows:
		return fmt.Errorf("%d rows are too many for one index", rows.Len())
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
