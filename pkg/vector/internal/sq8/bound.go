package sq8

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
)

// Reach bounds a group of coded rows, in steps of the quantiser: Off is the greatest distance of a row from what its code
// stands for, Norm the greatest length of a code.
type Reach struct{ Off, Norm float32 }

// Widen extends r to a row of which Residual returned off and norm.
func (r *Reach) Widen(off, norm float64) {
	r.Off, r.Norm = atLeast(r.Off, off), atLeast(r.Norm, norm)
}

// atLeast returns a number that is not below either, infinite if v is none.
func atLeast(a float32, v float64) float32 {
	if math.IsNaN(v) {
		return float32(math.Inf(1))
	}
	f := float32(v)
	if float64(f) < v {
		f = math.Nextafter32(f, float32(math.Inf(1)))
	}
	return max(a, f)
}

// Residual returns, in steps, how far x lies from what its code stands for, and how long the code is.
func (q *Quantiser) Residual(x []float32, code []byte) (off, norm float64) {
	inv := 1 / float64(q.Scale)
	for d, v := range x {
		c := float64(int(code[d]) - 128)
		e := (float64(v)-float64(q.Mean[d]))*inv - c
		off += e * e
		norm += c * c
	}
	return math.Sqrt(off), math.Sqrt(norm)
}

// Gauge turns distances by code into estimates that have an error of at most a slack, so that a search can tell which rows
// need an exact score. Estimates, like scores, are compared with each other for one query only.
//
// Where weights count and the query fits the rows' scale, an estimate is the length of q - x in steps, and its error at
// most the sum of both rounding errors (triangle inequality). Else it is the inner product by which rows are ordered, with
// the errors that the inequality of Cauchy and Schwarz leaves.
type Gauge struct {
	metric vector.Metric
	rooted bool
	scale  float64
	factor float64 // of inner products of vectors, in units of estimates, for unrooted ones
	shift  float64 // what a score is moved by before factor counts
	off    float64 // how far the query lies from its code, in steps of its own
	length float64 // of the query, or of its offset from the mean, in such steps
	mean   float64 // the length of the mean
	ratio  float64 // of the query's scale to that of the rows; 0 where weights do not count
}

// guess is how many steps a distance by code is off, three deviations: each side's rounding error is 0.29 steps (standard
// deviation) in any direction.
const guess = 0.875

// Guess returns a gauge for the query c that knows no errors, and what Slack would be if rounding errors of codes were
// independent of each other, with three deviations of safety: far less than the bound, and rarely wrong.
func (c *Coded) Guess() (Gauge, float32) {
	if c.Weights && c.Ratio == 1 {
		return Gauge{rooted: true}, guess
	}
	return Gauge{}, float32(1.5 * c.Length)
}

// Gauge returns the gauge of a query x that was coded as c.
func (q *Quantiser) Gauge(x []float32, c *Coded) Gauge {
	g := Gauge{metric: q.Metric, rooted: c.Weights && c.Ratio == 1, scale: float64(q.Scale)}
	inv := 1 / g.scale
	if !g.rooted {
		inv = float64(c.inv)
	}
	if c.Weights {
		g.ratio = float64(c.Ratio)
	}
	var off, length, along, mean float64
	for d, v := range x {
		at := float64(v)
		if c.Weights {
			at -= float64(q.Mean[d])
		} else {
			m := float64(q.Mean[d])
			along += at * m
			mean += m * m
		}
		e := at*inv - float64(c.Q[d])
		off += e * e
		length += at * at
	}
	g.off, g.length = math.Sqrt(off), math.Sqrt(length)*inv
	g.mean = math.Sqrt(mean) / g.scale
	g.factor, g.shift = inv/g.scale, length
	if !c.Weights {
		g.factor, g.shift = -2*inv/g.scale, along
	}
	return g
}

// Estimate returns the estimate that belongs to a distance by code.
func (g *Gauge) Estimate(d int32) float32 {
	if g.rooted {
		return float32(math.Sqrt(float64(max(d, 0))))
	}
	return float32(d)
}

// Limit returns the greatest distance by code whose estimate is at most e.
func (g *Gauge) Limit(e float32) int32 {
	v := float64(e)
	if g.rooted {
		if v < 0 {
			return -1
		}
		v *= v
	}
	if v >= math.MaxInt32 || math.IsNaN(v) {
		return math.MaxInt32
	}
	return int32(math.Floor(max(v, math.MinInt32)))
}

// Exact returns the estimate that a row with this score would have if codes were exact.
func (g *Gauge) Exact(score float32) float32 {
	s := float64(score)
	if g.metric == vector.Cosine {
		s = 2 - 2*s
	}
	if g.rooted {
		return float32(math.Sqrt(max(s, 0)) / g.scale)
	}
	return float32((s - g.shift) * g.factor)
}

// Slack bounds the error of estimates of rows within reach.
func (g *Gauge) Slack(r Reach) float32 {
	off, norm := float64(r.Off), float64(r.Norm)
	e := off + g.off
	if !g.rooted {
		e = 2*(g.length*off+g.off*norm) + g.ratio*off*(2*norm+off) + 2
	}
	if e += g.rounding(norm); e < math.MaxFloat32 {
		return float32(e)
	}
	return float32(math.Inf(1)) // of what is no number, too
}

// rounding bounds the rounding errors of exact scores of rows within norm of the mean, in units of estimates.
func (g *Gauge) rounding(norm float64) float64 {
	switch {
	case g.rooted:
		return 1e-5 * (g.length + norm)
	case g.ratio > 0:
		return 1e-5 * (g.length*g.length/g.ratio + g.length*norm)
	}
	return 1e-5 * g.length * (norm + g.mean)
}
