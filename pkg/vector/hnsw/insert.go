package hnsw

import (
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
)

// inserter is one worker of a build.
type inserter struct {
	b      *builder
	w      *walker // walks for the node that is inserted
	pair   *walker // measures from one neighbour to others
	cands  []uint64
	near   []uint64
	picks  []uint32
	ids    []uint32
	all    []uint32
	rest   []uint64 // candidates that no picked node is nearer to; see against
	tied   uint64
	from   []uint32
	bucket []uint64
	edges  [buckets][]uint64 // links to make known, by the bucket of the node that gets them
}

func newInserter(b *builder) *inserter {
	g := &b.img.graph
	in := &inserter{b: b, w: newWalker(b.cfg.Set, g)}
	in.w.weight = b.weight
	in.pair = &walker{set: b.cfg.Set, g: g, weight: b.weight, dist: make([]int32, g.m0+1)}
	in.picks = make([]uint32, 0, g.m0+1)
	return in
}

// insert gives the node at a place of the order its links on all its levels and notes those of others to it. The lists of other nodes stay as they
// are, so that workers need not wait for each other.
func (in *inserter) insert(ctx context.Context, id uint32, place int) error {
	g := &in.b.img.graph
	in.b.query(in.w, id)
	level := g.level(id)
	at := in.w.descend(level)
	for l := level; l >= 0; l-- {
		if err := in.w.walk(ctx, at, l, in.b.cfg.EfConstruction); err != nil {
			return err
		}
		in.cands = in.w.candidates(in.cands)
		at = itemID(in.cands[0])
		in.choose(in.cands, g.m)
		setLinks(g.links(id, l), in.picks)
		for _, to := range in.picks {
			in.edges[to%buckets] = append(in.edges[to%buckets], edge(to, l, place))
		}
	}
	return nil
}

func setLinks(list, ids []uint32) {
	n := copy(list, ids)
	for i := n; i < len(list) && list[i] != none; i++ {
		list[i] = none
	}
}

// chooseChunk is the number of candidates that are compared with the picked nodes at a time: the nearest ones decide
// nearly always.
const chooseChunk = 32

// choose picks up to m of the candidates, nearest first: one is left out when a picked one is nearer to it than the query
// is (the neighbour selection heuristic of the HNSW paper). Exact ties count as diverse only up to half of m, so that a
// cloud of equal rows keeps links to the rest.
func (in *inserter) choose(cands []uint64, m int) {
	in.picks = in.picks[:0]
	ties := 0
	for from := 0; from < len(cands); from += chooseChunk {
		in.rest, in.tied = append(in.rest[:0], cands[from:min(from+chooseChunk, len(cands))]...), 0
		for _, pick := range in.picks {
			in.against(pick)
		}
		for len(in.rest) > 0 {
			pick, tied := itemID(in.rest[0]), in.tied&1 != 0
			in.rest, in.tied = in.rest[1:], in.tied>>1
			if tied {
				if ties >= m/2 {
					continue
				}
				ties++
			}
			if in.picks = append(in.picks, pick); len(in.picks) == m {
				return
			}
			in.against(pick)
		}
	}
}

// against drops the candidates in rest that are nearer to a picked node than to the query, and notes those that are as
// near, bit i of tied for the i-th.
func (in *inserter) against(pick uint32) {
	in.ids = in.ids[:0]
	for _, it := range in.rest {
		in.ids = append(in.ids, itemID(it))
	}
	in.b.query(in.pair, pick)
	n, tied := 0, uint64(0)
	for i, d := range in.pair.measure(in.ids) {
		it := in.rest[i]
		key := sq8.Key(d)
		if key < itemKey(it) {
			continue
		}
		tied |= in.tied >> i & 1 << n
		if key == itemKey(it) {
			tied |= 1 << n
		}
		in.rest[n] = it
		n++
	}
	in.rest, in.tied = in.rest[:n], tied
}

// link adds nodes to the list of node to, or picks the list anew when it has no room for them.
func (in *inserter) link(to uint32, level int, from []uint32) {
	list := in.b.img.links(to, level)
	old := filled(list)
	all := append(in.all[:0], old...)
	for _, id := range from {
		if !slices.Contains(old, id) {
			all = append(all, id)
		}
	}
	in.all = all
	if len(all) <= len(list) {
		copy(list, all)
		return
	}
	in.b.query(in.pair, to)
	in.near = in.near[:0]
	for i, d := range in.pair.measure(all) {
		in.near = append(in.near, item(sq8.Key(d), all[i]))
	}
	slices.Sort(in.near)
	in.choose(in.near, len(list))
	setLinks(list, in.picks)
}
