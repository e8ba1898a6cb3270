package ivf

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	iterations = 10
	// settled is the share of rows that may still move for k-means to end early.
	settled = 0.002
	seed    = 0x9e3779b97f4a7c15

	rowBlock      = 64       // rows that pass over a block of centroids while it is in the cache
	centroidBytes = 96 << 10 // of such a block
)

// clustering is centroids that grow out of rows.
type clustering struct {
	set       kernel.Set
	metric    vector.Metric
	rows      vector.Rows
	workers   int
	centroids vector.Matrix
	report    *work.Reporter
}

// lists returns the number of centroids.
func (c *clustering) lists() int { return c.centroids.Len() }

// train finds centroids by Lloyd's algorithm over an evenly spread sample, from randomly drawn rows of it.
func (c *clustering) train(ctx context.Context) error {
	ids := c.sample()
	c.begin(ids)
	assign, before := make([]uint32, len(ids)), make([]uint32, len(ids))
	for range iterations {
		if err := c.assign(ctx, ids, assign); err != nil {
			return err
		}
		l := group(assign, c.lists())
		c.fillEmpty(&l, assign)
		c.update(ids, l)
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

// sample returns the rows that centroids are made from.
func (c *clustering) sample() []uint32 {
	n := c.rows.Len()
	ids := make([]uint32, min(n, c.lists()*samplePerList))
	for i := range ids {
		ids[i] = uint32(i * n / len(ids))
	}
	return ids
}

// begin makes randomly drawn rows of the sample the centroids: one out of each of as many equal parts of it, so that no row
// is drawn twice.
func (c *clustering) begin(ids []uint32) {
	k := c.lists()
	for i := range k {
		from, to := i*len(ids)/k, (i+1)*len(ids)/k
		at := from + int(work.Mix(uint64(i)+seed)%uint64(to-from))
		copy(c.centroids.Vector(i), c.row(ids[at], nil))
		c.normalise(c.centroids.Vector(i))
	}
}

// row returns row id as numbers, in buf unless they are stored as such.
func (c *clustering) row(id uint32, buf []float32) []float32 {
	return c.set.Decode(c.rows.Elem(), c.rows.Row(int(id)), buf)
}

// normalise gives a centroid the length 1 where only angles count.
func (c *clustering) normalise(x []float32) {
	if c.metric != vector.Cosine {
		return
	}
	if n := math.Sqrt(float64(c.set.Dot(x, x))); n > 0 && !math.IsInf(n, 0) {
		inv := float32(1 / n)
		for d := range x {
			x[d] *= inv
		}
	}
}

// assign stores the number of the nearest centroid of row ids[i] in out[i]. The lowest number wins among equals, so the
// result does not depend on workers.
func (c *clustering) assign(ctx context.Context, ids, out []uint32) error {
	blocks := (len(ids) + rowBlock - 1) / rowBlock
	return work.Try(ctx, c.workers, blocks, func(b int) {
		from, to := b*rowBlock, min((b+1)*rowBlock, len(ids))
		c.assignBlock(ids[from:to], out[from:to])
		c.report.Done(to - from)
	})
}

func (c *clustering) assignBlock(ids, out []uint32) {
	dim, k := c.rows.Dim(), c.lists()
	step := min(k, max(4, centroidBytes/(4*dim)))
	dist, buf := make([]float32, step), make([]float32, dim)
	var best [rowBlock]float32
	for i := range best {
		best[i] = float32(math.Inf(1))
	}
	clear(out)
	for from := 0; from < k; from += step {
		d := dist[:min(step, k-from)]
		block := c.centroids.Data[from*dim:]
		for i, id := range ids {
			c.distances(c.row(id, buf), block, d)
			for j, v := range d {
				if v < best[i] {
					best[i], out[i] = v, uint32(from+j)
				}
			}
		}
	}
}

// distances measures from a row to the first len(out) centroids of a block. For Cosine, where centroids have length 1, that
// is the inner product: the length of the row counts for all of them alike.
func (c *clustering) distances(row, block, out []float32) {
	if c.metric != vector.Cosine {
		c.set.L2Range(row, block, len(row), out)
		return
	}
	c.set.IPRange(row, block, len(row), out)
	for i := range out {
		out[i] = -out[i]
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

// fillEmpty moves one randomly drawn row of a large list into each empty one. Among rows that are all equal it cannot help,
// and the list stays empty in the end, which is no harm.
func (c *clustering) fillEmpty(g *grouping, assign []uint32) {
	sizes := make([]int, c.lists())
	var empty []int
	for l := range sizes {
		if sizes[l] = len(g.list(l)); sizes[l] == 0 {
			empty = append(empty, l)
		}
	}
	for _, l := range empty {
		from := largest(sizes)
		if sizes[from] < 2 {
			break
		}
		members := g.list(from)
		at := int(work.Mix(uint64(l)+seed) % uint64(len(members)))
		for assign[members[at]] != uint32(from) { // moved already; fewer than all are, since each halves the size
			at = (at + 1) % len(members)
		}
		assign[members[at]] = uint32(l)
		sizes[from] -= sizes[from] / 2 // the new centroid takes about half of the list in the next round
	}
	if len(empty) > 0 {
		*g = group(assign, c.lists())
	}
}

func largest(sizes []int) int {
	at := 0
	for l, n := range sizes {
		if n > sizes[at] {
			at = l
		}
	}
	return at
}

// update moves each centroid to the mean of its rows, for Cosine of the rows' directions.
func (c *clustering) update(ids []uint32, g grouping) {
	const step = 16
	dim := c.rows.Dim()
	work.Parallel(c.workers, (c.lists()+step-1)/step, func(b int) {
		sum, buf := make([]float64, dim), make([]float32, dim)
		for l := b * step; l < min((b+1)*step, c.lists()); l++ {
			if members := g.list(l); len(members) > 0 {
				c.mean(ids, members, means{sum, buf}, c.centroids.Vector(l))
			}
		}
	})
}

// means is one worker's scratch: the sum of rows, and a row.
type means struct {
	sum []float64
	row []float32
}

func (c *clustering) mean(ids, members []uint32, m means, out []float32) {
	sum := m.sum
	clear(sum)
	for _, at := range members {
		row := c.row(ids[at], m.row)
		scale := 1.0
		if c.metric == vector.Cosine {
			if scale = math.Sqrt(float64(c.set.Dot(row, row))); scale > 0 {
				scale = 1 / scale
			}
		}
		for d, v := range row {
			sum[d] += scale * float64(v)
		}
	}
	for d := range sum {
		out[d] = float32(sum[d] / float64(len(members)))
	}
	c.normalise(out)
}
