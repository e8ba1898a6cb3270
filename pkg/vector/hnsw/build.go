package hnsw

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

const (
	// warmup is the number of nodes inserted by one worker before the others join: into a tiny graph they would insert blindly.
	warmup = 1024
	// locks is the number of stripes that guard the links of nodes.
	locks = 4096
	seed  = 0x9e3779b97f4a7c15
)

// builder inserts nodes into an image.
type builder struct {
	cfg   Config
	rows  vector.Rows
	img   *Image
	quant sq8.Quantiser
	// weight and bias make pairs of rows comparable by codes alone: distance(x, y) = weight[y] + bias[x] - 2<x, u(y)>.
	// For L2 that is |x-y|^2. For IP codes are centred, and the inner product of the mean with each side comes in here.
	weight, bias []int32
	// order lists the nodes by descending level, so that the entry node is the first and stays it.
	order  []uint32
	locks  [locks]sync.Mutex // stripe id%locks guards writes to the links of node id
	next   atomic.Int64
	report *work.Reporter
}

// Build makes a graph of all rows. progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building an HNSW index: %w", err)
	}
	b := &builder{cfg: cfg, rows: rows, report: work.NewReporter(progress, rows.Len())}
	levels, upper, err := b.plan()
	if err != nil {
		return nil, err
	}
	h := header{metric: cfg.Metric, dim: rows.Dim(), m: cfg.M, efc: cfg.EfConstruction, rows: rows.Len(), scale: 1, widen: 1}
	if b.img, err = newImage(h, h.plan(upper)); err != nil {
		return nil, err
	}
	b.prepare(levels)
	if err := b.measureWidening(ctx); err != nil {
		return nil, joinClose(fmt.Errorf("building an HNSW index: %w", err), b.img)
	}
	if err := b.run(ctx); err != nil {
		return nil, joinClose(fmt.Errorf("building an HNSW index: %w", err), b.img)
	}
	b.img.seal()
	return b.img, nil
}

// plan draws the level of each node from its number, sorts the nodes by level and counts the words of the upper lists.
func (b *builder) plan() (levels []uint8, upper uint64, err error) {
	n := b.rows.Len()
	levels = make([]uint8, n)
	scale := 1 / math.Log(float64(b.cfg.M))
	b.order = make([]uint32, n)
	for i := range levels {
		u := (float64(work.Mix(uint64(i)+seed)>>11) + 1) / (1 << 53)
		levels[i] = uint8(min(maxLevel, int(-math.Log(u)*scale)))
		b.order[i] = uint32(i)
		if levels[i] > 0 {
			upper += 1 + uint64(levels[i])*uint64(b.cfg.M)
		}
	}
	if upper >= uint64(none) {
		return nil, 0, fmt.Errorf("building an HNSW index: %d rows with M %d are too many for one graph", n, b.cfg.M)
	}
	slices.SortStableFunc(b.order, func(x, y uint32) int { return int(levels[y]) - int(levels[x]) })
	return levels, upper, nil
}

// prepare fills everything but the links.
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
	b.quant = sq8.Quantiser{Set: b.cfg.Set, Metric: b.cfg.Metric, Mean: g.mean}
	b.quant.Train(b.rows)
	g.scale = b.quant.Scale
	b.weight, b.bias = make([]int32, g.n), make([]int32, g.n)
	const chunk = 4096
	work.Parallel(b.workers(), (g.n+chunk-1)/chunk, func(c int) { b.encode(c*chunk, min((c+1)*chunk, g.n)) })
	b.chainTwins()
	if g.n > 0 {
		g.entry, g.top = b.order[0], int(levels[b.order[0]])
	}
}

func fillNone(words []uint32) {
	for i := range words {
		words[i] = none
	}
}

func (b *builder) encode(from, to int) {
	g := &b.img.graph
	coder := b.quant.NewCoder(b.rows)
	for i := from; i < to; i++ {
		sum, norm, along := b.quant.Encode(coder.Prepared(i), g.codes.Row(uint32(i)))
		if b.cfg.Metric == vector.IP {
			b.weight[i] = int32(max(-1<<29, min(1<<29, -2*along*b.quant.Pull)))
			b.bias[i] = 256*sum + b.weight[i]
			continue
		}
		g.weight[i], b.weight[i], b.bias[i] = norm, norm, norm+256*sum
	}
}

// measureWidening sets the widening that the codes ask for.
func (b *builder) measureWidening(ctx context.Context) (err error) {
	g := &b.img.graph
	g.widen, err = sq8.MeasureWidening(ctx, sq8.Coding{Quant: &b.quant, Rows: b.rows, Codes: g.codes, Weight: g.weight}, b.workers())
	return err
}

// workers returns the number of goroutines to use.
func (b *builder) workers() int { return work.Workers(b.cfg.Workers) }

// run inserts all nodes.
func (b *builder) run(ctx context.Context) error {
	first := min(warmup, len(b.order))
	if err := b.insertTo(ctx, first); err != nil {
		return err
	}
	b.next.Store(int64(first))
	errs := make([]error, b.workers())
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = b.insertTo(ctx, len(b.order)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	b.report.Finish()
	return nil
}

// insertTo inserts the next nodes of the order until end.
func (b *builder) insertTo(ctx context.Context, end int) error {
	const step = 16
	in := newInserter(b)
	for {
		from := int(b.next.Add(step)) - step
		if from >= end {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, id := range b.order[from:min(from+step, end)] {
			if err := in.insert(ctx, id); err != nil {
				return err
			}
		}
		b.report.Done(min(step, end-from))
	}
}
