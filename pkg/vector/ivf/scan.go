package ivf

import (
	"context"
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	batch     = 128 // rows scored per step
	testBatch = 64  // rows per call of a filter
	// checkEvery is the number of steps between two looks at the context.
	checkEvery = 64
	// codeGain is how many rows can be measured by code in the time that one of them takes to be found in the filter, read
	// and scored by its raw vector.
	codeGain = 8
	// fetchCost is how many times as long that takes when vectors do not lie in memory.
	fetchCost = 16
)

// run looks at lists, nearest first, until it has met enough allowed rows, or scores all allowed rows, which it reports.
//
// Among few allowed rows the k best lie further away than among all, so a filter widens the search by the root of its share.
// It is replaced by an exact scan of the allowed rows where that costs no more than the same search without a filter. The
// last rows of what was found are not reliable, so meeting k rows is not enough.
func (s *searcher) run(ctx context.Context, query []float32) (scanned bool, err error) {
	if err := s.ranker.rank(ctx, query, s.nearby); err != nil {
		return false, err
	}
	s.stats.Distances += len(s.nearby)
	s.found, s.measured, s.tested, s.passed = 0, 0, 0, 0
	n, lists := s.x.img.Len(), s.x.img.count()
	enough := min(2*s.p.K, n)
	share := max(1/float64(n), float64(s.allowed)/float64(n))
	probe := min(lists, int(float64(s.p.Probe)/math.Sqrt(share)))
	for done := 0; ; {
		if s.exactIsCheaper(max(done, s.p.Probe)) {
			return true, s.exact(ctx, query)
		}
		if err := s.lists(ctx, done, probe); err != nil {
			return false, err
		}
		if s.met() >= enough || probe == lists {
			return false, nil
		}
		s.count()
		done, probe = probe, min(lists, 2*probe)
	}
}

// lists looks at the lists from to to-1 in the order of their centroids.
func (s *searcher) lists(ctx context.Context, from, to int) error {
	for _, p := range s.nearest(to)[from:] {
		s.stats.Hops++
		l := int(topk.ID(p))
		if s.codes == nil {
			if err := s.list(ctx, l); err != nil {
				return err
			}
			continue
		}
		if err := s.codes.list(ctx, l); err != nil {
			return err
		}
	}
	return s.score(ctx)
}

// nearest returns pairs of (key, list) of the nearest lists.
func (s *searcher) nearest(count int) []uint64 {
	s.order.Reset(count)
	bound := s.order.Bound()
	for l, d := range s.nearby {
		if p := topk.Pack(ascending.Key(d), uint32(l)); p < bound {
			s.order.Push(p)
			bound = s.order.Bound()
		}
	}
	return s.order.Sort()
}

// list scores the allowed rows of a list.
func (s *searcher) list(ctx context.Context, l int) error {
	end := s.x.img.offs[l+1]
	for at := s.x.img.offs[l]; at < end; at += testBatch {
		ids := s.x.img.ids[at:min(at+testBatch, end)]
		if len(s.ids)+len(ids) > batch {
			if err := s.look(ctx); err != nil {
				s.ids = s.ids[:0]
				return err
			}
			if err := s.score(ctx); err != nil {
				return err
			}
		}
		allowed := s.test(ids)
		s.found += bits.OnesCount64(allowed)
		for ; allowed != 0; allowed &= allowed - 1 {
			s.ids = append(s.ids, ids[bits.TrailingZeros64(allowed)])
		}
	}
	return nil
}

// test returns which of up to 64 rows are allowed.
func (s *searcher) test(ids []uint32) uint64 {
	allowed := ^uint64(0) >> (testBatch - len(ids))
	if s.p.Filter != nil {
		allowed &= s.p.Filter.Test(ids)
	}
	return allowed
}

// offer gives the allowed row at a place to the pool.
func (s *searcher) offer(least, most float32, place uint32) {
	if least > s.pool.bound {
		return
	}
	s.tested++
	if s.test(s.x.img.ids[place:place+1]) != 0 {
		s.passed++
		s.pool.add(least, most, place)
	}
}

// met returns how many allowed rows the search has met. Of rows that were too far to be tested, as many count as allowed as
// among the others.
func (s *searcher) met() int {
	if s.tested == 0 {
		return s.found
	}
	return s.found + s.passed*s.measured/s.tested
}

// exactIsCheaper decides whether scoring all allowed rows costs no more than looking at lists whole.
func (s *searcher) exactIsCheaper(lists int) bool {
	if s.p.Filter == nil {
		return false
	}
	whole := float64(s.x.img.Len()) * float64(lists) / float64(s.x.img.count())
	if s.codes != nil {
		whole /= codeGain
		if !s.x.inPlace {
			whole /= fetchCost
		}
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
