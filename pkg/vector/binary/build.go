package binary

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
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
	// samplePerList is the number of rows per list that training looks at.
	samplePerList = 256
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
	c := &clustering{
		cfg: cfg, rows: rows, size: size, workers: work.Workers(cfg.Workers), centroids: make([]byte, k*size),
		report: work.NewReporter(progress, (iterations*min(n, k*samplePerList)+n)*100/99),
	}
	assign := make([]uint32, n)
	if n > 0 {
		if err := c.run(ctx, assign); err != nil {
			return nil, fmt.Errorf("building a binary IVF index: %w", err)
		}
	}
	g := c.dropEmpty(group(assign, k))
	h := header{metric: cfg.Metric, dim: rows.Dim(), lists: c.lists(), asked: cfg.Lists, rows: n}
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, fmt.Errorf("building a binary IVF index: %w", err)
	}
	copy(img.centroids, c.centroids)
	copy(img.offs, g.offs)
	copy(img.ids, g.ids)
	img.file.Seal(h.encode())
	c.report.Finish()
	return img, nil
}

// run finds the centroids and puts every row to one.
func (c *clustering) run(ctx context.Context, assign []uint32) error {
	if err := c.train(ctx); err != nil {
		return err
	}
	ids := make([]uint32, len(assign))
	for i := range ids {
		ids[i] = uint32(i)
	}
	return c.assign(ctx, ids, assign)
}

// dropEmpty takes out centroids without rows.
func (c *clustering) dropEmpty(g grouping) grouping {
	kept := 0
	offs := g.offs[:1]
	for l := range c.lists() {
		end := g.offs[l+1]
		if end == offs[kept] {
			continue
		}
		copy(c.centroid(kept), c.centroid(l))
		kept++
		offs = append(offs, end)
	}
	c.centroids = c.centroids[:kept*c.size]
	return grouping{offs: offs, ids: g.ids}
}
