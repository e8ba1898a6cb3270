package diskann

import (
	"context"
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/beam"
	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq4"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	// heldRows is the number of rows that are inserted last, and are the queries of the calibration before that.
	heldRows = 128
	// calibrateFrom is the number of nodes from which a graph is calibrated: a search of fewer may as well try hard.
	calibrateFrom = 40 * heldRows
)

// efforts returns the search lists that a calibration tries.
func efforts() []int { return []int{10, 13, 16, 20, 25, 32, 40, 64, 100, 160, 250, 400, 640, 1000} }

// hold moves the nodes that are held back for the calibration to the end of the order, and returns how many they are.
// Nodes with twins are not among them, as searches would find those.
func (b *builder) hold() int {
	if len(b.order) < calibrateFrom {
		return 0
	}
	all := len(b.order)
	last := all
	for i := all - 1; i >= all-4*heldRows && last > all-heldRows; i-- {
		if len(b.twins[b.order[i]]) == 0 {
			last--
			b.order[i], b.order[last] = b.order[last], b.order[i]
		}
	}
	return all - last
}

// calibrate measures the recall of searches by search list, over the graph that holds all nodes but held.
func (b *builder) calibrate(ctx context.Context, held []uint32) error {
	held = slices.Sorted(slices.Values(held))
	workers := make([]*rehearsal, b.workers())
	for i := range workers {
		workers[i] = b.newRehearsal()
	}
	var err error
	b.img.table, err = calibrate.Measure(ctx, calibrate.Config{
		Set: b.cfg.Set, Metric: b.cfg.Metric, Held: held, Efforts: efforts(), FromK: true, Workers: len(workers),
		Search: func(_ context.Context, worker int, query []float32, k, effort int) ([]uint32, error) {
			return workers[worker].search(query, k, effort), nil
		},
		Exact: func(_ context.Context, query []float32, k int) ([]uint32, error) {
			return b.newRehearsal().exact(query, k, held), nil
		},
	}, b.rows)
	return err
}

// rehearsal searches as a searcher does, one read at a time, on what lies in memory during a build.
type rehearsal struct {
	b       *builder
	prepare sq8.Quantiser
	coded   sq4.Coded
	scorer  vector.Scorer
	visited []uint64
	pool    beam.Pool
	ids     []uint32
	keys    []uint32
	best    topk.Heap
}

func (b *builder) newRehearsal() *rehearsal {
	return &rehearsal{
		b: b, prepare: sq8.Quantiser{Set: b.cfg.Set, Metric: b.cfg.Metric}, visited: make([]uint64, (b.rows.Len()+63)/64),
		keys: make([]uint32, max(maxHubs, b.cfg.Degree)),
	}
}

func (r *rehearsal) setQuery(query []float32, k int) {
	b, buf := r.b, make([]float32, 2*len(query))
	r.scorer = vector.NewScorer(b.cfg.Set, b.cfg.Metric, b.rows.Elem(), query)
	b.img.quant.Query(b.img.turn.Apply(r.prepare.Prepare(query, buf[:len(query)]), buf[len(query):]), &r.coded)
	r.best.Reset(k)
}

// score offers a row, by its vector.
func (r *rehearsal) score(id uint32) {
	var score [1]float32
	r.scorer.Rows([][]byte{r.b.rows.Row(int(id))}, score[:])
	r.best.Push(topk.Pack(r.b.cfg.Metric.Key(score[0]), id))
}

// found returns the best rows.
func (r *rehearsal) found() []uint32 {
	var ids []uint32
	for _, p := range r.best.Sort() {
		ids = append(ids, topk.ID(p))
	}
	return ids
}

func (r *rehearsal) search(query []float32, k, list int) []uint32 {
	r.setQuery(query, k)
	clear(r.visited)
	r.pool.Reset(list)
	r.enter(r.b.hubs, starts)
	for it, ok := r.pool.Next(); ok; it, ok = r.pool.Next() {
		id := beam.ID(it)
		r.score(id)
		for _, twin := range r.b.twins[id] {
			r.score(twin)
		}
		links := r.b.linked(id)
		r.enter(links, len(links))
	}
	return r.found()
}

// enter offers the nearest count of the nodes that were not seen before to the pool.
func (r *rehearsal) enter(nodes []uint32, count int) {
	r.ids = r.ids[:0]
	for _, id := range nodes {
		if r.visited[id>>6]>>(id&63)&1 == 0 {
			r.ids = append(r.ids, id)
		}
	}
	img := r.b.img
	img.quant.Measure(&r.coded, img.codes, r.ids, img.weight, r.keys)
	var near topk.Heap
	near.Reset(count)
	for i, id := range r.ids {
		near.Push(topk.Pack(r.keys[i], id))
	}
	for _, p := range near.Sort() {
		id := topk.ID(p)
		r.visited[id>>6] |= 1 << (id & 63)
		r.pool.Insert(beam.Item(topk.Key(p), id))
	}
}

// exact returns the k nearest rows that are not held back: the nearest by vector of far more that are near by code.
func (r *rehearsal) exact(query []float32, k int, held []uint32) []uint32 {
	const wide = 8
	r.setQuery(query, k)
	for _, p := range r.b.nearest(&r.coded, candidates(k, wide)+len(held)) {
		if _, is := slices.BinarySearch(held, topk.ID(p)); !is {
			r.score(topk.ID(p))
		}
	}
	return r.found()
}

// effort returns the search list for k rows with a wanted recall.
func (x *Index) effort(k int, recall float64) int {
	if list, ok := x.img.table.Effort(k, recall); ok {
		return max(k, list)
	}
	// Nothing is known. On ordinary embeddings this is about twice what it takes.
	return max(k, int(math.Ceil(float64(k+16)/8/max(0.001, 1-recall))))
}
