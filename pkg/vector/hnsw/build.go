package hnsw

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// builder inserts nodes into an image.
type builder struct {
	cfg   Config
	rows  vector.Rows
	img   *Image
	quant sq8.Quantiser
	// coded holds the rows' codes while building: as bytes until the image has them, then as queries, stride bytes each.
	coded  []byte
	stride int
	// weight and bias make pairs of rows comparable by codes alone: distance(x, y) = weight[y] + bias[x] - 2<x, u(y)>.
	// For L2 that is |x-y|^2. For IP codes are centred, and the inner product of the mean with each side comes in here.
	weight, bias []int32
	// order lists the nodes by descending level, so that the entry node is the first and stays it.
	order   []uint32
	product *product // nil for integer codes
	report  *work.Reporter
}

// Build makes a graph of all rows. It depends on the rows and the parameters alone, whatever the number of workers.
// progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building an HNSW index: %w", err)
	}
	b := &builder{cfg: cfg, rows: rows, report: work.NewReporter(progress, rows.Len())}
	if err := b.build(ctx); err != nil {
		err = fmt.Errorf("building an HNSW index: %w", err)
		if b.img != nil {
			err = imagefile.JoinClose(err, b.img)
		}
		return nil, err
	}
	return b.img, nil
}

func (b *builder) build(ctx context.Context) error {
	levels, upper, err := b.plan()
	if err != nil {
		return err
	}
	h := header{metric: b.cfg.Metric, dim: b.rows.Dim(), m: b.cfg.M, efc: b.cfg.EfConstruction, rows: b.rows.Len(), scale: 1, widen: 1}
	h.tuned = true
	c := coding{b: b, head: &h}
	if err := c.run(ctx); err != nil {
		return err
	}
	if b.img, err = newImage(h, h.plan(upper)); err != nil {
		return err
	}
	b.prepare(levels)
	c.fill()
	if b.cfg.Product.wanted() {
		if err := b.train(ctx); err != nil {
			return err
		}
	}
	b.chainTwins()
	if g := &b.img.graph; g.n > 0 {
		g.entry, g.top = b.order[0], int(levels[b.order[0]])
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	if b.product != nil {
		if err := b.condense(); err != nil {
			return err
		}
	}
	b.img.seal()
	return nil
}

// prepare fills the links with none, and the places of the upper lists.
func (b *builder) prepare(levels []uint8) {
	g := &b.img.graph
	fillNone(g.links0)
	fillNone(g.up)
	off := uint32(0)
	for i, level := range levels {
		g.upOff[i] = none
		if level > 0 {
			g.upOff[i] = off
			g.up[off] = uint32(level)
			off += 1 + uint32(level)*uint32(g.m)
		}
	}
}

func fillNone(words []uint32) {
	for i := range words {
		words[i] = none
	}
}

// workers returns the number of goroutines to use.
func (b *builder) workers() int { return work.Workers(b.cfg.Workers) }
