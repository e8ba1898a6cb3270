package binary

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/kmeans"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bounds of the parameters.
const (
	MaxLists = 65536
	MaxDim   = 262144

	maxRows = 1<<31 - 1
	// minPerList is the number of rows per list from which on an index has as many lists as asked for.
	minPerList = 32
)

// Config says what to build.
type Config struct {
	Set     kernel.Set
	Metric  vector.Metric // Hamming or Jaccard
	Lists   int           // lists asked for, 1 to MaxLists
	Workers int           // goroutines; 0 means one per processor
}

func (c Config) validate(rows vector.Rows) error {
	switch {
	case c.Metric != vector.Hamming && c.Metric != vector.Jaccard:
		return fmt.Errorf("lists of bits cannot be made by %s", c.Metric)
	case c.Lists < 1 || c.Lists > MaxLists:
		return fmt.Errorf("number of lists %d is not in [1, %d]", c.Lists, MaxLists)
	case rows.Dim() > MaxDim:
		return fmt.Errorf("dimension %d is above %d", rows.Dim(), MaxDim)
	case rows.Len() > maxRows:
		return fmt.Errorf("%d rows are too many for one index", rows.Len())
	}
	return fits(c.Metric, rows, 0)
}

// rowBytes is the size of a row of dim bits.
func rowBytes(dim int) int { return kernel.Bit.RowBytes(dim) }

// lists returns how many lists n rows get.
func (c Config) lists(n int) int {
	if n == 0 {
		return 0
	}
	return min(c.Lists, max(1, n/minPerList))
}

// Build makes an index of all rows. progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building a binary IVF index: %w", err)
	}
	n, k, size := rows.Len(), cfg.lists(rows.Len()), rowBytes(rows.Dim())
	c := &clustering{cfg: cfg, rows: rows, size: size, centroids: make([]byte, k*size)}
	lloyd := kmeans.Lloyd{Space: c, Rows: n, Centroids: k, Settled: settled, Workers: work.Workers(cfg.Workers)}
	lloyd.Report = work.NewReporter(progress, (lloyd.Steps()+n)*100/99)
	g, err := lloyd.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("building a binary IVF index: %w", err)
	}
	g.DropEmpty(func(l, as int) { copy(c.centroid(as), c.centroid(l)) })
	h := header{metric: cfg.Metric, dim: rows.Dim(), lists: g.Count(), asked: cfg.Lists, rows: n}
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, fmt.Errorf("building a binary IVF index: %w", err)
	}
	copy(img.centroids, c.centroids)
	copy(img.offs, g.Offs)
	copy(img.ids, g.IDs)
	img.file.Seal(h.encode())
	lloyd.Report.Finish()
	return img, nil
}
