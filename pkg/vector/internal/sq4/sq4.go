// Package sq4 codes vectors with four bits per component, for walks over graphs whose vectors stay on disk.
//
// Vectors are rotated first (package rotate), which spreads wide components over all. Component d is then coded as c in 0 to
// 15 and stands for Mean[d] + Step[d]*(c-7.5); the steps go into the query, which is coded with eight bits. Distances so got
// order rows well enough to choose which to read; scores are computed from the vectors that come with the reads.
package sq4

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	half = 7.5
	// narrow is the step of a component that is the same in all rows: levels lie half a step beside it, and must not count.
	narrow = 1e-30
)

// Quantiser maps vectors to codes. Its vectors are prepared (sq8.Quantiser.Prepare) and rotated ones.
type Quantiser struct {
	Set        kernel.Set
	IP         bool // order by inner product; else by distance
	Mean, Step []float32
}

// Train sets Mean and Step from a sample of rows: per component the step with the least squared error. Mean is the middle of
// the levels, and up to half a step beside the sample's mean.
func (q *Quantiser) Train(rows vector.Matrix) {
	n, dim := rows.Len(), rows.Dim()
	sum, squares := make([]float64, dim), make([]float64, dim)
	for i := range n {
		for d, v := range rows.Vector(i) {
			sum[d] += float64(v)
			squares[d] += float64(v) * float64(v)
		}
	}
	share := 1 / float64(max(n, 1))
	column := make([]float32, n)
	for d := range dim {
		mean := sum[d] * share
		q.Mean[d] = float32(mean)
		deviation := float32(math.Sqrt(max(0, squares[d]*share-mean*mean)))
		for i := range column {
			column[i] = rows.Data[i*dim+d] - q.Mean[d]
		}
		q.Step[d] = bestStep(column, deviation)
		// Levels lie at another place in each component: where one direction outweighs all others, components are the same
		// numbers up to the sign, and their rounding errors must not be.
		q.Mean[d] += q.Step[d] * (float32(work.Mix(uint64(d)+1)>>40)/(1<<24) - 0.5)
	}
}

// bestStep tries steps around 0.335 deviations, which is the best for normally distributed numbers (Max, 1960).
func bestStep(column []float32, deviation float32) float32 {
	if !(deviation > 0) || math.IsInf(float64(deviation), 0) {
		return narrow
	}
	best, least := deviation, float32(math.Inf(1))
	for _, factor := range [...]float32{0.15, 0.2, 0.24, 0.28, 0.31, 0.335, 0.36, 0.4, 0.46, 0.55, 0.7, 1} {
		step := factor * deviation
		inv := 1 / step
		var lost float32
		for _, v := range column {
			e := v - step*(float32(level(v*inv))-half)
			lost += e * e
		}
		if lost < least {
			best, least = step, lost
		}
	}
	return best
}

// level returns the code of an offset in steps.
func level(v float32) byte { return byte(max(0, min(15, v+half+0.5))) }

// Encode writes the code of x, one byte per component, to code and returns its squared distance from the mean.
func (q *Quantiser) Encode(x []float32, code []byte) (weight float32) {
	for d, v := range x {
		c := level((v - q.Mean[d]) / q.Step[d])
		code[d] = c
		o := q.Step[d] * (float32(c) - half)
		weight += o * o
	}
	return weight
}

// Decode returns component d of the vector that a code stands for.
func (q *Quantiser) Decode(d int, c byte) float32 { return q.Mean[d] + q.Step[d]*(float32(c)-half) }

// Coded is a query ready for Measure.
type Coded struct {
	q    []int8
	unit float32
	bias int32
	base float32 // what Measure leaves out of distances, or of negated products
	sums []int32
	grid []float32
}

// Query codes x.
func (q *Quantiser) Query(x []float32, c *Coded) {
	if c.q == nil {
		c.q, c.grid = make([]int8, 2*kernel.U4Stride(len(x))), make([]float32, len(x))
	}
	var widest, base float32
	for d, v := range x {
		if q.IP {
			base -= v * q.Mean[d]
		} else {
			v -= q.Mean[d]
			base += v * v
		}
		g := v * q.Step[d]
		c.grid[d] = g
		widest = max(widest, max(g, -g))
	}
	c.base, c.unit = base, widest/127
	inv := float32(0)
	if c.unit > 0 && !math.IsInf(float64(1/c.unit), 0) {
		inv = 1 / c.unit
	}
	var sum int32
	for d, g := range c.grid {
		v := int32(math.RoundToEven(float64(max(-127, min(127, g*inv)))))
		c.q[d] = int8(v)
		sum += v
	}
	c.bias = int32(2*half) * sum
	if q.IP {
		c.unit /= 2
	}
}

// Measure stores the distances of the code rows in ids, as keys (vector.L2.Key) that order like them, in keys.
func (q *Quantiser) Measure(c *Coded, codes kernel.Codes, ids []uint32, weight []float32, keys []uint32) {
	if len(c.sums) < len(ids) {
		c.sums = make([]int32, max(len(ids), 256))
	}
	sums := c.sums[:len(ids)]
	q.Set.U4(c.q, codes, ids, nil, c.bias, sums)
	keys = keys[:len(sums)]
	for i, s := range sums {
		d := c.unit * float32(s)
		if !q.IP {
			d += weight[ids[i]]
		}
		keys[i] = vector.L2.Key(d)
	}
}

// Distance returns the distance, or negated inner product, that a key of Measure stands for.
func (c *Coded) Distance(key uint32) float32 { return vector.L2.Score(key) + c.base }
