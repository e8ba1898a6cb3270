package hnsw

import "slices"

// pool is the list of the best nodes seen, sorted, with a mark on those whose links were followed. An item packs
// key<<32 | id<<1 | mark, where a smaller key is a smaller distance.
type pool struct {
	items  []uint64
	size   int // capacity
	cursor int // no unmarked item lies before it
}

const mark = 1

func item(key, id uint32) uint64 { return uint64(key)<<32 | uint64(id)<<1 }

func itemID(it uint64) uint32 { return uint32(it) >> 1 }

func (p *pool) reset(size int) {
	p.items = slices.Grow(p.items[:0], size+1)
	p.size = size
	p.cursor = 0
}

// bound returns the key that a node must be below to enter.
func (p *pool) bound() uint32 {
	if len(p.items) < p.size {
		return ^uint32(0)
	}
	return uint32(p.items[len(p.items)-1] >> 32)
}

// insert adds a node that lies below bound.
func (p *pool) insert(it uint64) {
	items := p.items
	lo, hi := 0, len(items)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if items[mid] < it {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if len(items) < p.size {
		items = items[:len(items)+1]
	}
	copy(items[lo+1:], items[lo:])
	items[lo] = it
	p.items = items
	p.cursor = min(p.cursor, lo)
}

// next marks and returns the best node without a mark.
func (p *pool) next() (uint32, bool) {
	for i := p.cursor; i < len(p.items); i++ {
		if it := p.items[i]; it&mark == 0 {
			p.items[i] = it | mark
			p.cursor = i + 1
			return itemID(it), true
		}
	}
	p.cursor = len(p.items)
	return 0, false
}

// peek returns the node that next would return now.
func (p *pool) peek() (uint32, bool) {
	for i := p.cursor; i < len(p.items); i++ {
		if it := p.items[i]; it&mark == 0 {
			return itemID(it), true
		}
	}
	return 0, false
}
