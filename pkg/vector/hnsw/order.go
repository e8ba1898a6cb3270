package hnsw

import (
	"fmt"
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

const seed = 0x9e3779b97f4a7c15

// plan draws the level of each node from its number, sorts the nodes by level and counts the words of the upper lists.
// Nodes of a level come in an order drawn from their numbers: neighbours in the data would otherwise be inserted in one
// batch, and not see each other.
func (b *builder) plan() (levels []uint8, upper uint64, err error) {
	n := b.rows.Len()
	levels = make([]uint8, n)
	scale := 1 / math.Log(float64(b.cfg.M))
	drawn := make([]uint64, n) // below the level, from the top: random bits, number
	for i := range levels {
		r := work.Mix(uint64(i) + seed)
		u := (float64(r>>11) + 1) / (1 << 53)
		levels[i] = uint8(min(maxLevel, int(-math.Log(u)*scale)))
		drawn[i] = uint64(maxLevel-levels[i])<<59 | work.Mix(r)>>5&^(1<<31-1) | uint64(i)
		if levels[i] > 0 {
			upper += 1 + uint64(levels[i])*uint64(b.cfg.M)
		}
	}
	if upper >= uint64(none) {
		return nil, 0, fmt.Errorf("%d rows with M %d are too many for one graph", n, b.cfg.M)
	}
	slices.Sort(drawn)
	b.order = make([]uint32, n)
	for i, d := range drawn {
		b.order[i] = uint32(d & (1<<31 - 1))
	}
	return levels, upper, nil
}
