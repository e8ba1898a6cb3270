package hnsw

import (
	"context"
	"math"
	"slices"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// checkEvery is the number of hops between two looks at the context: a hop takes about half a microsecond, and some ten
// where links are many and vectors are long.
const checkEvery = 64

// walker is one worker's scratch: it walks a graph for one query at a time.
type walker struct {
	set     kernel.Set
	g       *graph
	weight  []int32 // what stands in for g.weight while building
	query   sq8.Coded
	visited []uint64
	pool    pool
	ids     []uint32
	dist    []int32
	lines   int // cache lines of a code to prefetch
	stop    stop
	stats   vector.Stats
}

// prefetchFrom is the size of a graph's codes from which it pays to prefetch them: smaller ones live in the cache.
const prefetchFrom = 1 << 20

func newWalker(set kernel.Set, g *graph) *walker {
	w := &walker{set: set, g: g, weight: g.weight, visited: make([]uint64, (g.n+63)/64), pool: newPool(set)}
	size := max(g.m0, scanBatch) + 1
	w.ids, w.dist = make([]uint32, size), make([]int32, size)
	w.query.Q = make([]int8, queryBytes(g))
	if len(g.codes.Data) >= prefetchFrom {
		w.lines = g.codes.Stride / 64
	}
	return w
}

// queryBytes returns the length of a coded query.
func queryBytes(g *graph) int {
	if g.split {
		return 2 * g.codes.Stride
	}
	return g.codes.Stride
}

// measure computes the distances of ids into dist.
func (w *walker) measure(ids []uint32) []int32 {
	w.stats.Distances += len(ids)
	if cap(w.dist) < len(ids) {
		w.dist = make([]int32, len(ids))
	}
	dist := w.dist[:len(ids)]
	if w.g.split {
		w.query.MeasureHigh(w.set, w.g.codes, ids, w.weight, dist)
	} else {
		w.query.Measure(w.set, w.g.codes, ids, w.weight, dist)
	}
	return dist
}

// see marks a node as visited.
func (w *walker) see(id uint32) { w.visited[id>>6] |= 1 << (id & 63) }

// unseen marks the nodes of a list as visited and writes those that were not before to dst.
func (w *walker) unseen(links, dst []uint32) []uint32 {
	n := 0
	dst = dst[:len(links)+1]
	visited := w.visited
	for _, id := range links {
		if id == none {
			break
		}
		word := visited[id>>6]
		dst[n] = id
		n += int(^word >> (id & 63) & 1)
		visited[id>>6] = word | 1<<(id&63)
	}
	return dst[:n]
}

// descend walks greedily from the entry node down to a level and returns where it ends.
func (w *walker) descend(to int) uint32 {
	at := w.g.entry
	w.ids[0] = at
	best := w.measure(w.ids[:1])[0]
	for level := w.g.top; level > to; level-- {
		for moved := true; moved; {
			moved = false
			ids := filled(w.g.links(at, level))
			if w.lines > 0 {
				w.set.Prefetch(w.g.codes, ids, w.lines)
			}
			for i, d := range w.measure(ids) {
				if d < best {
					best, at, moved = d, ids[i], true
				}
			}
		}
	}
	return at
}

// filled returns the part of a list before its end.
func filled(list []uint32) []uint32 {
	if end := slices.Index(list, none); end >= 0 {
		return list[:end]
	}
	return list
}

// stop says when a walk may end before all nodes of its pool were followed: when the next one is factor times as far as
// the one of rank. The zero value lets walks go on to the end.
//
// A pool of fixed size looks as far around queries in dense places as around lonely ones, in ranks. Distances tell more:
// how much further than the k-th result a walk must look to meet it hardly depends on the query (the rule is that of
// Al-Jazzazi and others, "Distance adaptive beam search", 2025, with a factor that is derived from ef).
type stop struct {
	rank   int
	factor float64
	slack  float64 // rounding errors, as a root of distances
}

func (w *walker) far(it uint64) bool {
	if w.stop.rank == 0 || len(w.pool.items) <= w.stop.rank {
		return false
	}
	kth := max(0, keyDist(itemKey(w.pool.items[w.stop.rank-1])))
	root := math.Sqrt(kth) + w.stop.slack
	return keyDist(itemKey(it)) > max(kth*w.stop.factor, root*root)
}

func keyDist(key uint32) float64 { return float64(int32(key ^ 1<<31)) }

// start empties the visited set and puts the first node into the pool.
func (w *walker) start(at uint32, ef int) {
	clear(w.visited)
	w.pool.reset(ef)
	w.see(at)
	w.ids[0] = at
	w.pool.insert(item(sq8.Key(w.measure(w.ids[:1])[0]), at))
}

// walk finds the ef nearest nodes of a level, starting at a node of it; they are in the pool.
func (w *walker) walk(ctx context.Context, at uint32, level, ef int) error {
	w.start(at, ef)
	for hops := 1; ; hops++ {
		it, ok := w.pool.next()
		if !ok || w.far(it) {
			return nil
		}
		if hops%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		w.stats.Hops++
		ids := w.unseen(w.g.links(itemID(it), level), w.ids)
		w.prefetch(ids, level)
		w.offer(ids)
	}
}

// prefetch asks for the codes of ids and for the links of the node that comes next unless ids bring a better one.
func (w *walker) prefetch(ids []uint32, level int) {
	if w.lines == 0 {
		return
	}
	w.set.Prefetch(w.g.codes, ids, w.lines)
	if next, ok := w.pool.peek(); ok {
		links := w.g.links(itemID(next), level)
		w.set.PrefetchAt(unsafe.Pointer(&links[0]), min(4, (len(links)+15)/16))
	}
}

// offer measures nodes and puts those that are near enough into the pool.
func (w *walker) offer(ids []uint32) {
	dist := w.measure(ids)
	bound := w.pool.bound()
	for i, d := range dist {
		if key := sq8.Key(d); key < bound {
			w.pool.insert(item(key, ids[i]))
			bound = w.pool.bound()
		}
	}
}

// candidates writes the pool's nodes to dst, nearest first, as items without marks.
func (w *walker) candidates(dst []uint64) []uint64 {
	dst = slices.Grow(dst[:0], len(w.pool.items))
	for _, it := range w.pool.items {
		dst = append(dst, it&^mark)
	}
	return dst
}
