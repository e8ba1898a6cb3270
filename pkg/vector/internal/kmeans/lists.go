package kmeans

import (
	"container/heap"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// Lists is numbers in lists: list l is IDs[Offs[l]:Offs[l+1]], ascending.
type Lists struct {
	Offs []uint32
	IDs  []uint32
}

// Group sorts 0 to len(assign)-1 by their lists.
func Group(assign []uint32, lists int) Lists {
	g := Lists{Offs: make([]uint32, lists+1), IDs: make([]uint32, len(assign))}
	for _, l := range assign {
		g.Offs[l+1]++
	}
	for l := range lists {
		g.Offs[l+1] += g.Offs[l]
	}
	next := append([]uint32(nil), g.Offs[:lists]...)
	for i, l := range assign {
		g.IDs[next[l]] = uint32(i)
		next[l]++
	}
	return g
}

// Count returns the number of lists.
func (g *Lists) Count() int { return len(g.Offs) - 1 }

// List returns the members of a list.
func (g *Lists) List(l int) []uint32 { return g.IDs[g.Offs[l]:g.Offs[l+1]] }

// DropEmpty takes out lists without members; keep is told which list gets which new number, in ascending order.
func (g *Lists) DropEmpty(keep func(list, as int)) {
	kept := 0
	for l := range g.Count() {
		if g.Offs[l+1] == g.Offs[kept] {
			continue
		}
		keep(l, kept)
		kept++
		g.Offs[kept] = g.Offs[l+1]
	}
	g.Offs = g.Offs[:kept+1]
}

// fillEmpty moves one randomly drawn row of a large list into each empty one. Among rows that are all equal it cannot help,
// and the list stays empty in the end, which is no harm.
func (g *Lists) fillEmpty(assign []uint32) {
	var empty []int
	var large donors
	for l := range g.Count() {
		switch n := len(g.List(l)); n {
		case 0:
			empty = append(empty, l)
		default:
			large = append(large, donor{l, n})
		}
	}
	if len(empty) == 0 {
		return
	}
	heap.Init(&large)
	for _, l := range empty {
		from := &large[0]
		if from.size < 2 {
			break
		}
		members := g.List(from.list)
		at := int(work.Mix(uint64(l)+seed) % uint64(len(members)))
		for assign[members[at]] != uint32(from.list) { // moved already; fewer than all are, since each halves the size
			at = (at + 1) % len(members)
		}
		assign[members[at]] = uint32(l)
		from.size -= from.size / 2 // the new centroid takes about half of the list in the next round
		heap.Fix(&large, 0)
	}
	*g = Group(assign, g.Count())
}

// donor is a list that may give members away.
type donor struct{ list, size int }

// donors is a heap: the largest first, the lowest number among equals.
type donors []donor

func (d donors) Len() int { return len(d) }
func (d donors) Less(i, j int) bool {
	return d[i].size > d[j].size || d[i].size == d[j].size && d[i].list < d[j].list
}
func (d donors) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *donors) Push(x any)   { *d = append(*d, x.(donor)) }
func (d *donors) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
