package diskann

import (
	"context"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/beam"
	"github.com/gyr-db/gyr/pkg/vector/internal/diskio"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq4"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	// A query that is so many times farther from the mean than the rows is one whose distances to them differ little, and
	// whose candidates are widened.
	farAway  = 3
	farWiden = 8
)

// searcher is the scratch of one search.
type searcher struct {
	x       *Index
	prepare sq8.Quantiser
	reader  *diskio.Reader
	pending [diskio.MaxDepth]pending
	free    []int // slots without a read
	stats   vector.Stats

	p       Params
	window  *flat.Window // of a range search
	widen   int          // of the candidates for this query
	list    int          // size of the pool for this query
	n       int          // rows
	allowed int          // estimate
	words   []uint64

	coded   sq4.Coded
	buf     []float32
	turned  []float32
	margin  float32 // how far a distance by codes may be off
	visited []uint64
	scored  []uint64 // rows whose exact score was offered to best
	pool    beam.Pool
	ids     []uint32
	keys    []uint32
	order   []uint64
	places  []uint64
	rerank  []uint32
	near    topk.Heap // of hubs
	codes   topk.Heap // of a scan
	scorer  vector.Scorer
	row     [1][]byte
	score   [1]float32
	best    topk.Heap // of exact scores
	found   int       // allowed rows scored
}

// pending is a read under way.
type pending struct {
	block    uint32
	from, to int      // of readAll
	rows     []uint32 // of a walk: expanded nodes in the block
}

func newSearcher(x *Index) *searcher {
	n := x.img.head.rows
	s := &searcher{
		x: x, n: n, prepare: sq8.Quantiser{Set: x.set, Metric: x.metric}, buf: make([]float32, x.img.head.dim),
		turned:  make([]float32, x.img.head.dim),
		visited: make([]uint64, (n+63)/64), scored: make([]uint64, (n+63)/64),
	}
	for slot := range x.beam {
		s.free = append(s.free, slot)
	}
	return s
}

func (s *searcher) begin(p Params) {
	s.p = Params{K: min(p.K, s.n), List: min(p.List, s.n), Filter: p.Filter}
	s.allowed, s.words = s.n, nil
	if p.Filter != nil {
		s.allowed = max(0, min(s.n, p.Filter.Count()))
	}
}

// release gives back what the search borrowed and forgets what belongs to the caller.
func (s *searcher) release() vector.Stats {
	if s.reader != nil {
		s.reader.Release()
		s.reader = nil
	}
	s.free = s.free[:0]
	for slot := range s.x.beam {
		s.free = append(s.free, slot)
		s.pending[slot].rows = s.pending[slot].rows[:0]
	}
	stats := s.stats
	s.p, s.words, s.window, s.scorer, s.stats = Params{}, nil, nil, vector.Scorer{}, vector.Stats{}
	s.row[0] = nil
	return stats
}

// search returns the best pairs of (metric key, row) for one query.
func (s *searcher) search(ctx context.Context, query []float32) ([]uint64, error) {
	s.best.Reset(s.p.K)
	if s.p.K == 0 || s.allowed == 0 {
		return nil, ctx.Err()
	}
	s.setQuery(query)
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.best.Sort(), nil
}

func (s *searcher) setQuery(query []float32) {
	img := s.x.img
	s.scorer = vector.NewScorer(s.x.set, s.x.metric, img.head.elem, query)
	prepared := img.turn.Apply(s.prepare.Prepare(query, s.buf), s.turned)
	img.quant.Query(prepared, &s.coded)
	length := float32(lengthOf(&img.quant, prepared))
	s.margin = 3 * img.head.deviation * length
	s.widen, s.list = img.head.widen, s.p.List
	if !img.quant.IP && length > farAway*s.x.spread {
		s.widen *= farWiden
	}
	if s.widen > 1 {
		s.list = min(s.n, max(s.list, candidates(s.p.K, s.widen)))
	}
	clear(s.scored)
	s.found = 0
}

// allows reports whether a row may be returned.
func (s *searcher) allows(id uint32) bool {
	if s.p.Filter == nil {
		return true
	}
	s.ids = append(s.ids[:0], id)
	return s.p.Filter.Test(s.ids) != 0
}

// offer scores a row by its vector, unless that was done or it is not allowed.
func (s *searcher) offer(id uint32, raw []byte) {
	if s.scored[id>>6]>>(id&63)&1 != 0 {
		return
	}
	s.scored[id>>6] |= 1 << (id & 63)
	if !s.allows(id) {
		return
	}
	s.found++
	s.row[0] = raw
	s.scorer.Rows(s.row[:], s.score[:])
	s.stats.Distances++
	if s.window != nil && !s.window.Contains(s.x.metric, s.score[0]) {
		return
	}
	s.best.Push(topk.Pack(s.x.metric.Key(s.score[0]), id))
}

// worth reports whether a row whose code has this key can still be among the best.
func (s *searcher) worth(key uint32) bool {
	if !s.best.Full() {
		return true
	}
	kth := asDistance(s.x.metric, s.x.metric.Score(topk.Key(s.best.Bound())))
	return !(s.coded.Distance(key)-s.margin > kth)
}

// rest reads and scores the rows of pairs (key of code, row), nearest first, as far as they can still be among the best.
func (s *searcher) rest(ctx context.Context, pairs []uint64) error {
	for first := s.p.K + s.p.K/4 + 4; len(pairs) > 0; first = len(pairs) {
		s.rerank = s.rerank[:0]
		for _, p := range pairs[:min(first, len(pairs))] {
			if s.worth(topk.Key(p)) {
				s.rerank = append(s.rerank, topk.ID(p))
			}
		}
		pairs = pairs[min(first, len(pairs)):]
		if err := s.readAll(ctx, s.rerank, func(i int, n node) { s.offer(s.rerank[i], n.vector) }); err != nil {
			return err
		}
	}
	return nil
}

// measure computes the distances of ids by codes into keys.
func (s *searcher) measure(ids []uint32) []uint32 {
	if cap(s.keys) < len(ids) {
		s.keys = make([]uint32, max(len(ids), scanBatch))
	}
	s.stats.Distances += len(ids)
	keys := s.keys[:len(ids)]
	img := s.x.img
	img.quant.Measure(&s.coded, img.codes, ids, img.weight, keys)
	return keys
}

// word returns the allowed rows among w*64 to w*64+63.
func (s *searcher) word(w int) uint64 {
	word := ^uint64(0)
	if s.p.Filter != nil {
		if s.words == nil {
			s.words = s.p.Filter.Words()
		}
		word = 0
		if w < len(s.words) {
			word = s.words[w]
		}
	}
	if tail := s.n - w*64; tail < 64 {
		word &= 1<<tail - 1
	}
	return word
}

// eachAllowed calls fn for all allowed rows with their distances by code, in batches.
func (s *searcher) eachAllowed(ctx context.Context, fn func(ids, keys []uint32) error) error {
	const checkEvery = 64
	ids, steps := s.order32(), 0
	flush := func() error {
		if steps++; steps%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := fn(ids, s.measure(ids))
		ids = ids[:0]
		return err
	}
	for w := range (s.n + 63) / 64 {
		for word := s.word(w); word != 0; word &= word - 1 {
			if ids = append(ids, uint32(w<<6+bits.TrailingZeros64(word))); len(ids) == scanBatch {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return flush()
}

// order32 returns memory for a batch of rows.
func (s *searcher) order32() []uint32 {
	if cap(s.rerank) < scanBatch {
		s.rerank = make([]uint32, 0, scanBatch)
	}
	return s.rerank[:0]
}
