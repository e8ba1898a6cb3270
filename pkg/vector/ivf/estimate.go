package ivf

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// productDeviations is the number of standard deviations that estimates by PQ are taken to err at most. Their errors depend
// on each other, and large ones are more frequent than with RaBitQ, whose rotation mixes them.
const productDeviations = 3

// residualCoder measures codes of residuals, of PQ and RaBitQ.
//
// An estimate is a squared distance, or for IP and Cosine a negated inner product, with the query brought to length 1 for
// Cosine: base of the list, first factor of the row, and second factor of the row (1 without) times the sum of table
// entries.
type residualCoder struct {
	s        *searcher
	buf      []float32
	query    []float32
	length   float32 // of the query
	product  *pq.Quantiser
	rotation *rabitq.Rotation
	turned   []float32
	table    []float32

	// Of codes in blocks: the table as bytes, and the sums of a step. A sum d stands for scale*d + bias.
	lut         []byte
	scale, bias float32
	rounding    float32 // bound of the error that the bytes bring
	sums        []uint16
	wide        []uint32
	near        []uint16
	which       []uint32
	values      []float32
	least       []float32 // of values, what is low enough

	// Of the list that is looked at.
	square     [1]float32 // of away
	base, away float32    // away is the query's distance from the reference
	slack      float32    // times the second factor
}

func newResidualCoder(s *searcher) *residualCoder {
	img := s.x.img
	h := &img.head
	c := &residualCoder{s: s, buf: make([]float32, h.dim), table: make([]float32, h.parts<<h.bits), values: make([]float32, codeBatch)}
	c.least, c.which = make([]float32, codeBatch), make([]uint32, codeBatch)
	c.product = img.product(s.x.quant.Set)
	if h.coding == RaBitQ {
		c.rotation, c.turned = s.x.rotation, make([]float32, rabitq.Bits(h.dim))
	}
	if !h.blocked() {
		return c
	}
	c.lut = make([]byte, len(c.table))
	if h.parts > kernel.PQ4MaxSub {
		c.wide = make([]uint32, codeBatch)
	} else {
		c.sums, c.near = make([]uint16, codeBatch), make([]uint16, codeBatch)
	}
	return c
}

func (c *residualCoder) begin(query []float32) {
	x, h := c.s.x, &c.s.x.img.head
	c.query = x.quant.Prepare(query, c.buf)
	c.length = float32(math.Sqrt(float64(c.inner(c.query))))
	switch {
	case h.coding == RaBitQ:
		c.rotation.Turn(c.query, c.turned)
		rabitq.Coarsen(c.turned, c.s.p.QueryBits)
		rabitq.Table(c.turned, c.table)
	case h.metric == vector.L2:
		c.product.Table(c.query, -2, c.table)
	default:
		c.product.Table(c.query, -1, c.table)
	}
	if h.blocked() {
		c.scale, c.bias = x.quant.Set.QuantiseTable(c.lut, c.table)
		c.rounding = float32(rabitq.Deviations * 0.29 * math.Sqrt(float64(h.parts)) * float64(c.scale))
	}
}

// locate finds out where the query lies from a list.
func (c *residualCoder) locate(l int) {
	x, r := c.s.x, &c.s.x.img.reach[l]
	centroid := x.img.centroid(l)
	d := &c.square
	switch set := x.quant.Set; x.img.head.metric {
	case vector.Cosine:
		along := r.Pull * c.inner(centroid)
		c.base = -along
		d[0] = 1 - 2*along + r.Pull*r.Pull
	case vector.IP:
		c.base = -c.inner(centroid)
		set.L2Range(c.query, centroid, len(centroid), d[:])
	default:
		set.L2Range(c.query, centroid, len(centroid), d[:])
		c.base = d[0]
	}
	c.away = float32(math.Sqrt(float64(max(0, d[0]))))
	c.slack = 0
	if c.s.pool.counted {
		return
	}
	if c.slack = rabitq.Deviations * c.spread(r); x.img.head.coding == PQ {
		c.slack = productDeviations * c.spread(r)
	}
	c.slack += c.rounding
}

// inner returns the inner product of the query and a vector.
func (c *residualCoder) inner(x []float32) float32 {
	c.s.x.quant.Set.IPRange(c.query, x, len(x), c.square[:])
	return c.square[0]
}

// spread returns the standard deviation of estimates in a list, in units of the second factor.
func (c *residualCoder) spread(r *listReach) float32 {
	switch h := &c.s.x.img.head; {
	case h.coding == RaBitQ:
		return r.Off * c.away
	case h.metric == vector.L2:
		return 2 * h.scale * c.away
	default:
		return h.scale * c.length
	}
}

func (c *residualCoder) reached(score float32) (float32, bool) {
	if c.s.x.img.head.metric.Greater() {
		score = -score
	}
	// Scores and estimates have rounding errors.
	return score + 1e-5*max(score, -score), !c.s.pool.counted
}

func (c *residualCoder) list(ctx context.Context, l int) error {
	s := c.s
	c.locate(l)
	from, to := s.x.img.offs[l], s.x.img.offs[l+1]
	for at := from; at < to; at += codeBatch {
		if err := s.look(ctx); err != nil {
			return err
		}
		n := int(min(codeBatch, to-at))
		s.stats.Distances += n
		s.measured += n
		if !s.x.img.head.blocked() {
			c.bytes(at, n)
			c.take(at, n)
			continue
		}
		first := int(s.x.img.blockAt[l]) + int(at-from)/kernel.PQ4Block
		c.blocks(first, (n+kernel.PQ4Block-1)/kernel.PQ4Block)
		switch f := s.x.img.head.factors(); {
		case f == 0 && c.wide == nil:
			c.takeSums(at, n)
		default:
			c.weigh(at, n)
			c.take(at, n)
		}
	}
	return nil
}

// blocks sums table entries for the codes of some blocks.
func (c *residualCoder) blocks(first, count int) {
	img, set := c.s.x.img, c.s.x.quant.Set
	size := img.head.parts * 16
	blocks := img.blocks[first*size : (first+count)*size]
	if c.wide != nil {
		set.PQ4ScanWide(c.lut, blocks, img.head.parts, c.wide)
		return
	}
	set.PQ4Scan(c.lut, blocks, img.head.parts, c.sums)
}

// weigh turns sums into estimates without the list's base.
func (c *residualCoder) weigh(at uint32, n int) {
	values, scale, bias := c.values[:n], c.scale, c.bias
	if c.wide != nil {
		for i, d := range c.wide[:n] {
			values[i] = scale*float32(d) + bias
		}
	} else {
		for i, d := range c.sums[:n] {
			values[i] = scale*float32(d) + bias
		}
	}
	switch img := c.s.x.img; img.head.factors() {
	case 1:
		for i, f := range img.factors[at : int(at)+n] {
			values[i] += f
		}
	case 2:
		f := img.factors[2*at : 2*(int(at)+n)]
		slack := c.slack
		for i := range values {
			values[i] = f[2*i] + f[2*i+1]*(values[i]-slack)
		}
	}
}

// bytes sums table entries for codes of a byte per part.
func (c *residualCoder) bytes(at uint32, n int) {
	img := c.s.x.img
	m, bits := img.head.parts, img.head.bits
	codes := img.bytes[int(at)*m : (int(at)+n)*m]
	for i := range c.values[:n] {
		c.values[i] = sumCodes(c.table, codes[i*m:(i+1)*m], bits)
	}
	if img.head.factors() == 1 {
		for i, f := range img.factors[at : int(at)+n] {
			c.values[i] += f
		}
	}
}

func sumCodes(table []float32, code []byte, bits int) float32 {
	var a, b, d, e float32
	for len(code) >= 4 {
		a += table[int(code[0])]
		b += table[1<<bits+int(code[1])]
		d += table[2<<bits+int(code[2])]
		e += table[3<<bits+int(code[3])]
		code, table = code[4:], table[4<<bits:]
	}
	for j, v := range code {
		a += table[j<<bits+int(v)]
	}
	return a + b + d + e
}
