package diskann

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bounds of the parameters.
const (
	MinDegree = 1
	MaxDegree = 2048
	MaxDim    = 32768

	maxRows = 1<<31 - 1
	none    = ^uint32(0) // ends a list of links

	// starts is the number of hubs, those nearest by code, that a walk starts from.
	starts = 4
)

// Config says what to build.
type Config struct {
	Set        kernel.Set
	Metric     vector.Metric
	Degree     int // links per node
	SearchList int // size of the candidate pool while building
	Workers    int // goroutines; the result does not depend on them
}

func (c Config) validate(rows vector.Rows) error {
	switch {
	case !c.Metric.Dense():
		return fmt.Errorf("unknown %s", c.Metric)
	case c.Degree < MinDegree || c.Degree > MaxDegree:
		return fmt.Errorf("max_degree %d is not in [%d, %d]", c.Degree, MinDegree, MaxDegree)
	case c.SearchList < 1:
		return fmt.Errorf("search_list_size %d is not positive", c.SearchList)
	case rows.Dim() < 1 || rows.Dim() > MaxDim:
		return fmt.Errorf("dimension %d is not in [1, %d]", rows.Dim(), MaxDim)
	case rows.Elem() > kernel.I8:
		return fmt.Errorf("rows of %s", rows.Elem())
	case rows.Len() > maxRows:
		return fmt.Errorf("%d rows are too many for one graph", rows.Len())
	}
	return nil
}
