// Package beam keeps the best nodes of a walk through a graph.
package beam

import "slices"

// Pool is a list of at most a number of nodes, sorted, with a mark on those that were expanded. An item packs
// key<<32 | id<<1 | mark, where a smaller key is a smaller distance; ids are below 1<<31.
type Pool struct {
	items  []uint64
	size   int // capacity
	cursor int // no unmarked item lies before it
}

const mark = 1

// Item packs a node.
func Item(key, id uint32) uint64 { return uint64(key)<<32 | uint64(id)<<1 }

// ID returns the node of an item.
func ID(it uint64) uint32 { return uint32(it) >> 1 }

// Key returns the key of an item.
func Key(it uint64) uint32 { return uint32(it >> 32) }

// Reset empties the pool and sets its capacity.
func (p *Pool) Reset(size int) {
	p.items = slices.Grow(p.items[:0], size+1)
	p.size, p.cursor = size, 0
}

// Items returns the nodes, nearest first.
func (p *Pool) Items() []uint64 { return p.items }

// Bound returns the key that a node must be below to enter.
func (p *Pool) Bound() uint32 {
	if len(p.items) < p.size {
		return ^uint32(0)
	}
	return Key(p.items[len(p.items)-1])
}

// Insert adds a node, unless its key is not below Bound.
func (p *Pool) Insert(it uint64) {
	if Key(it) >= p.Bound() {
		return
	}
	items := p.items
	at, _ := slices.BinarySearch(items, it)
	if len(items) < p.size {
		items = items[:len(items)+1]
	}
	copy(items[at+1:], items[at:])
	items[at] = it
	p.items = items
	p.cursor = min(p.cursor, at)
}

// Next marks and returns the best node without a mark.
func (p *Pool) Next() (item uint64, ok bool) {
	for i := p.cursor; i < len(p.items); i++ {
		if it := p.items[i]; it&mark == 0 {
			p.items[i] = it | mark
			p.cursor = i + 1
			return it, true
		}
	}
	p.cursor = len(p.items)
	return 0, false
}

// Mark marks a node and reports whether it is in the pool and had no mark.
func (p *Pool) Mark(it uint64) bool {
	at, ok := slices.BinarySearch(p.items, it)
	if ok {
		p.items[at] |= mark
	}
	return ok
}
