// Package topk keeps the k smallest of a stream of packed (key, id) pairs.
//
// A pair is one uint64, key<<32 | id, so that pairs order by key and, at equal keys, by id: results are deterministic.
package topk

import "slices"

// Pack makes a pair.
func Pack(key, id uint32) uint64 { return uint64(key)<<32 | uint64(id) }

// Key returns the key of a pair.
func Key(p uint64) uint32 { return uint32(p >> 32) }

// ID returns the id of a pair.
func ID(p uint64) uint32 { return uint32(p) }

// Heap is a max-heap of at most k pairs. The zero value holds none; Reset sets k.
type Heap struct {
	k     int
	pairs []uint64
}

// Reset empties the heap and sets its capacity.
func (h *Heap) Reset(k int) {
	h.k = k
	h.pairs = h.pairs[:0]
}

// Len returns the number of pairs held.
func (h *Heap) Len() int { return len(h.pairs) }

// Full reports whether k pairs are held.
func (h *Heap) Full() bool { return len(h.pairs) >= h.k }

// Bound returns the value that a pair must be below to enter.
func (h *Heap) Bound() uint64 {
	switch {
	case len(h.pairs) < h.k:
		return ^uint64(0)
	case h.k == 0:
		return 0
	}
	return h.pairs[0]
}

// Push offers a pair and reports whether it entered.
func (h *Heap) Push(p uint64) bool {
	if len(h.pairs) < h.k {
		h.pairs = append(h.pairs, p)
		h.up(len(h.pairs) - 1)
		return true
	}
	if h.k == 0 || p >= h.pairs[0] {
		return false
	}
	h.pairs[0] = p
	h.down(0)
	return true
}

// Sort orders the pairs, best first, and returns them; they belong to the heap. Reset it before it is used again.
func (h *Heap) Sort() []uint64 {
	slices.Sort(h.pairs)
	return h.pairs
}

func (h *Heap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.pairs[parent] >= h.pairs[i] {
			return
		}
		h.pairs[parent], h.pairs[i] = h.pairs[i], h.pairs[parent]
		i = parent
	}
}

func (h *Heap) down(i int) {
	n := len(h.pairs)
	for {
		c := 2*i + 1
		if c >= n {
			return
		}
		if c+1 < n && h.pairs[c+1] > h.pairs[c] {
			c++
		}
		if h.pairs[i] >= h.pairs[c] {
			return
		}
		h.pairs[i], h.pairs[c] = h.pairs[c], h.pairs[i]
		i = c
	}
}
