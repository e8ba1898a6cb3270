package hnsw

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// chainTwins chains rows of equal code behind the first of them and takes the others out of the order. Left in, a cloud of
// equal rows would link to itself alone, and a pool full of it would see nothing else.
func (b *builder) chainTwins() {
	g := &b.img.graph
	fillNone(g.twins)
	type hashed struct {
		hash uint64
		id   uint32
	}
	seed := maphash.MakeSeed()
	all := make([]hashed, g.n)
	for i := range all {
		all[i] = hashed{maphash.Bytes(seed, b.code(uint32(i))), uint32(i)}
	}
	slices.SortFunc(all, func(x, y hashed) int {
		if x.hash != y.hash {
			if x.hash < y.hash {
				return -1
			}
			return 1
		}
		return int(x.id) - int(y.id)
	})
	follows := make([]uint64, (g.n+63)/64)
	twins := 0
	for i := 1; i < len(all); i++ {
		prev, id := all[i-1], all[i].id
		// Rows of one hash and different codes may break a chain in two, which costs a node, not correctness.
		if prev.hash == all[i].hash && bytes.Equal(b.code(prev.id), b.code(id)) {
			g.twins[prev.id] = id
			g.upOff[id] = none
			follows[id>>6] |= 1 << (id & 63)
			twins++
		}
	}
	if twins == 0 {
		return
	}
	b.order = slices.DeleteFunc(b.order, func(id uint32) bool { return follows[id>>6]>>(id&63)&1 != 0 })
	b.report.Done(twins)
}

// code returns the code of a row, padding included.
func (b *builder) code(id uint32) []byte { return b.coded[int(id)*b.stride : (int(id)+1)*b.stride] }
