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
	below := -c.slack
	if c.s.x.img.head.factors() == 2 {
		below = 0
	}
	limit := c.s.pool.bound - c.base - below
	if !(limit < math.MaxFloat32) {
		for i, v := range c.values[:n] {
			c.offer(c.base+v+below, at+uint32(i))
		}
		return
	}
	limit = math.Nextafter32(limit, math.MaxFloat32)
	found := c.s.x.quant.Set.FilterBelow(c.values[:n], nil, limit, c.least, c.which)
	for i, v := range c.least[:found] {
		c.offer(c.base+v+below, at+c.which[i])
	}
}

// offer offers the row at a place by the least that its score can be.
func (c *residualCoder) offer(least float32, place uint32) {
	above := c.slack
	if img := c.s.x.img; img.head.factors() == 2 {
		above *= img.factors[2*place+1]
	}
	most := least + 2*above
	if math.IsInf(float64(least), -1) {
		most = float32(math.Inf(1)) // nothing is known
	}
	c.s.offer(least, most, place)
}
