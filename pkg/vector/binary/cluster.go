package binary

import (
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
)

// settled is the share of the sample below which rows that change their list end the training.
const settled = 0.005

// clustering is centroids on their way to lying amid rows: a space of package kmeans.
type clustering struct {
	cfg       Config
	rows      vector.Rows
	size      int // bytes per row
	centroids []byte
}

func (c *clustering) lists() int { return len(c.centroids) / c.size }

func (c *clustering) centroid(l int) []byte { return c.centroids[l*c.size : (l+1)*c.size] }

// Take makes a row a centroid.
func (c *clustering) Take(centroid int, row uint32) { copy(c.centroid(centroid), c.rows.Row(int(row))) }

// Ready has nothing to do: bits are compared as they are.
func (c *clustering) Ready() {}

// Nearest stores the numbers of the nearest centroids of rows, the lowest of equally near ones.
func (c *clustering) Nearest(rows, out []uint32) {
	s := scorer{set: c.cfg.Set, metric: c.cfg.Metric}
	var scores [batch]float32
	for i, id := range rows {
		s.begin(c.rows.Row(int(id)))
		best := float32(0)
		for l := 0; l < c.lists(); l += batch {
			part := scores[:min(batch, c.lists()-l)]
			s.block(c.centroids[l*c.size:], part)
			for j, score := range part {
				if l+j == 0 || score < best {
					best, out[i] = score, uint32(l+j)
				}
			}
		}
	}
}

// Move moves a centroid amid rows.
func (c *clustering) Move(centroid int, rows []uint32) {
	t := newTally(c.size)
	for _, id := range rows {
		t.add(c.rows.Row(int(id)))
	}
	if c.cfg.Metric == vector.Jaccard {
		t.commonest(c.centroid(centroid))
	} else {
		t.majority(c.centroid(centroid))
	}
}

// tally counts for every bit in how many rows it is set. Counters are kept as planes of bits, one for each binary digit, so
// that a row is added word by word; full planes are emptied into numbers.
type tally struct {
	size   int
	rows   int
	planes [8][]uint64
	since  int // rows in the planes
	counts []uint32
}

func newTally(size int) *tally {
	t := &tally{size: size, counts: make([]uint32, 8*size)}
	for p := range t.planes {
		t.planes[p] = make([]uint64, (size+7)/8)
	}
	return t
}

func (t *tally) add(row []byte) {
	for w := range t.planes[0] {
		carry := word(row[8*w:])
		for p := 0; carry != 0; p++ {
			sum := t.planes[p][w] ^ carry
			carry &= t.planes[p][w]
			t.planes[p][w] = sum
		}
	}
	t.rows++
	if t.since++; t.since == 1<<len(t.planes)-1 {
		t.empty()
	}
}

// word reads up to 8 bytes, zeros behind them.
func word(b []byte) (x uint64) {
	for i, v := range b[:min(8, len(b))] {
		x |= uint64(v) << (8 * i)
	}
	return x
}

func (t *tally) empty() {
	for p, plane := range t.planes {
		for w, x := range plane {
			for ; x != 0; x &= x - 1 {
				t.counts[64*w+bits.TrailingZeros64(x)] += 1 << p
			}
			plane[w] = 0
		}
	}
	t.since = 0
}

// majority sets the bits that more than half of the rows have; a bit that half of them have stays as it is.
func (t *tally) majority(out []byte) {
	t.empty()
	for i, n := range t.counts {
		switch {
		case 2*int(n) > t.rows:
			out[i/8] |= 1 << (i % 8)
		case 2*int(n) < t.rows:
			out[i/8] &^= 1 << (i % 8)
		}
	}
}

// commonest sets as many bits as rows have on the average: those that most rows have, the first of equally common ones.
func (t *tally) commonest(out []byte) {
	t.empty()
	total, with := 0, make([]int, t.rows+1) // bits by the number of rows that have them
	for _, n := range t.counts {
		total += int(n)
		with[n]++
	}
	want, least := (total+t.rows/2)/t.rows, t.rows
	for above := 0; least > 1 && above+with[least] < want; least-- {
		above += with[least]
	}
	clear(out)
	left := want
	for _, n := range with[least+1:] {
		left -= n
	}
	for i, n := range t.counts {
		switch {
		case int(n) > least:
			out[i/8] |= 1 << (i % 8)
		case int(n) == least && left > 0 && n > 0:
			left--
			out[i/8] |= 1 << (i % 8)
		}
	}
}
