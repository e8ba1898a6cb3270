package ivf

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// Build makes an index of all rows. progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building an IVF index: %w", err)
	}
	img, err := assemble(ctx, cfg, rows, progress)
	if err != nil {
		return nil, fmt.Errorf("building an IVF index: %w", err)
	}
	return img, nil
}

func assemble(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	n, k := rows.Len(), cfg.lists(rows.Len())
	// Most of the work is putting rows to centroids: those of the sample in each round, and all of them in the end.
	report := work.NewReporter(progress, (iterations*min(n, k*samplePerList)+n)*100/99)
	c := &clustering{
		set: cfg.Set, metric: cfg.Metric, rows: rows, workers: work.Workers(cfg.Workers), report: report,
		centroids: vector.Matrix{Data: make([]float32, k*rows.Dim()), D: rows.Dim()},
	}
	assign := make([]uint32, n)
	if n > 0 {
		if err := c.train(ctx); err != nil {
			return nil, err
		}
		ids := make([]uint32, n)
		for i := range ids {
			ids[i] = uint32(i)
		}
		if err := c.assign(ctx, ids, assign); err != nil {
			return nil, err
		}
	}
	g := c.dropEmpty(group(assign, k))
	h := header{metric: cfg.Metric, codes: cfg.Codes, dim: rows.Dim(), lists: c.lists(), asked: cfg.Lists, rows: n, scale: 1, widen: 1}
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, err
	}
	copy(img.centroids, c.centroids.Data)
	copy(img.offs, g.offs)
	copy(img.ids, g.ids)
	if cfg.Codes {
		if err := img.encode(ctx, cfg, rows); err != nil {
			return nil, joinClose(err, img)
		}
	}
	img.file.Seal(img.head.encode())
	report.Finish()
	return img, nil
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
		copy(c.centroids.Vector(kept), c.centroids.Vector(l))
		kept++
		offs = append(offs, end)
	}
	c.centroids.Data = c.centroids.Data[:kept*c.rows.Dim()]
	return grouping{offs: offs, ids: g.ids}
}

// encode fills in the codes.
func (img *Image) encode(ctx context.Context, cfg Config, rows vector.Rows) error {
	q := sq8.Quantiser{Set: cfg.Set, Metric: cfg.Metric, Mean: img.mean}
	q.Train(rows)
	img.head.scale = q.Scale
	const step = 4096
	workers, n := work.Workers(cfg.Workers), rows.Len()
	err := work.Try(ctx, workers, (n+step-1)/step, func(b int) {
		coder := q.NewCoder(rows)
		for at := b * step; at < min((b+1)*step, n); at++ {
			_, norm, _ := q.Encode(coder.Prepared(int(img.ids[at])), img.codes.Row(uint32(at)))
			if cfg.Metric != vector.IP {
				img.weight[at] = norm
			}
		}
	})
	if err != nil {
		return err
	}
	coding := sq8.Coding{Quant: &q, Rows: rows, Codes: img.codes, Weight: img.weight, IDs: img.ids}
	img.head.widen, err = sq8.MeasureWidening(ctx, coding, workers)
	return err
}
