package hnsw

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestPool: whatever comes in, in whatever tier, the pool holds the smallest items in order and hands out each once.
func TestPool(t *testing.T) {
	for _, set := range kernel.Tiers() {
		r := rand.New(rand.NewPCG(1, 2))
		p := newPool(set)
		for _, size := range []int{1, 2, 7, 8, 9, 16, 31, 64, 100, 333} {
			p.reset(size)
			var all []uint64
			taken := map[uint32]bool{}
			for id := range uint32(1000) {
				key := r.Uint32()
				if id%3 == 0 {
					key = r.Uint32N(100) | 1<<31
				}
				all = append(all, item(key, id))
				if key < p.bound() {
					p.insert(item(key, id))
				}
				if id%5 == 0 {
					if it, ok := p.next(); ok {
						if taken[itemID(it)] {
							t.Fatalf("%s: node %d twice", set.Name(), itemID(it))
						}
						taken[itemID(it)] = true
					}
				}
			}
			slices.Sort(all)
			for i, it := range p.items {
				// At equal keys the first to come stays.
				if itemKey(it) != itemKey(all[i]) {
					t.Fatalf("%s size %d: item %d has key %d, want %d", set.Name(), size, i, itemKey(it), itemKey(all[i]))
				}
				if (it&mark != 0) != taken[itemID(it)] {
					t.Fatalf("%s size %d: mark of item %d", set.Name(), size, i)
				}
			}
			if len(p.items) != size && len(p.items) != len(all) {
				t.Fatalf("%d items in a pool of %d", len(p.items), size)
			}
		}
	}
}
