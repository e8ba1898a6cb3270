// Package sq8 codes vectors as small integers, so that distances between them are integer products.
//
// A row is centred on the rows' mean, scaled by one factor and rounded to [-127, 127] (for Cosine after normalising). Codes
// order rows nearly as scores do; how nearly is measured once per index (MeasureWidening), and searches score that many
// candidates exactly. The package does not say which rows are looked at: graphs walk, lists are scanned.
package sq8

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// sampleRows is the number of rows that mean and scale are taken from.
const sampleRows = 20000

// Quantiser maps vectors to codes: c = round((x - mean) / scale), clamped to [-127, 127].
type Quantiser struct {
	Set    kernel.Set
	Metric vector.Metric
	Mean   []float32
	Scale  float32
	// Rotation, if not nil, turns vectors before they are coded.
	Rotation *Rotation
	// Pull is how much the mean counts when rows are compared with each other by inner product; see Train.
	Pull float64
}

// Prepare returns x as it is coded: normalised for Cosine, then turned. It may use buf as memory, which is as long as x.
func (q *Quantiser) Prepare(x, buf []float32) []float32 {
	if q.Metric != vector.Cosine && q.Rotation == nil {
		return x
	}
	buf = buf[:len(x)]
	inv := float32(1)
	if q.Metric == vector.Cosine {
		inv = 0
		if n := math.Sqrt(float64(q.Set.Dot(x, x))); n > 0 {
			inv = float32(1 / n)
		}
	}
	for i, v := range x {
		buf[i] = v * inv
	}
	if q.Rotation != nil {
		q.Rotation.Apply(buf)
	}
	return buf
}

// Coder brings rows into the form that is coded. It is one worker's scratch.
type Coder struct {
	q    *Quantiser
	rows vector.Rows
	raw  []float32 // a row that is not stored as single-precision numbers
	buf  []float32
}

// NewCoder returns a Coder over rows, which lie in memory.
func (q *Quantiser) NewCoder(rows vector.Rows) *Coder {
	c := &Coder{q: q, rows: rows, buf: make([]float32, rows.Dim())}
	if rows.Elem() != kernel.F32 {
		c.raw = make([]float32, rows.Dim())
	}
	return c
}

// Vector returns row i, valid until the next call.
func (c *Coder) Vector(i int) []float32 { return c.q.Set.Decode(c.rows.Elem(), c.rows.Row(i), c.raw) }

// Prepared returns row i as it is coded, valid until the next call.
func (c *Coder) Prepared(i int) []float32 { return c.q.Prepare(c.Vector(i), c.buf) }

// Train sets Mean, Scale and Pull from evenly spread rows.
//
// In an inner product the mean favours the same rows for every query. When it is longer than the rows' offsets from it, all
// nodes of a graph would link to those few rows and leave it unconnected; its weight is then cut to the length of the
// offsets. Rows of equal length need no cut: there the inner product orders like the distance, mean included.
func (q *Quantiser) Train(rows vector.Rows) {
	n, dim := rows.Len(), rows.Dim()
	count := min(n, sampleRows)
	sum, coder := make([]float64, dim), q.NewCoder(rows)
	var squares, fourths float64
	for i := range count {
		length := 0.0
		for d, v := range coder.Prepared(i * n / count) {
			sum[d] += float64(v)
			length += float64(v) * float64(v)
		}
		squares += length
		fourths += length * length
	}
	share, meanLength := 1/float64(max(count, 1)), 0.0
	for d := range sum {
		q.Mean[d] = float32(sum[d] * share)
		meanLength += float64(q.Mean[d]) * float64(q.Mean[d])
	}
	squares, fourths = squares*share, fourths*share
	q.Pull = 1
	offset, deviation := squares-meanLength, math.Sqrt(max(0, fourths-squares*squares))
	if deviation > offset/10 && meanLength > offset {
		q.Pull = math.Sqrt(max(0, offset) / meanLength)
	}
	var widest float32
	q.eachOffset(coder, count, func(v float32) { widest = max(widest, v) })
	q.Scale = 1
	if !(widest > 0) || math.IsInf(float64(widest), 0) || widest/127 == 0 {
		return
	}
	const bins = 1024
	var hist [bins]int
	perBin := bins / (widest * 1.0001)
	q.eachOffset(coder, count, func(v float32) { hist[min(int(v*perBin), bins-1)]++ })
	if s := bestClip(hist[:]) * widest / 127; s > 0 {
		q.Scale = s
	}
}

// eachOffset calls fn with the distance of every sampled component from its mean.
func (q *Quantiser) eachOffset(coder *Coder, count int, fn func(float32)) {
	n := coder.rows.Len()
	for i := range count {
		for d, v := range coder.Prepared(i * n / count) {
			v -= q.Mean[d]
			if v < 0 {
				v = -v
			}
			fn(v)
		}
	}
}

// bestClip returns the share of the widest offset at which clipping gives the least squared error: rounding costs
// step^2/12 inside, and what lies outside loses its excess. One scale serves all dimensions, so a few wide ones must not
// take the resolution from the rest.
func bestClip(hist []int) float32 {
	best, bestErr := float32(1), math.Inf(1)
	for clip := 1.0; clip >= 0.05; clip -= 0.05 {
		step := clip / 127
		sum := 0.0
		for b, count := range hist {
			x := (float64(b) + 0.5) / float64(len(hist))
			e := step * step / 12
			if x > clip {
				e = (x - clip) * (x - clip)
			}
			sum += e * float64(count)
		}
		if sum < bestErr {
			best, bestErr = float32(clip), sum
		}
	}
	return best
}

// Encode writes the code of x and returns what the kernels need besides: sum(c), |c|^2 and <mean, c>/scale.
func (q *Quantiser) Encode(x []float32, code []byte) (sum, norm int32, along float64) {
	inv := 1 / q.Scale
	mean := q.Mean[:len(x)]
	code = code[:len(x)]
	for d, v := range x {
		// Adding 128.5 first makes the conversion round to the nearest on both sides of zero.
		c := int32(max(-127, min(127, (v-mean[d])*inv)) + 128.5)
		code[d] = byte(c)
		c -= 128
		sum += c
		norm += c * c
		along += float64(mean[d]) * float64(c)
	}
	return sum, norm, along / float64(q.Scale)
}

// Coded is a query ready for the kernels: distance = Ratio*weight[id] + Bias - 2<Q, u>.
type Coded struct {
	Q       []int8 // as long as a code row
	Bias    int32
	Ratio   float32 // 1 unless the query is far wider than the rows; see fit
	Weights bool    // whether weights count
	Length  float64 // of Q
	High    int32   // what Bias is for distances by high halves, see Planes

	inv float32 // Q is the query, or its offset from the mean, times this
}

// Query codes x, using and keeping the memory of c.Q.
func (q *Quantiser) Query(x []float32, c *Coded) {
	c.Ratio, c.Weights = 1, q.Metric != vector.IP
	c.inv = 1 / q.Scale
	mean := q.Mean
	if !c.Weights {
		// <x, y> = scale*<x, c> + <x, mean>: the second part is the same for all y, the first allows x its own scale.
		c.inv, mean = q.ownScale(x), nil
	}
	sum, norm, ok := code(x, mean, c.inv, c.Q)
	if !ok {
		if c.Weights {
			if own := q.fit(x); own > 0 {
				c.inv, c.Ratio = own, own*q.Scale
			}
		}
		sum, norm = codeClamped(x, mean, c.inv, c.Q)
	}
	clear(c.Q[len(x):])
	c.Length = math.Sqrt(float64(norm))
	c.Bias, c.High = 256*sum, 240*sum
	if c.Weights && c.Ratio == 1 {
		c.Bias += norm
		c.High += norm
	}
	c.High /= Unit
}

// code writes the codes of (x - mean)*inv to out, if none of them has to be clamped.
func code(x, mean []float32, inv float32, out []int8) (sum, norm int32, ok bool) {
	// Adding round leaves a whole number, rounded to even, in the low bits of the mantissa.
	const (
		round = 3 << 22
		base  = 0x4b400000 // its bits
	)
	out = out[:len(x)]
	var over int32
	if mean == nil {
		for d, v := range x {
			i := int32(math.Float32bits(v*inv+round)) - base
			out[d] = int8(i)
			sum += i
			norm += i * i
			over |= (i + 127) | (127 - i)
		}
		return sum, norm, over >= 0
	}
	mean = mean[:len(x)]
	for d, v := range x {
		i := int32(math.Float32bits((v-mean[d])*inv+round)) - base
		out[d] = int8(i)
		sum += i
		norm += i * i
		over |= (i + 127) | (127 - i) // negative when i is outside
	}
	return sum, norm, over >= 0
}

func codeClamped(x, mean []float32, inv float32, out []int8) (sum, norm int32) {
	for d, v := range x {
		if mean != nil {
			v -= mean[d]
		}
		v = max(-127, min(127, v*inv))
		i := int32(math.RoundToEven(float64(v)))
		out[d] = int8(i)
		sum += i
		norm += i * i
	}
	return sum, norm
}

func (q *Quantiser) ownScale(x []float32) float32 {
	var widest float32
	for _, v := range x {
		if v = magnitude(v); v > widest {
			widest = v
		}
	}
	if inv := 127 / widest; widest > 0 && !math.IsInf(float64(inv), 0) {
		return inv
	}
	return 1
}

// fit returns 0 when x can be coded with the rows' scale, else the inverse of a wider scale that holds it. Clipping is
// allowed to take a hundredth of the query's squared offset, as it may with rows.
func (q *Quantiser) fit(x []float32) float32 {
	limit := 127 * q.Scale
	var widest float32
	mean := q.Mean[:len(x)]
	for d, v := range x {
		if o := magnitude(v - mean[d]); o > widest {
			widest = o
		}
	}
	if widest <= limit || math.IsInf(float64(widest), 0) {
		return 0
	}
	var total, lost float64
	for d, v := range x {
		o := float64(magnitude(v - mean[d]))
		total += o * o
		if e := o - float64(limit); e > 0 {
			lost += e * e
		}
	}
	if lost <= total/100 {
		return 0
	}
	return 127 / widest
}

func magnitude(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }
