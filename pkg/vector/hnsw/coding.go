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
	// are, as a walk that is led astray loses more than it saves.
	maxSplitWiden = 1
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
	} else {
		half := sq8.PlaneStride(dim)
		c.high.High = kernel.Codes{Data: make([]byte, n*half), Stride: half}
		c.high.Low = kernel.Codes{Data: make([]byte, n*half), Stride: half}
		c.high.HighWeight = make([]int32, n)
	}
	b.coded = make([]byte, n*b.stride)
	b.weight, b.bias, c.norm = make([]int32, n), make([]int32, n), make([]int32, n)
	b.quant = sq8.Quantiser{Set: b.cfg.Set, Metric: b.cfg.Metric, Mean: make([]float32, dim)}
	probes, err := sq8.NewProbes(ctx, &b.quant, b.rows, b.workers())
	if err != nil {
		return err
	}
	found, err := c.choose(ctx, probes)
	if err != nil {
		return err
	}
	c.head.turned = b.quant.Rotation != nil
	c.head.widen, c.head.scale = found.whole.Widen, b.quant.Scale
	c.head.split = dim >= splitFrom && found.high.Widen <= maxSplitWiden
	c.tuning = tuning{widenHigh: found.high.Widen, spread: max(0, min(maxSpread, found.whole.Spread))}
	return nil
}

// orders is how well whole codes and their high halves order rows.
type orders struct{ whole, high sq8.Order }

// choose codes the rows as they are and, if that does not order them well enough, turned. It keeps the better of the two.
func (c *coding) choose(ctx context.Context, probes *sq8.Probes) (orders, error) {
	q := &c.b.quant
	plain, err := c.code(ctx, probes)
	if err != nil || plain.whole.Widen == 1 && plain.high.Widen <= maxSplitWiden {
		return plain, err
	}
	q.Rotation = sq8.NewRotation(c.b.rows.Dim())
	turned, err := c.code(ctx, probes)
	if err != nil || turned.whole.Widen*turned.high.Widen < plain.whole.Widen*plain.high.Widen {
		return turned, err
	}
	q.Rotation = nil
	return c.code(ctx, probes)
}

// code codes all rows and measures the codes.
func (c *coding) code(ctx context.Context, probes *sq8.Probes) (o orders, err error) {
	b := c.b
	b.quant.Train(b.rows)
	if err := c.each(ctx, c.encode); err != nil {
		return o, err
	}
	whole := sq8.Coding{Quant: &b.quant, Rows: b.rows, Codes: kernel.Codes{Data: b.coded, Stride: b.stride}, Weight: c.norm}
	o.high.Widen = 1
	if o.whole, err = probes.Measure(ctx, whole, exactCandidates(10, 1), b.workers()); err != nil || b.rows.Dim() < splitFrom {
		return o, err
	}
	if err := c.each(ctx, c.split); err != nil {
		return o, err
	}
	high := sq8.Coding{Quant: &b.quant, Rows: b.rows, Codes: c.high.High, Weight: c.high.HighWeight, High: true}
	o.high, err = probes.Measure(ctx, high, sq8.Candidates(10, 1), b.workers())
	return o, err
}

// each calls fn for all rows, some at a time.
func (c *coding) each(ctx context.Context, fn func(from, to int)) error {
	n := c.b.rows.Len()
	return work.Try(ctx, c.b.workers(), (n+codingChunk-1)/codingChunk, func(i int) {
		fn(i*codingChunk, min((i+1)*codingChunk, n))
	})
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

// split splits codes into halves.
func (c *coding) split(from, to int) {
	for r := from; r < to; r++ {
		if norm := c.high.Set(uint32(r), c.row(r)); c.b.cfg.Metric != vector.IP {
			c.high.HighWeight[r] = norm
		}
	}
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
