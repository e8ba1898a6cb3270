package hnsw

import (
	"context"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	// splitFrom is the dimension from which codes are split: below, a row's code is one cache line anyway.
	splitFrom = 65
	// codingChunk is the number of rows that are coded at a time.
	codingChunk = 1024
	// maxSplitWiden is the widening of high halves up to which they are walked: where they order rows worse, whole codes
	// are.
	maxSplitWiden = 4
	maxSpread     = 2
)

// coding is how a builder codes its rows.
type coding struct {
	b      *builder
	head   *header
	norm   []int32 // |code|^2, zero for IP
	tuning tuning
	high   sq8.Planes
}

// run codes all rows, measures how well codes order them, and sets what the header says about it: whether vectors are
// turned, and whether codes are split.
func (c *coding) run(ctx context.Context) error {
	b := c.b
	n, dim := b.rows.Len(), b.rows.Dim()
	b.stride = max(kernel.CodeStride(dim), 2*sq8.PlaneStride(dim))
	if dim < splitFrom {
		b.stride = kernel.CodeStride(dim)
	}
	b.coded = make([]byte, n*b.stride)
	b.weight, b.bias, c.norm = make([]int32, n), make([]int32, n), make([]int32, n)
	b.quant = sq8.Quantiser{Set: b.cfg.Set, Metric: b.cfg.Metric, Mean: make([]float32, dim)}
	probes, err := sq8.NewProbes(ctx, b.cfg.Set, b.cfg.Metric, b.rows, b.workers())
	if err != nil {
		return err
	}
	order, err := c.code(ctx, probes)
	if err != nil {
		return err
	}
	if order.Widen > 1 {
		if order, err = c.turn(ctx, probes, order); err != nil {
			return err
		}
	}
	c.head.widen, c.head.scale = order.Widen, b.quant.Scale
	c.tuning = tuning{widenHigh: 1, spread: max(0, min(maxSpread, order.Spread))}
	if dim >= splitFrom {
		return c.split(ctx, probes)
	}
	return nil
}

// turn tries codes of turned vectors and keeps them if they order rows better.
func (c *coding) turn(ctx context.Context, probes *sq8.Probes, plain sq8.Order) (sq8.Order, error) {
	q := &c.b.quant
	q.Rotation = sq8.NewRotation(c.b.rows.Dim())
	order, err := c.code(ctx, probes)
	if err != nil || order.Widen < plain.Widen {
		c.head.turned = true
		return order, err
	}
	q.Rotation = nil
	return c.code(ctx, probes)
}

// code codes all rows and measures the codes.
func (c *coding) code(ctx context.Context, probes *sq8.Probes) (sq8.Order, error) {
	b := c.b
	b.quant.Train(b.rows)
	n := b.rows.Len()
	if err := work.Try(ctx, b.workers(), (n+codingChunk-1)/codingChunk, func(i int) {
		c.encode(i*codingChunk, min((i+1)*codingChunk, n))
	}); err != nil {
		return sq8.Order{}, err
	}
	whole := sq8.Coding{Quant: &b.quant, Rows: b.rows, Codes: kernel.Codes{Data: b.coded, Stride: b.stride}, Weight: c.norm}
	return probes.Measure(ctx, whole, exactCandidates(10, 1), b.workers())
}

func (c *coding) encode(from, to int) {
	b := c.b
	coder := b.quant.NewCoder(b.rows)
	for i := from; i < to; i++ {
		sum, norm, along := b.quant.Encode(coder.Prepared(i), c.row(i))
		if b.cfg.Metric == vector.IP {
			b.weight[i] = int32(max(-1<<29, min(1<<29, -2*along*b.quant.Pull)))
			b.bias[i] = 256*sum + b.weight[i]
			continue
		}
		c.norm[i], b.weight[i], b.bias[i] = norm, norm, norm+256*sum
	}
}

func (c *coding) row(i int) []byte { return c.b.coded[i*c.b.stride : i*c.b.stride+c.b.rows.Dim()] }

// split splits the codes and measures their high halves; it keeps them if they order rows well enough.
func (c *coding) split(ctx context.Context, probes *sq8.Probes) error {
	b := c.b
	n, half := b.rows.Len(), sq8.PlaneStride(b.rows.Dim())
	p := &c.high
	p.High = kernel.Codes{Data: make([]byte, n*half), Stride: half}
	p.Low = kernel.Codes{Data: make([]byte, n*half), Stride: half}
	p.HighWeight, p.Weight = make([]int32, n), c.norm
	weights := b.cfg.Metric != vector.IP
	if err := work.Try(ctx, b.workers(), (n+codingChunk-1)/codingChunk, func(i int) {
		for r := i * codingChunk; r < min((i+1)*codingChunk, n); r++ {
			if norm := p.Set(uint32(r), c.row(r)); weights {
				p.HighWeight[r] = norm
			}
		}
	}); err != nil {
		return err
	}
	coding := sq8.Coding{Quant: &b.quant, Rows: b.rows, Codes: p.High, Weight: p.HighWeight, High: true}
	order, err := probes.Measure(ctx, coding, sq8.Candidates(10, 1), b.workers())
	if err != nil || order.Widen > maxSplitWiden {
		return err
	}
	c.head.split, c.tuning.widenHigh = true, order.Widen
	return nil
}

// fill brings the codes into the image, and turns those of the builder into queries.
func (c *coding) fill() {
	b, g := c.b, &c.b.img.graph
	copy(g.mean, b.quant.Mean)
	g.tuning = c.tuning
	if g.split {
		copy(g.planes.High.Data, c.high.High.Data)
		copy(g.planes.Low.Data, c.high.Low.Data)
		copy(g.planes.HighWeight, c.high.HighWeight)
		copy(g.planes.Weight, c.norm)
		c.halve()
	} else {
		for i := range g.n {
			copy(g.codes.Row(uint32(i)), b.coded[i*b.stride:(i+1)*b.stride])
		}
		copy(g.weight, c.norm)
	}
	work.Parallel(b.workers(), (g.n+codingChunk-1)/codingChunk, func(i int) {
		for r := i * codingChunk; r < min((i+1)*codingChunk, g.n); r++ {
			row := c.row(r)
			for d, u := range row {
				row[d] = u ^ 0x80 // u = c+128 as a byte differs from c in the top bit
			}
		}
	})
	c.high = sq8.Planes{}
}

// halve makes weight and bias those of high halves.
func (c *coding) halve() {
	b := c.b
	for i, norm := range c.norm {
		if b.cfg.Metric == vector.IP {
			sum := (b.bias[i] - b.weight[i]) / 256
			b.weight[i] /= sq8.Unit
			b.bias[i] = 240*sum/sq8.Unit + b.weight[i]
			continue
		}
		sum := (b.bias[i] - norm) / 256
		b.weight[i] = c.high.HighWeight[i]
		b.bias[i] = (240*sum + norm) / sq8.Unit
	}
}

// query makes a row the query of w.
func (b *builder) query(w *walker, id uint32) {
	at := int(id) * b.stride
	w.query.Q = unsafe.Slice((*int8)(unsafe.Pointer(&b.coded[at])), b.stride)
	w.query.Bias, w.query.High = b.bias[id], b.bias[id]
	w.query.Ratio, w.query.Weights = 1, true
}
