package hnsw

import (
	"bytes"
	"context"
	"hash/maphash"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/topk"
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
		all[i] = hashed{maphash.Bytes(seed, g.codes.Row(uint32(i))), uint32(i)}
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
		if prev.hash == all[i].hash && bytes.Equal(g.codes.Row(prev.id), g.codes.Row(id)) {
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
	b.report.done(twins)
}

const (
	maxWiden     = 64
	probes       = 16
	probeK       = 10
	probeRecall  = 0.98
	probeReserve = probeK + 24 // the candidates of a search for probeK rows, see searcher.candidates
)

// measureWidening finds out how well codes order the rows: by how much the candidates of a search must be widened so that
// the exactly nearest are among them. That is 1 for ordinary embeddings. It is more where few dimensions are much wider
// than the rest: one scale serves all, and the narrow ones vanish in it.
func (b *builder) measureWidening(ctx context.Context) error {
	g := &b.img.graph
	if g.n <= probeReserve {
		return nil
	}
	count := min(probes, g.n)
	results := make([][]float64, count)
	errs := make([]error, count)
	b.parallel(count, func(i int) { results[i], errs[i] = b.probe(ctx, int(mix(uint64(i)+seed)%uint64(g.n))) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	for step := 0; ; step++ {
		g.widen = 1 << step
		sum := 0.0
		for _, r := range results {
			sum += r[step]
		}
		if sum >= probeRecall*float64(count) || g.widen == maxWiden {
			return nil
		}
	}
}

// probe searches for a row by scan and returns the recall that candidates widened by 1, 2, 4 and so on give.
func (b *builder) probe(ctx context.Context, row int) ([]float64, error) {
	metric := b.cfg.Metric
	query := b.rows.Vector(row)
	sc := flat.Scanner{Set: b.cfg.Set, Metric: metric, Rows: b.rows}
	best, _, err := sc.Search(ctx, query, probeK, nil)
	if err != nil {
		return nil, err
	}
	worst := metric.Key(best[0][len(best[0])-1].Score)
	near := b.nearestCodes(query, probeReserve*maxWiden)
	scorer := vector.NewScorer(b.cfg.Set, metric, query)
	var recall []float64
	hits := 0
	for i, id := range near {
		var score [1]float32
		scorer.Rows([][]float32{b.rows.Vector(int(id))}, score[:])
		if metric.Key(score[0]) <= worst {
			hits++
		}
		if i+1 == probeReserve<<len(recall) {
			recall = append(recall, min(1, float64(hits)/probeK))
		}
	}
	for widen := 1 << len(recall); widen <= maxWiden; widen *= 2 {
		recall = append(recall, 1) // more candidates than rows
	}
	return recall, nil
}

// nearestCodes returns the k rows whose codes are nearest to a query, nearest first.
func (b *builder) nearestCodes(query []float32, k int) []uint32 {
	w := newWalker(b.cfg.Set, &b.img.graph)
	b.quant.query(b.quant.prepare(query, make([]float32, len(query))), &w.query)
	var heap topk.Heap
	heap.Reset(k)
	ids := make([]uint32, 0, scanBatch)
	for id := range uint32(b.img.n) {
		if ids = append(ids, id); len(ids) == scanBatch || int(id) == b.img.n-1 {
			for i, d := range w.measure(ids) {
				heap.Push(topk.Pack(keyOf(d), ids[i]))
			}
			ids = ids[:0]
		}
	}
	near := make([]uint32, 0, heap.Len())
	for _, p := range heap.Sort() {
		near = append(near, topk.ID(p))
	}
	return near
}
