package hnsw

import (
	"context"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
)

// inserter is one worker of a build.
type inserter struct {
	b     *builder
	w     *walker // walks for the node that is inserted
	pair  *walker // measures from one neighbour to others
	cands []uint64
	near  []uint64
	picks []uint32
	ids   []uint32
}

func newInserter(b *builder) *inserter {
	g := &b.img.graph
	in := &inserter{b: b, w: newWalker(b.cfg.Set, g)}
	in.w.weight = b.weight
	in.pair = &walker{set: b.cfg.Set, g: g, weight: b.weight, dist: make([]int32, g.m0+1)}
	in.pair.query.Q = make([]int8, g.codes.Stride)
	in.picks = make([]uint32, 0, g.m0+1)
	in.ids = make([]uint32, 0, g.m0+1)
	return in
}

// from makes a row the query of w.
func (in *inserter) from(w *walker, id uint32) {
	code, q := in.b.img.codes.Row(id), w.query.Q
	src := unsafe.Slice((*uint64)(unsafe.Pointer(&code[0])), len(code)/8)
	dst := unsafe.Slice((*uint64)(unsafe.Pointer(&q[0])), len(code)/8)
	for i, v := range src {
		dst[i] = v ^ 0x8080808080808080 // u = c+128 as a byte differs from c in the top bit
	}
	w.query.Bias, w.query.Ratio, w.query.Weights = in.b.bias[id], 1, true
}

// insert links a node on all its levels: first its own lists are written, then it is made known to others, so that no
// walk meets it without links.
func (in *inserter) insert(ctx context.Context, id uint32) error {
	g := &in.b.img.graph
	if id == g.entry {
		return nil
	}
	in.from(in.w, id)
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
	}
	for l := 0; l <= level; l++ {
		list := g.links(id, l)
		for i := range list {
			to := atomic.LoadUint32(&list[i])
			if to == none {
				break
			}
			in.link(to, id, l)
		}
	}
	return nil
}

func setLinks(list, ids []uint32) {
	for i, id := range ids {
		atomic.StoreUint32(&list[i], id)
	}
	for i := len(ids); i < len(list) && list[i] != none; i++ {
		atomic.StoreUint32(&list[i], none)
	}
}

// choose picks up to m of the candidates, nearest first: one is left out when a picked one is nearer to it than the query
// is (the neighbour selection heuristic of the HNSW paper). Exact ties count as diverse only up to half of m, so that a
// cloud of equal rows keeps links to the rest.
func (in *inserter) choose(cands []uint64, m int) {
	in.picks = in.picks[:0]
	ties := 0
	for _, it := range cands {
		if len(in.picks) == m {
			return
		}
		id, key := itemID(it), uint32(it>>32)
		if len(in.picks) > 0 {
			ok, tie := in.diverse(id, key, ties < m/2)
			if !ok {
				continue
			}
			if tie {
				ties++
			}
		}
		in.picks = append(in.picks, id)
	}
}

// diverse reports whether no picked node is nearer to id than key, and whether one is exactly as near.
func (in *inserter) diverse(id, key uint32, allowTie bool) (ok, tie bool) {
	in.from(in.pair, id)
	const step = 8
	for i := 0; i < len(in.picks); i += step {
		for _, d := range in.pair.measure(in.picks[i:min(i+step, len(in.picks))]) {
			switch k := sq8.Key(d); {
			case k < key:
				return false, false
			case k == key:
				if !allowTie {
					return false, false
				}
				tie = true
			}
		}
	}
	return true, tie
}

// link adds id to the list of node to, or picks the list anew when it is full.
func (in *inserter) link(to, id uint32, level int) {
	mu := &in.b.locks[to%locks]
	mu.Lock()
	defer mu.Unlock()
	list := in.b.img.links(to, level)
	if end := slices.Index(list, none); end >= 0 {
		if !slices.Contains(list[:end], id) {
			atomic.StoreUint32(&list[end], id)
		}
		return
	}
	if slices.Contains(list, id) {
		return
	}
	in.ids = append(append(in.ids[:0], list...), id)
	in.from(in.pair, to)
	in.near = in.near[:0]
	for i, d := range in.pair.measure(in.ids) {
		in.near = append(in.near, item(sq8.Key(d), in.ids[i]))
	}
	slices.Sort(in.near)
	in.choose(in.near, len(list))
	setLinks(list, in.picks)
}
