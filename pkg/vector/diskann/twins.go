package diskann

import (
	"bytes"
	"hash/crc64"
	"slices"
)

// findTwins finds rows of equal code. Only the first of them becomes a node with links to others: left to themselves, a
// cloud of equal rows would link to itself alone. The order gets the first ones.
func (b *builder) findTwins() {
	table := crc64.MakeTable(crc64.ECMA)
	first := make(map[uint64]uint32, b.rows.Len())
	b.twins = map[uint32][]uint32{}
	for i := range uint32(b.rows.Len()) {
		code := b.codes.Row(i)
		hash := crc64.Checksum(code, table)
		head, ok := first[hash]
		switch {
		case !ok:
			first[hash] = i
		case bytes.Equal(b.codes.Row(head), code):
			b.twins[head] = append(b.twins[head], i)
			continue
		}
		b.order = append(b.order, i)
	}
	for _, twins := range b.twins {
		b.report.Done(len(twins))
	}
}

// linkTwins hangs the twins of a node below it as a tree, the node at the root: a walk that comes to the node comes to as
// many of them as its pool holds. The root gives its farthest links for it.
func (b *builder) linkTwins() {
	fan := max(1, b.cfg.Degree/4)
	for head, twins := range b.twins {
		children := func(i int) []uint32 { // of the i-th of the group, the head being the 0-th
			from := min(i*fan, len(twins))
			return twins[from:min(from+fan, len(twins))]
		}
		links := slices.Clone(b.linked(head))
		own := children(0)
		links = links[:min(len(links), b.cfg.Degree-len(own))]
		setLinks(b.list(head), append(slices.Clone(own), links...))
		for i, id := range twins {
			setLinks(b.list(id), children(i+1))
		}
	}
}
