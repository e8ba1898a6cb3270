package beam

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPool compares a pool with a sorted list.
func TestPool(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for size := range 40 {
		var p Pool
		p.Reset(size + 1)
		var all []uint64
		marked := map[uint32]bool{}
		for id := range uint32(300) {
			key := uint32(r.IntN(100))
			if key < p.Bound() {
				p.Insert(Item(key, id))
			}
			all = append(all, Item(key, id))
			switch r.IntN(3) {
			case 0:
				want, ok := best(all, size+1, marked)
				it, got := p.Next()
				if ok != got || (ok && ID(it) != ID(want)) {
					t.Fatalf("size %d: next %d %v, want %d %v", size+1, ID(it), got, ID(want), ok)
				}
				if ok {
					marked[ID(it)] = true
				}
			case 1:
				it := all[r.IntN(len(all))]
				inside := slices.Contains(kept(all, size+1), it) && !marked[ID(it)]
				if p.Mark(it) != inside {
					t.Fatalf("size %d: mark of %d is not %v", size+1, ID(it), inside)
				}
				if inside {
					marked[ID(it)] = true
				}
			}
		}
		for i, it := range p.Items() {
			if want := kept(all, size+1)[i]; it&^mark != want || Key(it) != Key(want) {
				t.Fatalf("size %d: place %d holds %d, want %d", size+1, i, ID(it), ID(want))
			}
		}
	}
}

// kept returns what a pool holds that was offered all: an item that comes when the pool is full must have a lower key.
func kept(all []uint64, size int) []uint64 {
	var list []uint64
	for _, it := range all {
		if len(list) == size && Key(it) >= Key(list[size-1]) {
			continue
		}
		list = append(list, it)
		slices.Sort(list)
		list = list[:min(size, len(list))]
	}
	return list
}

func best(all []uint64, size int, marked map[uint32]bool) (uint64, bool) {
	for _, it := range kept(all, size) {
		if !marked[ID(it)] {
			return it, true
		}
	}
	return 0, false
}
