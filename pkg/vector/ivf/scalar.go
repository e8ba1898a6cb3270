package ivf

import (
	"context"
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
)

// codeBatch is the number of codes measured per step: their distances stay in the first level of the cache.
const codeBatch = 256

// sparse is the share of allowed rows below which a filter is asked before codes are measured, not after.
const sparse = 0.25

// scalarCoder measures codes of a byte per dimension.
type scalarCoder struct {
	s      *searcher
	buf    []float32
	query  sq8.Coded
	gauge  sq8.Gauge
	guess  float32 // the error of estimates, for SQ8
	dist   []int32
	near   []int32 // of dist, what is near enough
	which  []uint32
	places []uint32
}

func newScalarCoder(s *searcher) *scalarCoder {
	c := &scalarCoder{
		s: s, buf: make([]float32, s.x.img.Dim()), dist: make([]int32, codeBatch), near: make([]int32, codeBatch),
		which: make([]uint32, codeBatch), places: make([]uint32, 0, codeBatch),
	}
	c.query.Q = make([]int8, s.x.img.codes.Stride)
	return c
}

func (c *scalarCoder) begin(query []float32) {
	q := &c.s.x.quant
	x := q.Prepare(query, c.buf)
	q.Query(x, &c.query)
	if c.guessing() {
		c.gauge, c.guess = c.query.Guess()
	} else {
		c.gauge = q.Gauge(x, &c.query)
	}
	c.places = c.places[:0]
}

// slack returns the error of estimates of rows in a list.
func (c *scalarCoder) slack(l int) float32 {
	img := c.s.x.img
	if c.guessing() {
		return c.guess
	}
	return c.gauge.Slack(img.reach[l].Reach)
}

func (c *scalarCoder) guessing() bool { return c.s.x.img.head.coding == SQ8 }

func (c *scalarCoder) reached(score float32) (float32, bool) {
	if c.guessing() {
		return 0, false
	}
	return c.gauge.Exact(score), true
}

func (c *scalarCoder) list(ctx context.Context, l int) error {
	s, slack := c.s, c.slack(l)
	from, to := s.x.img.offs[l], s.x.img.offs[l+1]
	if s.p.Filter != nil && float64(s.allowed) < sparse*float64(s.x.img.Len()) {
		return c.some(ctx, from, to, slack)
	}
	for at := from; at < to; at += codeBatch {
		if err := s.look(ctx); err != nil {
			return err
		}
		dist := c.dist[:min(codeBatch, to-at)]
		c.query.MeasureRange(s.x.quant.Set, s.x.img.codes, int(at), s.x.img.weight, dist)
		s.stats.Distances += len(dist)
		s.measured += len(dist)
		c.take(dist, at, slack)
	}
	return nil
}

// take offers the rows from place at on.
func (c *scalarCoder) take(dist []int32, at uint32, slack float32) {
	s := c.s
	limit := c.gauge.Limit(s.pool.bound + slack)
	if limit == math.MaxInt32 {
		for i, d := range dist {
			e := c.gauge.Estimate(d)
			s.offer(e-slack, e+slack, at+uint32(i))
		}
		return
	}
	n := s.x.quant.Set.Filter(dist, nil, limit+1, c.near, c.which)
	for i, d := range c.near[:n] {
		e := c.gauge.Estimate(d)
		s.offer(e-slack, e+slack, at+c.which[i])
	}
}

// some looks at the allowed rows only.
func (c *scalarCoder) some(ctx context.Context, from, to uint32, slack float32) error {
	s := c.s
	for at := from; at < to; at += testBatch {
		ids := s.x.img.ids[at:min(at+testBatch, to)]
		for allowed := s.test(ids); allowed != 0; allowed &= allowed - 1 {
			c.places = append(c.places, at+uint32(bits.TrailingZeros64(allowed)))
		}
		if at+testBatch < to && len(c.places)+testBatch <= codeBatch {
			continue
		}
		if err := s.look(ctx); err != nil {
			c.places = c.places[:0]
			return err
		}
		dist := c.dist[:len(c.places)]
		c.query.Measure(s.x.quant.Set, s.x.img.codes, c.places, s.x.img.weight, dist)
		s.stats.Distances += len(dist)
		s.found += len(dist)
		for i, d := range dist {
			if e := c.gauge.Estimate(d); e-slack <= s.pool.bound {
				s.pool.add(e-slack, e+slack, c.places[i])
			}
		}
		c.places = c.places[:0]
	}
	return nil
}
