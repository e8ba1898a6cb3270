package diskann

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	sampleRows = 16384 // rows that both codings are trained on
	chunk      = 2048  // rows coded per step
)

// space brings rows into the space in which the graph is built: normalised for Cosine, and for IP with one component more
// that makes all rows equally long, so that the nearest rows are those of the greatest product.
type space struct {
	*sq8.Coder
	length2 float64 // squared length of the longest row; 0 unless IP
	buf     []float32
}

func (b *builder) newSpace() *space {
	q := sq8.Quantiser{Set: b.cfg.Set, Metric: b.cfg.Metric}
	return &space{Coder: q.NewCoder(b.rows), length2: b.length2, buf: make([]float32, b.dim)}
}

// point returns row i in the space, valid until the next call.
func (s *space) point(i int, plain []float32) []float32 {
	if len(s.buf) == len(plain) {
		return plain
	}
	copy(s.buf, plain)
	var sum float64
	for _, v := range plain {
		sum += float64(v) * float64(v)
	}
	s.buf[len(plain)] = float32(math.Sqrt(max(0, s.length2-sum)))
	return s.buf
}

// longest finds the squared length of the longest row.
func (b *builder) longest() float64 {
	n := b.rows.Len()
	parts := make([]float64, (n+chunk-1)/chunk)
	work.Parallel(b.workers(), len(parts), func(c int) {
		for i := c * chunk; i < min((c+1)*chunk, n); i++ {
			if l := float64(b.cfg.Set.RawNorm2(b.rows.Elem(), b.rows.Row(i))); l > parts[c] && !math.IsInf(l, 0) {
				parts[c] = l
			}
		}
	})
	most := 0.0
	for _, l := range parts {
		most = max(most, l)
	}
	return most
}

// encode fills the codes of the image, and those that the build measures by.
func (b *builder) encode() {
	n := b.rows.Len()
	b.dim = b.rows.Dim()
	if b.cfg.Metric == vector.IP {
		b.dim++
		b.length2 = b.longest()
	}
	b.train(min(n, sampleRows))
	stride := kernel.CodeStride(b.dim)
	b.codes = kernel.Codes{Data: make([]byte, n*stride), Stride: stride}
	b.weight, b.bias = make([]int32, n), make([]int32, n)
	work.Parallel(b.workers(), (n+chunk-1)/chunk, func(c int) {
		s, code, turned := b.newSpace(), make([]byte, b.rows.Dim()), make([]float32, b.rows.Dim())
		for i := c * chunk; i < min((c+1)*chunk, n); i++ {
			plain := s.Prepared(i)
			b.img.weight[i] = b.img.quant.Encode(b.img.turn.Apply(plain, turned), code)
			kernel.PackU4(b.img.codes.Row(uint32(i)), code)
			sum, norm, _ := b.quant.Encode(s.point(i, plain), b.codes.Row(uint32(i)))
			b.weight[i], b.bias[i] = norm, norm+256*sum
		}
	})
}

// train learns both codings from count evenly spread rows.
func (b *builder) train(count int) {
	n, dim := b.rows.Len(), b.rows.Dim()
	turned := vector.Matrix{Data: make([]float32, count*dim), D: dim}
	points := vector.Matrix{Data: make([]float32, count*b.dim), D: b.dim}
	s := b.newSpace()
	for i := range count {
		row := s.Prepared(i * n / count)
		b.img.turn.Apply(row, turned.Vector(i))
		copy(points.Vector(i), s.point(i, row))
	}
	b.img.quant.Train(turned)
	b.quant = sq8.Quantiser{Set: b.cfg.Set, Metric: vector.L2, Mean: make([]float32, b.dim)}
	b.quant.Train(points)
}
