package ivf

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
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
	h := header{metric: cfg.Metric, coding: cfg.Coding, dim: rows.Dim(), lists: c.lists(), asked: cfg.Lists, rows: n, scale: 1, widen: 1, reach: true, tuned: true}
	h.measureCodes(cfg, g.offs)
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, err
	}
	copy(img.centroids, c.centroids.Data)
	copy(img.offs, g.offs)
	copy(img.ids, g.ids)
	if err := img.encode(ctx, cfg, rows); err != nil {
		return nil, joinClose(err, img)
	}
	if err := img.tune(ctx, cfg, rows); err != nil {
		return nil, joinClose(err, img)
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

// measureCodes sets how large the codes are.
func (h *header) measureCodes(cfg Config, offs []uint32) {
	switch h.coding {
	case PQ:
		h.parts, h.bits = cfg.Parts, cfg.Bits
	case RaBitQ:
		h.parts, h.bits = rabitq.Nibbles(h.dim), 4
	}
	if h.blocked() {
		at := blockStarts(offs)
		h.blocks = int(at[len(at)-1])
	}
}
