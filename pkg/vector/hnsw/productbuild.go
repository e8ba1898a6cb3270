package hnsw

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// A graph of product codes is linked by integer codes, which tell neighbours apart much better; they go when it is built.

// productChunk is the number of rows that a worker codes at a time.
const productChunk = 256

// train makes the codes of a product quantiser, as integer codes have found mean and rotation.
func (b *builder) train(ctx context.Context) error {
	cfg, n, dim := b.cfg.Product, b.rows.Len(), b.rows.Dim()
	p := newProduct(cfg, b.cfg.Metric, b.quant.Mean, make([]float32, cfg.bookSize(dim)))
	p.codes = kernel.Codes{Data: make([]byte, n*cfg.RowBytes()), Stride: cfg.RowBytes()}
	if cfg.hasLengths(b.cfg.Metric) {
		p.length = make([]float32, n)
	}
	p.prepare(b.cfg.Set)
	count := p.stages[0].SampleSize(n)
	sample := vector.Matrix{Data: make([]float32, count*dim), D: dim}
	coder := b.quant.NewCoder(b.rows)
	for i := range count {
		b.offset(coder, i*n/count, sample.Vector(i))
	}
	for s := range p.stages {
		q := &p.stages[s]
		if err := q.Train(ctx, sample, b.workers()); err != nil {
			return fmt.Errorf("training a product quantiser: %w", err)
		}
		q.Prepare()
		if s+1 < len(p.stages) {
			if err := b.leave(ctx, q, sample); err != nil {
				return err
			}
		}
	}
	p.prepare(b.cfg.Set)
	b.product = p
	return work.Try(ctx, b.workers(), (n+productChunk-1)/productChunk, func(i int) {
		b.codeProduct(i*productChunk, min((i+1)*productChunk, n))
	})
}

// offset writes a row as it is coded.
func (b *builder) offset(coder *sq8.Coder, i int, out []float32) {
	for d, v := range coder.Prepared(i) {
		out[d] = v - b.quant.Mean[d]
	}
}

// leave takes from rows what their codes stand for.
func (b *builder) leave(ctx context.Context, q *pq.Quantiser, rows vector.Matrix) error {
	n := rows.Len()
	return work.Try(ctx, b.workers(), (n+productChunk-1)/productChunk, func(i int) {
		from, to := i*productChunk, min((i+1)*productChunk, n)
		codes := make([]byte, (to-from)*q.M)
		takeAway(q.NewEncoder(), rows.Data[from*rows.D:to*rows.D], codes, make([]float32, rows.D))
	})
}

// takeAway codes rows and leaves the rest in their place.
func takeAway(e *pq.Encoder, rows []float32, codes []byte, buf []float32) {
	e.Encode(rows, codes)
	dim := len(buf)
	m := len(codes) * dim / len(rows)
	for i := range len(rows) / dim {
		e.Decode(codes[i*m:(i+1)*m], buf)
		for d, v := range buf {
			rows[i*dim+d] -= v
		}
	}
}

// codeProduct codes rows from to to.
func (b *builder) codeProduct(from, to int) {
	p, dim := b.product, b.rows.Dim()
	coder := b.quant.NewCoder(b.rows)
	left := make([]float32, (to-from)*dim)
	for i := from; i < to; i++ {
		b.offset(coder, i, left[(i-from)*dim:(i-from+1)*dim])
	}
	all := make([]byte, (to-from)*p.Parts*p.Stages)
	codes, buf := make([]byte, (to-from)*p.Parts), make([]float32, dim)
	for s := range p.stages {
		takeAway(p.stages[s].NewEncoder(), left, codes, buf)
		for i := range to - from {
			copy(all[(i*p.Stages+s)*p.Parts:], codes[i*p.Parts:(i+1)*p.Parts])
		}
	}
	for i := range to - from {
		p.pack(all[i*p.Parts*p.Stages:(i+1)*p.Parts*p.Stages], p.codes.Row(uint32(from+i)))
		if p.length == nil {
			continue
		}
		b.offset(coder, from+i, buf)
		for d := range buf {
			buf[d] -= left[i*dim+d]
		}
		p.length[from+i] = p.stages[0].Set.Dot(buf, buf)
	}
}

// condense replaces the image by one that has product codes in the place of integer codes.
func (b *builder) condense() error {
	old, p := b.img, b.product
	h := old.head
	h.product, h.split = p.Product, false
	img, err := newImage(h, h.plan(uint64(len(old.up))))
	if err != nil {
		return err
	}
	for _, k := range []imagefile.Kind{kindMean, kindLinks, kindUpperIndex, kindUpper, kindTwins} {
		copy(img.file.Section(k), old.file.Section(k))
	}
	for s := range p.stages {
		copy(img.product.stages[s].Books, p.stages[s].Books)
	}
	copy(img.product.codes.Data, p.codes.Data)
	copy(img.product.length, p.length)
	img.entry, img.top, img.table = old.entry, old.top, old.table
	b.img = img
	return old.Close()
}
