package hnsw

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// checkEvery is the number of hops between two looks at the context: a hop takes about half a microsecond where a node has checkLinks
// links. With more of them there are fewer hops.
const (
	checkEvery = 64
	checkLinks = 64
)

// checks returns the number of hops between two looks at the context.
func (w *walker) checks() int { return max(1, min(checkEvery, checkEvery*checkLinks/max(1, w.g.m0))) }

// walker is one worker's scratch: it walks a graph for one query at a time.
type walker struct {
	set     kernel.Set
	g       *graph
	weight  []int32 // what stands in for g.weight while building
	query   sq8.Coded
	lookup  *lookup // the query instead, where codes are those of a product quantiser
	visited []uint64
	pool    pool
	ids     []uint32
	dist    []int32
	lines   int // cache lines of a code to prefetch
	stop    stop
	allowed allowed
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
		if g.product != nil {
			w.lines = g.product.lines()
		}
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
	switch {
	case w.lookup != nil:
		w.lookup.measure(ids, dist)
	case w.g.split:
		w.query.MeasureHigh(w.set, w.g.codes, ids, w.weight, dist)
	default:
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
	bound  uint32  // key of nodes that are too far to be followed, or to be among the best
}

func (w *walker) far(it uint64, hops int) bool {
	var key uint32
	switch {
	case w.stop.rank == 0:
		return false
	case w.allowed.filter != nil:
		if !w.allowed.near.Full() {
			return false
		}
		if w.allowed.enough(hops) {
			return true
		}
		key = topk.Key(w.allowed.near.Bound())
	case len(w.pool.items) <= w.stop.rank:
		return false
	default:
		key = itemKey(w.pool.items[w.stop.rank-1])
	}
	kth := max(0, keyDist(key))
	root, end := math.Sqrt(kth), kth*(w.stop.factor+w.allowed.more())
	near := root + 3*w.stop.slack
	w.stop.bound = sq8.Key(int32(min(math.MaxInt32, max(end, near*near))))
	root += w.stop.slack
	return keyDist(itemKey(it)) > max(end, root*root)
}

// bound returns the key that a node must be below to be of any use.
func (w *walker) bound() uint32 { return min(w.pool.bound(), w.stop.bound) }

// allowed is what a walk for allowed rows knows of them. Its stop does not go by ranks in the pool, but by the k-th nearest
// allowed node: where few of the nodes near the query are allowed, the walk goes further by itself.
type allowed struct {
	filter vector.Filter // nil when all rows are, or when the walk shall not mind
	near   topk.Heap     // the k nearest allowed nodes
	budget int           // distances after which the walk gives up
	share  float64       // of allowed rows among all
	hops   int           // after which the walk ends, if the share among the nodes that it met is no lower
	seen   int           // nodes that entered the pool
	hits   int           // allowed ones among them
	factor float64       // by how much the walk's factor grows when all nodes that it meets are allowed
	ids    [testBatch]uint32
	keys   [testBatch]uint32
	n      int
}

// note remembers a node that entered the pool.
func (a *allowed) note(id, key uint32) {
	a.ids[a.n], a.keys[a.n] = id, key
	if a.n++; a.n == testBatch {
		a.flush()
	}
}

func (a *allowed) flush() {
	if a.n == 0 {
		return
	}
	mask := a.filter.Test(a.ids[:a.n])
	a.seen += a.n
	a.hits += bits.OnesCount64(mask)
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		a.near.Push(topk.Pack(a.keys[i], a.ids[i]))
	}
	a.n = 0
}

// enough reports whether a walk that has found k allowed nodes has gone far enough by hops, whatever the distances.
func (a *allowed) enough(hops int) bool {
	return float64(hops) > float64(a.hops)*max(1, a.share*float64(a.seen)/float64(max(1, a.hits)))
}

// more returns what is added to the factor of a walk that meets more allowed nodes than it should: it is as one without a filter then,
// and what it lacks does not lie behind other rows.
func (a *allowed) more() float64 {
	if a.filter == nil || a.seen == 0 {
		return 0
	}
	return a.factor * max(0, float64(a.hits)/float64(a.seen)-a.share) / max(1e-9, 1-a.share)
}

// errBudget ends a walk that would cost more than a scan.
var errBudget = errors.New("walk gave up")

func keyDist(key uint32) float64 { return float64(int32(key ^ 1<<31)) }

// start empties the visited set and puts the first node into the pool.
func (w *walker) start(at uint32, ef int) {
	clear(w.visited)
	w.pool.reset(ef)
	w.stop.bound = ^uint32(0)
	w.see(at)
	w.ids[0] = at
	w.pool.insert(item(sq8.Key(w.measure(w.ids[:1])[0]), at))
}

// walk finds the ef nearest nodes of a level, starting at a node of it; they are in the pool.
func (w *walker) walk(ctx context.Context, at uint32, level, ef int) error {
	w.start(at, ef)
	for hops := 1; ; hops++ {
		it, ok := w.pool.next()
		if !ok || w.far(it, hops) {
			return nil
		}
		if hops%w.checks() == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		w.stats.Hops++
		ids := w.unseen(w.g.links(itemID(it), level), w.ids)
		w.prefetch(ids, level)
		if w.allowed.filter == nil {
			w.offer(ids)
			continue
		}
		w.offerNoting(ids)
		if w.allowed.budget -= len(ids); w.allowed.budget < 0 {
			return errBudget
		}
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
	bound := w.bound()
	for i, d := range dist {
		if key := sq8.Key(d); key < bound {
			w.pool.insert(item(key, ids[i]))
			bound = w.bound()
		}
	}
}

// offerNoting is offer for walks that count allowed nodes.
func (w *walker) offerNoting(ids []uint32) {
	dist := w.measure(ids)
	bound := w.bound()
	for i, d := range dist {
		if key := sq8.Key(d); key < bound {
			w.pool.insert(item(key, ids[i]))
			w.allowed.note(ids[i], key)
			bound = w.bound()
		}
	}
	w.allowed.flush()
}

// candidates writes the pool's nodes to dst, nearest first, as items without marks.
func (w *walker) candidates(dst []uint64) []uint64 {
	dst = slices.Grow(dst[:0], len(w.pool.items))
	for _, it := range w.pool.items {
		dst = append(dst, it&^mark)
	}
	return dst
}
