package hnsw

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Index answers searches over an image. It is safe for concurrent use.
type Index struct {
	img     *Image
	rows    vector.Rows
	quant   sq8.Quantiser
	product *product  // nil for integer codes
	scratch sync.Pool // of *searcher
}

// NewIndex returns an index that owns the image and reads raw vectors from rows, which must outlive it.
func NewIndex(set kernel.Set, img *Image, rows vector.Rows) (*Index, error) {
	if rows.Len() != img.Len() || (rows.Len() > 0 && rows.Dim() != img.Dim()) {
		return nil, fmt.Errorf("index over %d rows of dimension %d does not fit %d rows of dimension %d",
			img.Len(), img.Dim(), rows.Len(), rows.Dim())
	}
	x := &Index{img: img, rows: rows}
	x.quant = sq8.Quantiser{Set: set, Metric: img.Metric(), Mean: img.mean, Scale: img.scale, Rotation: img.rotation}
	if x.product = img.product; x.product != nil {
		x.product.prepare(set)
	}
	x.scratch.New = func() any { return newSearcher(x) }
	return x, nil
}

// Bytes returns the memory held outside the Go heap.
func (x *Index) Bytes() int64 { return x.img.Size() }

// Close waits for running searches and frees the memory.
func (x *Index) Close() error { return x.img.Close() }

// Params say what to search for.
type Params struct {
	K      int
	Ef     int           // size of the candidate pool, at least K
	Filter vector.Filter // nil allows all rows
	// TargetRecall, in (0, 1), chooses Ef by what the graph's calibration found to reach this recall on new queries.
	TargetRecall float64
	// Rerank is the number of candidates that are scored exactly, at least K, where codes are those of a product quantiser;
	// 0 means Ef. Integer codes know by themselves.
	Rerank int
}

// Search returns for each query (row-major) the min(K, allowed) best allowed rows, best first, equal scores by row.
func (x *Index) Search(ctx context.Context, queries []float32, p Params) ([][]vector.Hit, vector.Stats, error) {
	var stats vector.Stats
	dim := x.img.Dim()
	if len(queries)%dim != 0 {
		return nil, stats, fmt.Errorf("%d query values are no multiple of dimension %d", len(queries), dim)
	}
	if p.TargetRecall > 0 {
		p.Ef = x.effort(p.K, p.TargetRecall)
	}
	if p.K < 0 || p.Ef < p.K {
		return nil, stats, fmt.Errorf("pool of %d is smaller than k %d", p.Ef, p.K)
	}
	if err := x.img.file.Acquire(); err != nil {
		return nil, stats, err
	}
	defer x.img.file.Release()
	s := x.scratch.Get().(*searcher)
	defer s.release()
	s.begin(p)
	hits := make([][]vector.Hit, len(queries)/dim)
	for i := range hits {
		if err := ctx.Err(); err != nil {
			return nil, s.w.stats, err
		}
		pairs, err := s.search(ctx, queries[i*dim:(i+1)*dim])
		if err != nil {
			return nil, s.w.stats, err
		}
		hits[i] = make([]vector.Hit, len(pairs))
		for j, p := range pairs {
			hits[i][j] = vector.Hit{ID: topk.ID(p), Score: x.quant.Metric.Score(topk.Key(p))}
		}
	}
	return hits, s.w.stats, nil
}

// searcher is the scratch of one Search call.
type searcher struct {
	x      *Index
	w      *walker
	scorer vector.Scorer
	buf    []float32
	heap   topk.Heap // of codes, in a scan
	best   topk.Heap // of exact scores
	ids    []uint32  // candidates for the re-rank, nearest first
	keys   []uint32  // their distances by code
	raw    vector.Gatherer
	scores []float32
	high   []int32 // distances of candidates by high halves, and by whole codes
	whole  []int32
	order  []uint64

	p       Params
	widen   int
	n       int // rows
	allowed int // estimate
	words   []uint64

	batchKeys [testBatch]uint32
	scanIDs   [2][scanBatch]uint32
	near      [scanBatch]int32
	nearIDs   [scanBatch]uint32
}

func newSearcher(x *Index) *searcher {
	s := &searcher{x: x, w: newWalker(x.quant.Set, &x.img.graph), buf: make([]float32, x.img.Dim()), raw: vector.NewGatherer(x.rows)}
	if x.product != nil {
		s.w.lookup = newLookup(x.product)
	}
	return s
}

func (s *searcher) begin(p Params) {
	s.n = s.x.img.n
	s.p = Params{K: min(p.K, s.n), Ef: min(p.Ef, s.n), Filter: p.Filter, Rerank: p.Rerank}
	s.allowed, s.words = s.n, nil
	if p.Filter != nil {
		s.allowed = max(0, min(s.n, p.Filter.Count()))
	}
	s.w.stats = vector.Stats{}
}

// release gives the scratch back without anything that belongs to the caller.
func (s *searcher) release() {
	s.p, s.words, s.scorer = Params{}, nil, vector.Scorer{}
	s.raw.Reset()
	s.x.scratch.Put(s)
}

// search returns the best pairs of (metric key, row) for one query.
func (s *searcher) search(ctx context.Context, query []float32) ([]uint64, error) {
	s.best.Reset(s.p.K)
	if s.p.K == 0 {
		return nil, nil
	}
	q := &s.x.quant
	s.scorer = vector.NewScorer(q.Set, q.Metric, s.x.rows.Elem(), query)
	if prepared := q.Prepare(query, s.buf); s.x.product != nil {
		s.w.lookup.query(prepared)
		s.widen = 1
	} else {
		q.Query(prepared, &s.w.query)
		s.widen = s.w.query.Widening(s.x.img.widen)
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	if err := s.rerank(ctx); err != nil {
		return nil, err
	}
	return s.best.Sort(), nil
}

// exactCandidates returns how many rows a search for k rows scores exactly, at least: a few more than k, since the order of
// whole codes is only nearly the order of scores.
func exactCandidates(k, widen int) int { return widen * (k + max(4, k/8)) }

// candidates returns how many rows the re-rank looks at, at least.
func (s *searcher) candidates() int {
	if !s.x.img.head.tuned || s.w.query.Ratio != 1 { // widen was measured by the other function, or codes are coarse
		return sq8.Candidates(s.p.K, s.widen)
	}
	return exactCandidates(s.p.K, s.widen)
}

// highCandidates returns how many rows found by high halves are compared by whole codes, at least.
func (s *searcher) highCandidates() int {
	return max(s.candidates(), sq8.Candidates(s.p.K, s.w.query.Widening(s.x.img.widenHigh)))
}

// limit returns how many rows a walk or scan hands on, at most.
func (s *searcher) limit() int {
	switch {
	case s.x.product != nil && s.p.Rerank > 0:
		return max(s.p.K, min(s.p.Ef, s.p.Rerank))
	case s.x.product != nil:
		return s.p.Ef
	case s.x.img.split:
		return sq8.Limit(s.highCandidates())
	}
	return sq8.Limit(s.candidates())
}

// cut drops the candidates that are too far to be among the k best.
func (s *searcher) cut() {
	if s.x.product != nil {
		return // limit is all there is to know
	}
	if s.x.img.split {
		s.refine()
	}
	n := s.w.query.Cut(s.keys, s.p.K, s.candidates())
	s.ids, s.keys = s.ids[:n], s.keys[:n]
}

// refine compares candidates by whole codes that were found by their high halves.
func (s *searcher) refine() {
	q := &s.w.query
	n := q.CutHigh(s.keys, s.p.K, s.highCandidates())
	s.ids, s.keys = s.ids[:n], s.keys[:n]
	s.high, s.whole = slices.Grow(s.high[:0], n)[:n], slices.Grow(s.whole[:0], n)[:n]
	for i, key := range s.keys {
		s.high[i] = int32(key ^ 1<<31)
	}
	q.Refine(s.x.quant.Set, &s.x.img.planes, s.ids, s.high, s.whole)
	s.order = slices.Grow(s.order[:0], n)
	for i, id := range s.ids {
		s.order = append(s.order, topk.Pack(sq8.Key(s.whole[i]), id))
	}
	slices.Sort(s.order)
	for i, p := range s.order {
		s.ids[i], s.keys[i] = topk.ID(p), topk.Key(p)
	}
	s.w.stats.Distances += n
}

// rerank scores the candidates exactly and keeps the best.
func (s *searcher) rerank(ctx context.Context) error {
	const batch = 64
	for from := 0; from < len(s.ids); from += batch {
		ids := s.ids[from:min(from+batch, len(s.ids))]
		rows, err := s.raw.Get(ctx, ids)
		if err != nil {
			return err
		}
		if cap(s.scores) < batch {
			s.scores = make([]float32, batch)
		}
		out := s.scores[:len(ids)]
		s.scorer.Rows(rows, out)
		for i, id := range ids {
			s.best.Push(topk.Pack(s.x.quant.Metric.Key(out[i]), id))
		}
	}
	s.w.stats.Distances += len(s.ids)
	return nil
}

// Use calls fn while the index cannot be closed.
func (x *Index) Use(fn func() error) error {
	if err := x.img.file.Acquire(); err != nil {
		return err
	}
	defer x.img.file.Release()
	return fn()
}
