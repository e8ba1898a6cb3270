package binary

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Index answers searches over an image. It is safe for concurrent use.
type Index struct {
	img     *Image
	set     kernel.Set
	rows    vector.Rows
	scratch sync.Pool // of *searcher
}

// NewIndex returns an index that owns the image and reads raw vectors from rows, which must outlive it.
func NewIndex(set kernel.Set, img *Image, rows vector.Rows) (*Index, error) {
	if rows.Len() != img.Len() || rows.Dim() != img.Dim() {
		return nil, fmt.Errorf("index over %d rows of dimension %d does not fit %d rows of dimension %d",
			img.Len(), img.Dim(), rows.Len(), rows.Dim())
	}
	if err := fits(img.Metric(), rows, 0); err != nil {
		return nil, err
	}
	x := &Index{img: img, set: set, rows: rows}
	x.scratch.New = func() any { return newSearcher(x) }
	return x, nil
}

// Bytes returns the memory held outside the Go heap.
func (x *Index) Bytes() int64 { return x.img.Size() }

// Close waits for running searches and frees the memory.
func (x *Index) Close() error { return x.img.Close() }

// Use calls fn while the index cannot be closed.
func (x *Index) Use(fn func() error) error {
	if err := x.img.file.Acquire(); err != nil {
		return err
	}
	defer x.img.file.Release()
	return fn()
}

// Params say what to search for.
type Params struct {
	K      int
	Probe  int           // lists to look at, at least 1; more than there are means all
	Filter vector.Filter // nil allows all rows
}

// Search returns for each query (one behind the other) the min(K, allowed) best allowed rows that it met, best first, equal
// scores by row.
func (x *Index) Search(ctx context.Context, queries []byte, p Params) ([][]vector.Hit, vector.Stats, error) {
	if err := fits(x.img.Metric(), x.rows, len(queries)); err != nil {
		return nil, vector.Stats{}, err
	}
	if p.K < 0 || p.Probe < 1 {
		return nil, vector.Stats{}, fmt.Errorf("k %d is negative, or the number of lists to look at, %d, is not positive", p.K, p.Probe)
	}
	if err := x.img.file.Acquire(); err != nil {
		return nil, vector.Stats{}, err
	}
	defer x.img.file.Release()
	s := x.scratch.Get().(*searcher)
	defer s.release()
	s.setUp(p)
	size := rowBytes(x.img.Dim())
	out := make([][]vector.Hit, len(queries)/size)
	for q := range out {
		if err := ctx.Err(); err != nil {
			return nil, s.stats, err
		}
		if err := s.search(ctx, queries[q*size:(q+1)*size]); err != nil {
			return nil, s.stats, err
		}
		out[q] = hits(x.img.Metric(), &s.best)
	}
	return out, s.stats, nil
}

// searcher is the scratch of one Search call.
type searcher struct {
	x       *Index
	p       Params
	allowed int // rows that the filter is taken to allow
	stats   vector.Stats
	scorer  scorer
	nearby  []float32 // scores of all centroids
	order   topk.Heap // of lists
	best    topk.Heap // of rows
	raw     vector.Gatherer
	ids     []uint32
	scores  [batch]float32
	found   int // allowed rows met
	steps   int
}

func newSearcher(x *Index) *searcher {
	return &searcher{
		x: x, scorer: scorer{set: x.set, metric: x.img.Metric()}, nearby: make([]float32, x.img.count()),
		raw: vector.NewGatherer(x.rows), ids: make([]uint32, 0, batch),
	}
}

func (s *searcher) setUp(p Params) {
	n := s.x.img.Len()
	s.p = Params{K: min(p.K, n), Probe: min(p.Probe, s.x.img.count()), Filter: p.Filter}
	s.allowed, s.stats, s.steps = n, vector.Stats{}, 0
	if p.Filter != nil {
		s.allowed = max(0, min(n, p.Filter.Count()))
	}
}

// release gives the scratch back without anything that belongs to the caller.
func (s *searcher) release() {
	s.p, s.scorer.query, s.ids = Params{}, nil, s.ids[:0]
	s.raw.Reset()
	s.x.scratch.Put(s)
}

// search looks at lists, nearest first, until it has met enough allowed rows. Among few allowed rows the k best lie further
// away than among all, so that a filter widens the search by the root of its share; where scoring all that it allows costs
// no more than the search without it, that is done instead.
func (s *searcher) search(ctx context.Context, query []byte) error {
	s.best.Reset(s.p.K)
	n, lists := s.x.img.Len(), s.x.img.count()
	if s.p.K == 0 || n == 0 {
		return nil
	}
	s.scorer.begin(query)
	if s.p.Filter != nil && s.allowed <= max(s.p.K, n*s.p.Probe/lists) {
		return s.exact(ctx, query)
	}
	s.rank()
	s.found = 0
	share := max(1/float64(n), float64(s.allowed)/float64(n))
	probe := min(lists, int(float64(s.p.Probe)/math.Sqrt(share)))
	for done := 0; ; {
		if err := s.look(ctx, done, probe); err != nil {
			return err
		}
		if s.found >= min(2*s.p.K, n) || probe == lists {
			return nil
		}
		done, probe = probe, min(lists, 2*probe)
	}
}

// rank scores all centroids.
func (s *searcher) rank() {
	size := len(s.scorer.query)
	for l := 0; l < len(s.nearby); l += batch {
		s.scorer.block(s.x.img.centroids[l*size:], s.nearby[l:min(l+batch, len(s.nearby))])
	}
	s.stats.Distances += len(s.nearby)
}

// look looks at the lists from to to-1 in the order of their centroids.
func (s *searcher) look(ctx context.Context, from, to int) error {
	s.order.Reset(to)
	for l, score := range s.nearby {
		s.order.Push(topk.Pack(s.x.img.Metric().Key(score), uint32(l)))
	}
	for _, p := range s.order.Sort()[from:] {
		s.stats.Hops++
		if err := s.list(ctx, s.x.img.list(int(topk.ID(p)))); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

// list looks at the rows of one list.
func (s *searcher) list(ctx context.Context, ids []uint32) error {
	for len(ids) > 0 {
		part := ids[:min(64, len(ids), batch-len(s.ids))]
		ids = ids[len(part):]
		allowed := ^uint64(0) >> (64 - len(part))
		if s.p.Filter != nil {
			allowed &= s.p.Filter.Test(part)
		}
		s.found += bits.OnesCount64(allowed)
		for ; allowed != 0; allowed &= allowed - 1 {
			s.ids = append(s.ids, part[bits.TrailingZeros64(allowed)])
		}
		if len(s.ids) == batch {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush scores the rows in ids and empties it.
func (s *searcher) flush(ctx context.Context) error {
	if s.steps++; s.steps%64 == 0 && ctx.Err() != nil {
		return ctx.Err()
	}
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	out := s.scores[:len(s.ids)]
	s.scorer.rows(rows, out)
	bound := s.best.Bound()
	for i, id := range s.ids {
		if p := topk.Pack(s.x.img.Metric().Key(out[i]), id); p < bound {
			s.best.Push(p)
			bound = s.best.Bound()
		}
	}
	s.stats.Distances += len(out)
	s.ids = s.ids[:0]
	return nil
}

// exact scores all allowed rows.
func (s *searcher) exact(ctx context.Context, query []byte) error {
	found, stats, err := Scanner{Set: s.x.set, Metric: s.x.img.Metric(), Rows: s.x.rows}.Search(ctx, query, s.p.K, s.p.Filter)
	s.stats.Add(stats)
	if err != nil {
		return err
	}
	for _, h := range found[0] {
		s.best.Push(topk.Pack(s.x.img.Metric().Key(h.Score), h.ID))
	}
	return nil
}
