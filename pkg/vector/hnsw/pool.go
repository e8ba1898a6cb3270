package hnsw

import (
	"slices"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// pool is the list of the best nodes seen, sorted, with a mark on those whose links were followed. An item packs
// key<<32 | id<<1 | mark, where a smaller key is a smaller distance.
type pool struct {
	items  []uint64 // with room for spare more than size
	size   int      // capacity
	cursor int      // no unmarked item lies before it
	wide   bool     // whether this machine and tier have insertWide
}

const (
	mark  = 1
	spare = 16
)

func item(key, id uint32) uint64 { return uint64(key)<<32 | uint64(id)<<1 }

func itemID(it uint64) uint32 { return uint32(it) >> 1 }

func itemKey(it uint64) uint32 { return uint32(it >> 32) }

func newPool(set kernel.Set) pool { return pool{wide: canInsertWide(set)} }

func (p *pool) reset(size int) {
	p.items = slices.Grow(p.items[:0], size+spare)
	p.size = size
	p.cursor = 0
}

// bound returns the key that a node must be below to enter.
func (p *pool) bound() uint32 {
	if len(p.items) < p.size {
		return ^uint32(0)
	}
	return itemKey(p.items[len(p.items)-1])
}

// insert adds a node that lies below bound.
func (p *pool) insert(it uint64) {
	n := len(p.items)
	if n == p.size {
		n-- // the last one falls out
	}
	p.items = p.items[:n+1]
	var at int
	if p.wide {
		at = insertWide(&p.items[0], n, it)
	} else {
		at = insertPlain(p.items, n, it)
	}
	p.cursor = min(p.cursor, at)
}

// insertPlain inserts it into the first n of items, which are sorted, and returns its place.
func insertPlain(items []uint64, n int, it uint64) int {
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if items[mid] < it {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	copy(items[lo+1:n+1], items[lo:n])
	items[lo] = it
	return lo
}

// next marks and returns the best node without a mark, as an item.
func (p *pool) next() (uint64, bool) {
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

// peek returns the node that next would return now, as an item.
func (p *pool) peek() (uint64, bool) {
	for i := p.cursor; i < len(p.items); i++ {
		if it := p.items[i]; it&mark == 0 {
			p.cursor = i
			return it, true
		}
	}
	p.cursor = len(p.items)
	return 0, false
}
