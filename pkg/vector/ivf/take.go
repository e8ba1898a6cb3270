package ivf

import "math"

// takeSums offers rows of which the sum alone is known.
func (c *residualCoder) takeSums(at uint32, n int) {
	s, base := c.s, c.base+c.bias
	last := (s.pool.bound + c.slack - base) / c.scale
	if last < 0 {
		return
	}
	if !(last < math.MaxUint16-1) {
		for i, d := range c.sums[:n] {
			v := base + c.scale*float32(d)
			s.offer(v-c.slack, v+c.slack, at+uint32(i))
		}
		return
	}
	found := s.x.quant.Set.FilterU16(c.sums[:n], nil, uint16(last)+1, c.near, c.which)
	for i, d := range c.near[:found] {
		v := base + c.scale*float32(d)
		s.offer(v-c.slack, v+c.slack, at+c.which[i])
	}
}

// take offers rows by values: estimates without the list's base, for RaBitQ the least that they can be.
func (c *residualCoder) take(at uint32, n int) {
	s, img := c.s, c.s.x.img
	two := img.head.factors() == 2
	below := -c.slack
	if two {
		below = 0
	}
	limit := s.pool.bound - c.base - below
	for i, v := range c.values[:n] {
		if !(v <= limit) {
			continue
		}
		least, above := c.base+v+below, c.slack
		if two {
			above *= img.factors[2*(int(at)+i)+1]
		}
		most := least + 2*above
		if math.IsInf(float64(least), -1) {
			most = float32(math.Inf(1)) // nothing is known
		}
		s.offer(least, most, at+uint32(i))
		limit = s.pool.bound - c.base - below
	}
}
