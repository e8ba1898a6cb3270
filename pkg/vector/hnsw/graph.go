package hnsw

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// graph is the parts of an image that a walk touches. Level 0 has m0 links per node, the levels above m. A list ends at
// the first none or at its capacity. A node of level L > 0 has at up[upOff[id]] the word L and then L lists.
type graph struct {
	n, m, m0 int
	entry    uint32 // a node of the top level
	top      int
	scale    float32
	mean     []float32
	rotation *sq8.Rotation
	// codes and weight are what a walk measures: whole codes, or the high halves of planes when split is set. Weights are
	// zero for inner product.
	codes  kernel.Codes
	weight []int32
	split  bool
	planes sq8.Planes
	// product, if not nil, is the codes of the graph instead, whose bytes are codes.
	product *product
	links0  []uint32
	upOff   []uint32
	up      []uint32
	// twins chains the rows of equal code in ascending order: only the first of them is a node with links, the others
	// follow it. none ends a chain.
	twins []uint32
	widen int // see sq8.MeasureWidening, for whole codes
	tuning
}

// links returns the list of a node on a level that the node has.
func (g *graph) links(id uint32, level int) []uint32 {
	if level == 0 {
		at := int(id) * g.m0
		return g.links0[at : at+g.m0 : at+g.m0]
	}
	at := int(g.upOff[id]) + 1 + (level-1)*g.m
	return g.up[at : at+g.m : at+g.m]
}

// level returns the highest level of a node.
func (g *graph) level(id uint32) int {
	if off := g.upOff[id]; off != none {
		return int(g.up[off])
	}
	return 0
}

// check makes sure that no walk can leave the image.
func (g *graph) check() error {
	if g.n == 0 {
		return nil
	}
	if int(g.entry) >= g.n {
		return imagefile.Corrupt("header", "entry node %d of %d", g.entry, g.n)
	}
	if err := checkIDs(g.links0, g.n); err != nil {
		return corrupt(kindLinks, "%v", err)
	}
	for id, off := range g.upOff {
		if off == none {
			continue
		}
		if int(off) >= len(g.up) || g.up[off] == 0 || int(g.up[off]) > g.top || int(off)+1+int(g.up[off])*g.m > len(g.up) {
			return corrupt(kindUpperIndex, "node %d lies outside", id)
		}
	}
	for id, next := range g.twins {
		if next != none && (int(next) >= g.n || int(next) <= id) {
			return corrupt(kindTwins, "row %d follows row %d", next, id)
		}
	}
	if g.level(g.entry) != g.top {
		return imagefile.Corrupt("header", "entry node %d is not on level %d", g.entry, g.top)
	}
	for id := range g.upOff {
		if err := g.checkUpper(uint32(id)); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) checkUpper(id uint32) error {
	for level := g.level(id); level > 0; level-- {
		links := g.links(id, level)
		if err := checkIDs(links, g.n); err != nil {
			return corrupt(kindUpper, "%v", err)
		}
		for _, to := range links {
			if to != none && g.level(to) < level {
				return corrupt(kindUpper, "node %d links to %d on level %d", id, to, level)
			}
		}
	}
	return nil
}

func checkIDs(ids []uint32, n int) error {
	for _, id := range ids {
		if int(id) >= n && id != none {
			return fmt.Errorf("link to node %d of %d", id, n)
		}
	}
	return nil
}
