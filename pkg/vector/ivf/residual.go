package ivf

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// residuals are rows without the reference of their list.
type residuals struct {
	img   *Image
	quant *sq8.Quantiser
	rows  vector.Rows
}

// reference writes the reference of a list: what it codes rows beside.
func (img *Image) reference(l int, out []float32) {
	pull := img.reach[l].Pull
	for d, v := range img.centroid(l) {
		out[d] = pull * v
	}
}

// sample returns count evenly spread residuals.
func (r residuals) sample(count int) vector.Matrix {
	img, dim := r.img, r.img.head.dim
	m := vector.Matrix{Data: make([]float32, count*dim), D: dim}
	coder, ref := r.quant.NewCoder(r.rows), make([]float32, dim)
	l, have := 0, -1
	for i := range count {
		at := uint32(i * img.head.rows / count)
		for img.offs[l+1] <= at {
			l++
		}
		if l != have {
			img.reference(l, ref)
			have = l
		}
		subtract(coder.Prepared(int(img.ids[at])), ref, m.Vector(i))
	}
	return m
}

// subtract writes x - y; what is not finite becomes 0, as no code can stand for it.
func subtract(x, y, out []float32) {
	for d, v := range x {
		if v -= y[d]; v-v != 0 {
			v = 0
		}
		out[d] = v
	}
}

// encodeStep is the number of rows that are coded together: whole blocks.
const encodeStep = 8 * kernel.PQ4Block

// listCoder codes the rows of lists. It is one worker's scratch.
type listCoder struct {
	residuals
	product  *pq.Encoder // of PQ
	along    float32
	rotation *rabitq.Rotation // of RaBitQ
	turned   []float32
	ref      []float32
	turnRef  []float32
	rest     []float32 // residuals of a step
	whole    []float32 // the rows themselves
	codes    []byte
}

func (img *Image) encodeResiduals(ctx context.Context, cfg Config, r residuals) error {
	workers := work.Workers(cfg.Workers)
	quant := img.product(cfg.Set)
	if cfg.Coding == PQ {
		if err := quant.Train(ctx, r.sample(quant.SampleSize(img.head.rows)), workers); err != nil {
			return err
		}
		quant.Prepare()
	}
	rotation := rabitq.NewRotation(img.head.dim)
	errs := make([]sums, img.count())
	err := work.Try(ctx, workers, img.count(), func(l int) {
		c := newListCoder(r, cfg)
		c.rotation = rotation
		if cfg.Coding == PQ {
			c.product = quant.NewEncoder()
		}
		c.list(l)
		if cfg.Coding == PQ {
			errs[l] = c.measure(l, quant)
		}
	})
	if err == nil && cfg.Coding == PQ {
		img.head.scale = spread(errs)
	}
	return err
}

// product returns the quantiser over the image's books.
func (img *Image) product(set kernel.Set) *pq.Quantiser {
	return &pq.Quantiser{Set: set, Dim: img.head.dim, M: img.head.parts, Bits: img.head.bits, Books: img.books}
}

func newListCoder(r residuals, cfg Config) *listCoder {
	dim := r.img.head.dim
	c := &listCoder{
		residuals: r, along: cfg.Along, ref: make([]float32, dim), rest: make([]float32, encodeStep*dim),
		whole: make([]float32, encodeStep*dim), codes: make([]byte, encodeStep*r.img.head.parts),
	}
	c.turned, c.turnRef = make([]float32, rabitq.Bits(dim)), make([]float32, rabitq.Bits(dim))
	return c
}

func (c *listCoder) list(l int) {
	img, dim, m := c.img, c.img.head.dim, c.img.head.parts
	img.reference(l, c.ref)
	if c.product == nil {
		c.rotation.Turn(c.ref, c.turnRef)
	}
	coder := c.quant.NewCoder(c.rows)
	for at := img.offs[l]; at < img.offs[l+1]; at += encodeStep {
		n := int(min(encodeStep, img.offs[l+1]-at))
		for i := range n {
			x := coder.Prepared(int(img.ids[int(at)+i]))
			copy(c.whole[i*dim:], x)
			subtract(x, c.ref, c.rest[i*dim:(i+1)*dim])
		}
		codes := c.codes[:n*m]
		if c.product != nil {
			c.parts(n, codes, at)
		} else {
			c.signs(l, n, codes, at)
		}
		if !img.head.blocked() {
			copy(img.bytes[int(at)*m:], codes)
			continue
		}
		first := int(img.blockAt[l]) + int(at-img.offs[l])/kernel.PQ4Block
		kernel.PackPQ4(img.blocks[first*m*16:], codes, m)
	}
}

// parts codes n residuals by PQ.
func (c *listCoder) parts(n int, codes []byte, at uint32) {
	img, dim, m := c.img, c.img.head.dim, c.img.head.parts
	c.product.Encode(c.rest[:n*dim], codes)
	for i := range n {
		code := codes[i*m : (i+1)*m]
		if img.head.metric == vector.L2 {
			img.factors[int(at)+i] = c.lengthFactor(c.rest[i*dim:(i+1)*dim], code)
			continue
		}
		if c.along > 1 {
			x := c.whole[i*dim : (i+1)*dim]
			if n := math.Sqrt(dot(x, x)); n > 0 && !math.IsInf(n, 0) {
				for d := range x {
					x[d] = float32(float64(x[d]) / n)
				}
				c.product.Turn(c.rest[i*dim:(i+1)*dim], x, c.along, code)
			}
		}
	}
}

// lengthFactor returns |rest|² + 2<reference, y> for the y that the code of a residual stands for. With q's squared distance
// from the reference r, and less 2<q, y>, it estimates the distance from q to r + rest: the error is that of <q-r, y>.
func (c *listCoder) lengthFactor(rest []float32, code []byte) float32 {
	y := c.turned[:len(rest)]
	c.product.Decode(code, y)
	return float32(dot(rest, rest) + 2*dot(c.ref, y))
}

// signs codes n residuals by RaBitQ. With reference r and the estimate F<b, P q> of the inner product with x - r, it keeps:
// for L2, |q-x|² = |q-r|² + |x-r|² - 2<q-r, x-r>, the factors |x-r|² + 2F<b, P r> and 2F; for the others,
// -<q, x> = -<q, r> - <r, x-r> - <q-r, x-r>, the factors F<b, P r> - <r, x-r> and F.
func (c *listCoder) signs(l, n int, codes []byte, at uint32) {
	img, dim, m := c.img, c.img.head.dim, c.img.head.parts
	for i := range n {
		rest, nibbles := c.rest[i*dim:(i+1)*dim], codes[i*m:(i+1)*m]
		c.rotation.Turn(rest, c.turned)
		code := rabitq.Encode(c.turned, nibbles)
		of := float64(code.Factor) * float64(rabitq.Product(nibbles, c.turnRef))
		fixed, factor := of-dot(c.ref, rest), float64(code.Factor)
		if img.head.metric == vector.L2 {
			fixed, factor = dot(rest, rest)+2*of, 2*factor
		}
		if !finite(fixed) || !finite(factor) || !finite(dot(c.whole[i*dim:(i+1)*dim], c.ref)) {
			fixed, factor = math.Inf(-1), 0 // no estimate: always scored exactly
		}
		f := img.factors[2*(int(at)+i):]
		f[0], f[1] = float32(fixed), float32(factor)
		img.reach[l].Off = max(img.reach[l].Off, code.Spread)
	}
}

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat32 }
