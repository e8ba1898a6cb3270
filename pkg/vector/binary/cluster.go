package binary

import (
	"cmp"
	"context"
	"math/bits"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

const (
	seed       = 0x9e3779b97f4a7c15
	iterations = 10
	// settled is the share of the sample below which rows that change their list end the training.
	settled = 0.005
	// rowBlock is the number of rows that one call of a worker puts to centroids.
	rowBlock = 256
)

// clustering is centroids on their way to lying amid rows.
type clustering struct {
	cfg       Config
	rows      vector.Rows
	size      int // bytes per row
	workers   int
	report    *work.Reporter
	centroids []byte
}

func (c *clustering) lists() int { return len(c.centroids) / c.size }

func (c *clustering) centroid(l int) []byte { return c.centroids[l*c.size : (l+1)*c.size] }

// train moves the centroids until few rows of a sample change their list.
func (c *clustering) train(ctx context.Context) error {
	ids := c.sample()
	c.begin(ids)
	assign, before := make([]uint32, len(ids)), make([]uint32, len(ids))
	for range iterations {
		if err := c.assign(ctx, ids, assign); err != nil {
			return err
		}
		g := group(assign, c.lists())
		c.fillEmpty(&g, assign)
		c.update(ids, g)
		moved := 0
		for i := range assign {
			if assign[i] != before[i] {
				moved++
			}
		}
		if float64(moved) <= settled*float64(len(ids)) {
			break
		}
		assign, before = before, assign
	}
	return ctx.Err()
}

// sample returns evenly spread rows.
func (c *clustering) sample() []uint32 {
	n := c.rows.Len()
	ids := make([]uint32, min(n, c.lists()*samplePerList))
	for i := range ids {
		ids[i] = uint32(i * n / len(ids))
	}
	return ids
}

// begin makes rows the centroids: one drawn from each of as many equal parts of the sample.
func (c *clustering) begin(ids []uint32) {
	k := c.lists()
	for i := range k {
		from, to := i*len(ids)/k, (i+1)*len(ids)/k
		at := from + int(work.Mix(uint64(i)+seed)%uint64(to-from))
		copy(c.centroid(i), c.rows.Row(int(ids[at])))
	}
}

// assign stores the number of the nearest centroid of row ids[i] in out[i], the lowest of equally near ones.
func (c *clustering) assign(ctx context.Context, ids, out []uint32) error {
	return work.Try(ctx, c.workers, (len(ids)+rowBlock-1)/rowBlock, func(b int) {
		s := scorer{set: c.cfg.Set, metric: c.cfg.Metric}
		var scores [batch]float32
		from, to := b*rowBlock, min((b+1)*rowBlock, len(ids))
		for i := from; i < to; i++ {
			s.begin(c.rows.Row(int(ids[i])))
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
		c.report.Done(to - from)
	})
}

// fillEmpty moves one row into each empty list, out of the large ones in turn. Among rows that are all equal it cannot help:
// some lists stay empty in the end, which is no harm.
func (c *clustering) fillEmpty(g *grouping, assign []uint32) {
	var empty, donors []int
	for l := range c.lists() {
		switch len(g.list(l)) {
		case 0:
			empty = append(empty, l)
		case 1:
		default:
			donors = append(donors, l)
		}
	}
	if len(empty) == 0 || len(donors) == 0 {
		return
	}
	slices.SortStableFunc(donors, func(a, b int) int { return cmp.Compare(len(g.list(b)), len(g.list(a))) })
	for i, l := range empty {
		from, round := donors[i%len(donors)], i/len(donors)
		if members := g.list(from); round+1 < len(members) {
			at := (int(work.Mix(uint64(from)+seed)%uint64(len(members))) + round) % len(members)
			assign[members[at]] = uint32(l)
		}
	}
	*g = group(assign, c.lists())
}

// update moves each centroid amid its rows.
func (c *clustering) update(ids []uint32, g grouping) {
	work.Parallel(c.workers, c.lists(), func(l int) {
		members := g.list(l)
		if len(members) == 0 {
			return
		}
		t := newTally(c.size)
		for _, at := range members {
			t.add(c.rows.Row(int(ids[at])))
		}
		if c.cfg.Metric == vector.Jaccard {
			t.commonest(c.centroid(l))
		} else {
			t.majority(c.centroid(l))
		}
	})
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

// grouping is numbers in lists: list l is ids[offs[l]:offs[l+1]], ascending.
type grouping struct {
	offs []uint32
	ids  []uint32
}

// group sorts 0 to len(assign)-1 by their lists.
func group(assign []uint32, lists int) grouping {
	g := grouping{offs: make([]uint32, lists+1), ids: make([]uint32, len(assign))}
	for _, l := range assign {
		g.offs[l+1]++
	}
	for l := range lists {
		g.offs[l+1] += g.offs[l]
	}
	next := append([]uint32(nil), g.offs[:lists]...)
	for i, l := range assign {
		g.ids[next[l]] = uint32(i)
		next[l]++
	}
	return g
}

func (g *grouping) list(l int) []uint32 { return g.ids[g.offs[l]:g.offs[l+1]] }
