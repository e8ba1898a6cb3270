package diskann

import (
	"maps"
	"slices"
)

// fillHubs keeps the links of the hubs.
func (b *builder) fillHubs() {
	copy(b.img.hubs, b.order)
	if n := len(b.order); n < len(b.img.hubs) { // the other rows are twins
		for _, id := range slices.Sorted(maps.Keys(b.twins)) {
			n += copy(b.img.hubs[n:], b.twins[id])
		}
	}
	slices.Sort(b.img.hubs)
	r := b.cfg.Degree
	for i, id := range b.img.hubs {
		copy(b.img.hubLinks[i*r:(i+1)*r], b.list(id))
	}
}

// fillSlots puts nodes that are near each other into one block: who reads a block for one node has the others for nothing.
// Blocks are filled in the order of the rows, each from its first node that has no place yet by way of its nearest links.
func (b *builder) fillSlots() {
	per := b.img.geom.perBlock
	slots := b.img.slots
	for i := range slots {
		slots[i] = none
	}
	next := uint32(0)
	put := func(id uint32) bool {
		if slots[id] != none {
			return false
		}
		slots[id] = next
		next++
		return true
	}
	queue := make([]uint32, 0, per*b.cfg.Degree)
	for row := range uint32(len(slots)) {
		if slots[row] != none {
			continue
		}
		put(row)
		queue = append(queue[:0], row)
		for i := 0; i < len(queue) && next%uint32(per) != 0; i++ {
			for _, to := range b.linked(queue[i]) {
				if next%uint32(per) == 0 {
					break
				}
				if put(to) {
					queue = append(queue, to)
				}
			}
		}
	}
}
