package hnsw

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Index answers searches over an image. It is safe for concurrent use.
type Index struct {
	img     *Image
	rows    vector.Rows
	quant   quantiser
	scratch sync.Pool // of *searcher
}

// NewIndex returns an index that owns the image and reads raw vectors from rows, which must outlive it.
func NewIndex(set kernel.Set, img *Image, rows vector.Rows) (*Index, error) {
	if rows.Len() != img.Len() || (rows.Len() > 0 && rows.Dim() != img.Dim()) {
		return nil, fmt.Errorf("index over %d rows of dimension %d does not fit %d rows of dimension %d",
			img.Len(), img.Dim(), rows.Len(), rows.Dim())
	}
	x := &Index{img: img, rows: rows}
	x.quant = quantiser{set: set, metric: img.Metric(), mean: img.mean, scale: img.scale}
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
}

// Search returns for each query (row-major) the min(K, allowed) best allowed rows, best first, equal scores by row.
func (x *Index) Search(ctx context.Context, queries []float32, p Params) ([][]vector.Hit, vector.Stats, error) {
	var stats vector.Stats
	dim := x.img.Dim()
	if len(queries)%dim != 0 {
		return nil, stats, fmt.Errorf("%d query values are no multiple of dimension %d", len(queries), dim)
	}
	if p.K < 0 || p.Ef < p.K {
		return nil, stats, fmt.Errorf("pool of %d is smaller than k %d", p.Ef, p.K)
	}
	x.img.mu.RLock()
	defer x.img.mu.RUnlock()
	if x.img.closed {
		return nil, stats, vector.ErrClosed
	}
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
			hits[i][j] = vector.Hit{ID: topk.ID(p), Score: x.quant.metric.Score(topk.Key(p))}
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
	rows   [][]float32
	scores []float32

	p       Params
	widen   int
	n       int // rows
	allowed int // estimate
	words   []uint64

	batchKeys [testBatch]uint32
}

func newSearcher(x *Index) *searcher {
	return &searcher{x: x, w: newWalker(x.quant.set, &x.img.graph), buf: make([]float32, x.img.Dim())}
}

func (s *searcher) begin(p Params) {
	s.n = s.x.img.n
	s.p = Params{K: min(p.K, s.n), Ef: min(p.Ef, s.n), Filter: p.Filter}
	s.allowed, s.words = s.n, nil
	if p.Filter != nil {
		s.allowed = max(0, min(s.n, p.Filter.Count()))
	}
	s.w.stats = vector.Stats{}
}

// release gives the scratch back without anything that belongs to the caller.
func (s *searcher) release() {
	s.p, s.words, s.scorer = Params{}, nil, vector.Scorer{}
	clear(s.rows)
	s.x.scratch.Put(s)
}

// search returns the best pairs of (metric key, row) for one query.
func (s *searcher) search(ctx context.Context, query []float32) ([]uint64, error) {
	s.best.Reset(s.p.K)
	if s.p.K == 0 {
		return nil, nil
	}
	q := &s.x.quant
	s.scorer = vector.NewScorer(q.set, q.metric, query)
	q.query(q.prepare(query, s.buf), &s.w.query)
	if s.widen = s.x.img.widen; s.w.query.ratio != 1 {
		s.widen *= farWiden
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	s.rerank()
	return s.best.Sort(), nil
}

// candidates returns how many rows the re-rank looks at, at least: twice k, and some more when k is small, since the order
// of codes is only nearly the order of scores; more where codes are coarse for these rows or for the query.
func (s *searcher) candidates() int { return s.widen * (s.p.K + max(s.p.K, 24)) }

// limit returns how many rows the re-rank looks at, at most.
func (s *searcher) limit() int {
	n := s.candidates()
	return n + min(7*n, 4096)
}

// cut drops the candidates behind the first ones that are too far to be among the k best. A code differs from its vector
// by a rounding error of 0.29 steps (standard deviation) in any direction, so a distance d by code has an error of
// 0.29*sqrt(2) steps with both sides coded, and the difference of two such distances one of 0.58: whoever is three
// deviations behind the k-th is out. For inner products the error grows with the length of the query instead.
func (s *searcher) cut() {
	k, n := s.p.K, s.candidates()
	if len(s.keys) <= n || len(s.keys) < k {
		return
	}
	kth := float64(distOf(s.keys[k-1]))
	bound := kth + 3*s.w.query.length
	if s.w.query.weights && s.w.query.ratio == 1 {
		d := math.Sqrt(max(0, kth)) + 1.75
		bound = d * d
	}
	for n < len(s.keys) && float64(distOf(s.keys[n])) <= bound {
		n++
	}
	s.ids, s.keys = s.ids[:n], s.keys[:n]
}

// rerank scores the candidates exactly and keeps the best.
func (s *searcher) rerank() {
	const batch = 64
	for from := 0; from < len(s.ids); from += batch {
		ids := s.ids[from:min(from+batch, len(s.ids))]
		s.rows = s.rows[:0]
		for _, id := range ids {
			s.rows = append(s.rows, s.x.rows.Vector(int(id)))
		}
		if cap(s.scores) < batch {
			s.scores = make([]float32, batch)
		}
		out := s.scores[:len(ids)]
		s.scorer.Rows(s.rows, out)
		for i, id := range ids {
			s.best.Push(topk.Pack(s.x.quant.metric.Key(out[i]), id))
		}
	}
	s.w.stats.Distances += len(s.ids)
}

// Use calls fn while the index cannot be closed.
func (x *Index) Use(fn func() error) error {
	x.img.mu.RLock()
	defer x.img.mu.RUnlock()
	if x.img.closed {
		return vector.ErrClosed
	}
	return fn()
}
