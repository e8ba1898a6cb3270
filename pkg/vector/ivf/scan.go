package ivf

import (
	"context"
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	batch     = 128 // rows measured per step
	testBatch = 64  // rows per call of a filter
	// checkEvery is the number of batches between two looks at the context.
	checkEvery = 64
	// codeGain is how many rows can be measured by code in the time of one by raw vector.
	codeGain = 4
)

// run looks at lists, nearest first, until it has met enough allowed rows.
//
// Among few allowed rows the k best lie further away than among all, so a filter widens the search by the root of its share.
// It is replaced by an exact scan of the allowed rows where that costs no more than the same search without a filter. The
// last rows of what was found are not reliable, so meeting k rows is not enough.
func (s *searcher) run(ctx context.Context, query []float32) error {
	s.rank(query)
	s.found = 0
	n, lists := s.x.img.Len(), s.x.img.count()
	enough := min(2*s.p.K, n)
	share := max(1/float64(n), float64(s.allowed)/float64(n))
	probe := min(lists, int(float64(s.p.Probe)/math.Sqrt(share)))
	for done := 0; ; {
		if s.exactIsCheaper(max(done, s.p.Probe)) {
			return s.exact(ctx, query)
		}
		if err := s.lists(ctx, done, probe); err != nil {
			return err
		}
		if s.found >= enough || probe == lists {
			return nil
		}
		s.count()
		done, probe = probe, min(lists, 2*probe)
	}
}

// rank scores all centroids.
func (s *searcher) rank(query []float32) {
	set, img := s.x.quant.Set, s.x.img
	if s.x.quant.Metric == vector.L2 {
		set.L2Range(query, img.centroids, len(query), s.nearby)
	} else {
		set.IPRange(query, img.centroids, len(query), s.nearby) // for Cosine they have length 1
	}
	s.stats.Distances += len(s.nearby)
}

// lists looks at the lists from to to-1 in the order of their centroids.
func (s *searcher) lists(ctx context.Context, from, to int) error {
	s.order.Reset(to)
	bound := s.order.Bound()
	for l, score := range s.nearby {
		if p := topk.Pack(s.x.quant.Metric.Key(score), uint32(l)); p < bound {
			s.order.Push(p)
			bound = s.order.Bound()
		}
	}
	for _, p := range s.order.Sort()[from:] {
		if err := s.list(ctx, int(topk.ID(p))); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

// list looks at one list.
func (s *searcher) list(ctx context.Context, l int) error {
	s.stats.Hops++
	end := s.x.img.offs[l+1]
	for at := s.x.img.offs[l]; at < end; at += testBatch {
		ids := s.x.img.ids[at:min(at+testBatch, end)]
		if len(s.places)+len(ids) > batch {
			if s.steps++; s.steps%checkEvery == 0 && ctx.Err() != nil {
				s.places = s.places[:0]
				return ctx.Err()
			}
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
		allowed := ^uint64(0) >> (testBatch - len(ids))
		if s.p.Filter != nil {
			allowed &= s.p.Filter.Test(ids)
		}
		s.found += bits.OnesCount64(allowed)
		for ; allowed != 0; allowed &= allowed - 1 {
			s.places = append(s.places, at+uint32(bits.TrailingZeros64(allowed)))
		}
	}
	return nil
}

// flush measures the rows in places and empties it.
func (s *searcher) flush(ctx context.Context) error {
	if !s.x.img.HasCodes() {
		return s.score(ctx)
	}
	dist := s.dist[:len(s.places)]
	s.query.Measure(s.x.quant.Set, s.x.img.codes, s.places, s.x.img.weight, dist)
	bound := s.codes.Bound()
	for i, d := range dist {
		if p := topk.Pack(sq8.Key(d), s.places[i]); p < bound {
			s.codes.Push(p)
			bound = s.codes.Bound()
		}
	}
	s.stats.Distances += len(dist)
	s.places = s.places[:0]
	return nil
}

// score scores the rows in places exactly and empties it.
func (s *searcher) score(ctx context.Context) error {
	s.ids = s.ids[:0]
	for _, at := range s.places {
		s.ids = append(s.ids, s.x.img.ids[at])
	}
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	out := s.scores[:len(s.places)]
	s.scorer.Rows(rows, out)
	bound := s.best.Bound()
	for i, at := range s.places {
		if p := topk.Pack(s.x.quant.Metric.Key(out[i]), s.x.img.ids[at]); p < bound {
			s.best.Push(p)
			bound = s.best.Bound()
		}
	}
	s.stats.Distances += len(out)
	s.places = s.places[:0]
	return nil
}

// exactIsCheaper decides whether scoring all allowed rows costs no more than looking at lists whole.
func (s *searcher) exactIsCheaper(lists int) bool {
	if s.p.Filter == nil {
		return false
	}
	whole := float64(s.x.img.Len()) * float64(lists) / float64(s.x.img.count())
	if s.x.img.HasCodes() {
		whole /= codeGain
	}
	return float64(s.allowed) <= max(whole, float64(s.p.K))
}

// exact scores all allowed rows.
func (s *searcher) exact(ctx context.Context, query []float32) error {
	sc := flat.Scanner{Set: s.x.quant.Set, Metric: s.x.quant.Metric, Rows: s.x.rows}
	hits, stats, err := sc.Search(ctx, query, s.p.K, s.p.Filter)
	s.stats.Add(stats)
	if err != nil {
		return err
	}
	s.codes.Reset(0)
	s.best.Reset(s.p.K)
	for _, h := range hits[0] {
		s.best.Push(topk.Pack(s.x.quant.Metric.Key(h.Score), h.ID))
	}
	return nil
}

// count replaces the estimate of allowed rows, which may be why a search met so few, by their number.
func (s *searcher) count() {
	if s.p.Filter == nil || s.words != nil {
		return
	}
	s.words = s.p.Filter.Words()
	s.allowed = 0
	n := s.x.img.Len()
	for w, word := range s.words[:min(len(s.words), (n+63)/64)] {
		if tail := n - w*64; tail < 64 {
			word &= 1<<tail - 1
		}
		s.allowed += bits.OnesCount64(word)
	}
}
