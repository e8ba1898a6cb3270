package ivf

import (
	"context"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Index answers searches over an image. It is safe for concurrent use.
type Index struct {
	img      *Image
	rows     vector.Rows
	quant    sq8.Quantiser
	coarse   coarse
	rotation *rabitq.Rotation // of RaBitQ
	inPlace  bool             // whether raw vectors lie in memory
	scratch  sync.Pool        // of *searcher
}

// NewIndex returns an index that owns the image and reads raw vectors from rows, which must outlive it.
func NewIndex(set kernel.Set, img *Image, rows vector.Rows) (*Index, error) {
	if rows.Len() != img.Len() || (rows.Len() > 0 && rows.Dim() != img.Dim()) {
		return nil, fmt.Errorf("index over %d rows of dimension %d does not fit %d rows of dimension %d",
			img.Len(), img.Dim(), rows.Len(), rows.Dim())
	}
	x := &Index{img: img, rows: rows}
	_, fetched := rows.(vector.Fetcher)
	x.inPlace = !fetched
	x.quant = sq8.Quantiser{Set: set, Metric: img.Metric(), Mean: img.mean, Scale: img.head.scale}
	x.coarse = newCoarse(set, img)
	if img.head.coding == RaBitQ {
		x.rotation = rabitq.NewRotation(img.Dim())
	}
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
	// TargetRecall, in (0, 1), chooses Probe by what was measured at the build to reach this recall on new queries.
	TargetRecall float64

	// Rerank is how many of the best rows by code of PQ and RaBitQ are scored exactly, at least K; 0 means all whose errors
	// allow them to be among the best.
	Rerank int
	// QueryBits is the number of bits per dimension that RaBitQ sees of a query, 1 to 8; 0 means all.
	QueryBits int
}

// Search returns for each query (row-major) the min(K, allowed) best allowed rows, best first, equal scores by row.
func (x *Index) Search(ctx context.Context, queries []float32, p Params) ([][]vector.Hit, vector.Stats, error) {
	var stats vector.Stats
	dim := x.img.Dim()
	if len(queries)%dim != 0 {
		return nil, stats, fmt.Errorf("%d query values are no multiple of dimension %d", len(queries), dim)
	}
	if p.TargetRecall > 0 && p.K >= 0 {
		p.Probe = x.probes(p.K, p.TargetRecall)
	}
	if p.K < 0 || p.Probe < 1 {
		return nil, stats, fmt.Errorf("searching for %d rows in %d lists", p.K, p.Probe)
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
			return nil, s.stats, err
		}
		pairs, err := s.search(ctx, queries[i*dim:(i+1)*dim])
		if err != nil {
			return nil, s.stats, err
		}
		hits[i] = make([]vector.Hit, len(pairs))
		for j, p := range pairs {
			hits[i][j] = vector.Hit{ID: topk.ID(p), Score: x.quant.Metric.Score(topk.Key(p))}
		}
	}
	return hits, s.stats, nil
}

// coder measures rows by their codes.
type coder interface {
	// begin prepares for a query.
	begin(query []float32)
	// list offers the rows of a list to the pool.
	list(ctx context.Context, l int) error
	// reached returns the estimate that stands for a score, and whether rows whose least score is above it cannot be better.
	reached(score float32) (float32, bool)
}

// searcher is the scratch of one Search call.
type searcher struct {
	x      *Index
	p      Params
	stats  vector.Stats
	scorer vector.Scorer
	window *flat.Window // that scores must lie in, for Range
	best   topk.Heap    // of exact scores
	order  topk.Heap    // of lists
	nearby []float32    // scores of all centroids
	ranker ranker
	raw    vector.Gatherer
	ids    []uint32 // to be scored next
	scores []float32
	steps  int

	found    int // allowed rows met by asking the filter first
	measured int // rows measured before the filter was asked,
	tested   int // those of them that were near enough to ask,
	passed   int // and those of these that are allowed

	words   []uint64 // of the filter, once they were needed
	allowed int      // how many rows are, estimated until words are known

	codes coder // nil without codes
	pool  pool
}

func newSearcher(x *Index) *searcher {
	s := &searcher{
		x: x, nearby: make([]float32, x.img.count()), ranker: x.coarse.ranker(),
		raw: vector.NewGatherer(x.rows), ids: make([]uint32, 0, batch), scores: make([]float32, batch),
	}
	switch {
	case x.img.head.coding.scalar():
		s.codes = newScalarCoder(s)
	case x.img.head.coding.residual():
		s.codes = newResidualCoder(s)
	}
	return s
}

func (s *searcher) begin(p Params) {
	n := s.x.img.Len()
	s.p = Params{K: min(p.K, n), Probe: min(p.Probe, s.x.img.count()), Filter: p.Filter, Rerank: min(p.Rerank, n), QueryBits: p.QueryBits}
	s.allowed, s.words = n, nil
	if p.Filter != nil {
		s.allowed = max(0, min(n, p.Filter.Count()))
	}
	s.stats, s.steps = vector.Stats{}, 0
}

// release gives the scratch back without anything that belongs to the caller.
func (s *searcher) release() {
	s.p, s.words, s.scorer, s.window = Params{}, nil, vector.Scorer{}, nil
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
	if s.codes != nil {
		if s.p.Rerank > 0 && s.x.img.head.coding.residual() {
			s.pool.reset(max(s.p.K, s.p.Rerank), true)
		} else {
			s.pool.reset(s.p.K, false)
		}
		s.codes.begin(query)
	}
	scanned, err := s.run(ctx, query)
	if err == nil && !scanned && s.codes != nil {
		err = s.rerank(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s.best.Sort(), nil
}
