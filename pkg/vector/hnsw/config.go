package hnsw

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bounds of the parameters.
const (
	MinM   = 2
	MaxM   = 2048
	MaxDim = 32768

	maxRows  = 1<<31 - 1
	maxLevel = 30
	none     = ^uint32(0) // ends a list of links
)

// Config says what to build.
type Config struct {
	Set            kernel.Set
	Metric         vector.Metric
	M              int     // links per node and level; twice as many on level 0
	EfConstruction int     // size of the candidate pool while building
	Workers        int     // goroutines; with 1 the result depends on the rows alone
	Product        Product // codes of another kind than integers
}

func (c Config) validate(rows vector.Rows) error {
	switch {
	case !c.Metric.Dense():
		return fmt.Errorf("unknown %s", c.Metric)
	case c.M < MinM || c.M > MaxM:
		return fmt.Errorf("parameter M is %d, not in [%d, %d]", c.M, MinM, MaxM)
	case c.EfConstruction < 1:
		return fmt.Errorf("efConstruction %d is not positive", c.EfConstruction)
	case rows.Dim() < 1 || rows.Dim() > MaxDim:
		return fmt.Errorf("dimension %d is not in [1, %d]", rows.Dim(), MaxDim)
	case rows.Len() > maxRows:
		return fmt.Errorf("%d rows are too many for one graph", rows.Len())
	}
	if c.Product.wanted() {
		return c.Product.check(rows.Dim())
	}
	return nil
}
