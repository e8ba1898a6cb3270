package diskann

import (
	"slices"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector/internal/beam"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// alpha is how much nearer a picked neighbour must be to a candidate to stand in for it, in terms of squared distances: a
// factor above 1 keeps some longer links, by which walks get along in fewer steps.
const alpha = 1.2

// inserter is one worker of a build.
type inserter struct {
	b       *builder
	query   []int8
	bias    int32
	pair    []int8 // a neighbour in the place of the query
	visited []uint64
	pool    beam.Pool
	near    topk.Heap // of hubs
	seen    []uint64  // expanded nodes, as items
	picks   []uint32
	ids     []uint32
	dist    []int32
}

func newInserter(b *builder) *inserter {
	stride := b.codes.Stride
	return &inserter{
		b: b, query: make([]int8, stride), pair: make([]int8, stride), visited: make([]uint64, (b.rows.Len()+63)/64),
		picks: make([]uint32, 0, b.cfg.Degree), ids: make([]uint32, 0, 2*b.cfg.Degree),
	}
}

// from makes a row a query.
func (b *builder) from(query []int8, id uint32) (bias int32) {
	code := b.codes.Row(id)
	src := unsafe.Slice((*uint64)(unsafe.Pointer(&code[0])), len(code)/8)
	dst := unsafe.Slice((*uint64)(unsafe.Pointer(&query[0])), len(code)/8)
	for i, v := range src {
		dst[i] = v ^ 0x8080808080808080 // u = c+128 as a byte differs from c in the top bit
	}
	return b.bias[id]
}

func (in *inserter) measure(query []int8, bias int32, ids []uint32) []int32 {
	if cap(in.dist) < len(ids) {
		in.dist = make([]int32, 2*len(ids))
	}
	dist := in.dist[:len(ids)]
	in.b.cfg.Set.SQ8(query, in.b.codes, ids, in.b.weight, bias, dist)
	return dist
}

// neighbours returns the links that a new node gets: chosen from the nodes that a walk towards it expands.
func (in *inserter) neighbours(id uint32) []uint32 {
	in.walk(id)
	slices.Sort(in.seen)
	return in.choose(in.seen)
}

// walk walks towards a row; the expanded nodes are in seen.
func (in *inserter) walk(id uint32) {
	b := in.b
	in.bias = b.from(in.query, id)
	clear(in.visited)
	in.pool.Reset(b.cfg.SearchList)
	in.seen = in.seen[:0]
	in.start()
	for {
		it, ok := in.pool.Next()
		if !ok {
			return
		}
		in.seen = append(in.seen, it)
		in.ids = in.ids[:0]
		for _, to := range b.list(beam.ID(it)) {
			if to == none {
				break
			}
			if word, bit := &in.visited[to>>6], uint64(1)<<(to&63); *word&bit == 0 {
				*word |= bit
				in.ids = append(in.ids, to)
			}
		}
		if len(in.ids) >= prefetchFrom {
			b.cfg.Set.Prefetch(b.codes, in.ids, b.codes.Stride/64)
		}
		bound := in.pool.Bound()
		for i, d := range in.measure(in.query, in.bias, in.ids) {
			if key := sq8.Key(d); key < bound {
				in.pool.Insert(beam.Item(key, in.ids[i]))
				bound = in.pool.Bound()
			}
		}
	}
}

// start puts the nearest hubs into the pool.
func (in *inserter) start() {
	in.near.Reset(starts)
	hubs := in.b.hubs
	for i, d := range in.measure(in.query, in.bias, hubs) {
		in.near.Push(topk.Pack(sq8.Key(d), hubs[i]))
	}
	for _, p := range in.near.Sort() {
		id := topk.ID(p)
		in.visited[id>>6] |= 1 << (id & 63)
		in.pool.Insert(beam.Item(topk.Key(p), id))
	}
}

// prefetchFrom is the number of nodes from which it pays to ask for their codes at once.
const prefetchFrom = 4

// choose picks up to Degree of the candidates, nearest first: one is left out when a picked one is alpha times nearer to it
// than the new node is (the paper's RobustPrune).
func (in *inserter) choose(cands []uint64) []uint32 {
	in.picks = in.picks[:0]
	for _, it := range cands {
		if len(in.picks) == in.b.cfg.Degree {
			break
		}
		if in.diverse(beam.ID(it), distance(it)) {
			in.picks = append(in.picks, beam.ID(it))
		}
	}
	return in.picks
}

// distance returns the distance that an item was made of.
func distance(it uint64) int32 { return int32(beam.Key(it) ^ 1<<31) }

func (in *inserter) diverse(id uint32, dist int32) bool {
	bias := in.b.from(in.pair, id)
	const step = 8
	for i := 0; i < len(in.picks); i += step {
		for _, d := range in.measure(in.pair, bias, in.picks[i:min(i+step, len(in.picks))]) {
			if alpha*float32(d) <= float32(dist) {
				return false
			}
		}
	}
	return true
}

// linkBack adds the sources of edges to the list of their one target, or picks the list anew when they do not fit.
func (in *inserter) linkBack(edges []uint64) {
	to := uint32(edges[0] >> 32)
	list := in.b.list(to)
	in.ids = append(in.ids[:0], used(list)...)
	for _, e := range edges {
		if source := uint32(e); !slices.Contains(in.ids, source) {
			in.ids = append(in.ids, source)
		}
	}
	if len(in.ids) <= len(list) {
		setLinks(list, in.ids)
		return
	}
	bias := in.b.from(in.query, to)
	in.seen = in.seen[:0]
	for i, d := range in.measure(in.query, bias, in.ids) {
		in.seen = append(in.seen, beam.Item(sq8.Key(d), in.ids[i]))
	}
	slices.Sort(in.seen)
	setLinks(list, in.choose(in.seen))
}
