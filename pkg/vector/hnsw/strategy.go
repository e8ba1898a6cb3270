package hnsw

import (
	"context"
	"errors"
	"math"
	"math/bits"
)

const (
	scanBatch = 128 // rows per kernel call of a scan
	testBatch = 64  // rows per call of a filter

	// Costs in nanoseconds, to compare a walk with a scan; only their ratios matter. Both have a part per cache line of a
	// code. A walk pays besides for jumping, the visited set and the pool, and a fixed part for its way down the levels.
	lineCost  = 5
	byteCost  = 0.4 // of a code of a product quantiser, instead
	scanCost  = 2
	walkCost  = 12
	walkFixed = 5_000
	// fresh is the number of nodes that a walk measures per node in its pool, as a share of M.
	fresh = 0.8
	// stopReach and stopPool make a walk that ends by distance find more than one that ends by rank, with about as much
	// work: the former is the part of the way from the k-th to the ef-th nearest row that it looks ahead, by the mean over
	// all queries, the latter by how much its pool is larger than ef, for queries that need more.
	stopReach = 0.65
	stopPool  = 2
	// filteredSpare is the room in the pool of a walk that ends at the k-th allowed row, which may lie far behind where it is
	// expected.
	filteredSpare = 3
	// doubt is by how much a walk under a filter is expected to be the cheaper way before it is tried: it may turn out to
	// be longer, the scan cannot.
	doubt = 1.8
	// narrowest is the share of allowed rows that a pool is widened for at most.
	narrowest = 1e-4
)

// run fills ids with the candidates for the re-rank: from a walk over all rows, from a walk that goes on until it has met
// enough allowed ones, or from a scan of the allowed rows' codes.
//
// What a walk costs is estimated from its pool: as large as a search for k/share of all rows needs for the recall that ef
// gives one for k. That holds when the allowed rows lie among the others at random. When they lie away from the query, the
// walk goes further, as its end depends on the k-th allowed row that it met; once it has cost half as much as a scan, it gives up
// and the scan, which finds every allowed row, is made.
func (s *searcher) run(ctx context.Context) error {
	ef := s.p.Ef
	if s.widen > 1 {
		ef = min(s.n, max(ef, s.candidates()))
	}
	if s.p.Filter == nil {
		return s.unfiltered(ctx, ef)
	}
	share := max(narrowest, float64(s.allowed)/float64(s.n))
	if s.stop(ef, ef).rank == 0 {
		return s.widening(ctx, ef, share)
	}
	size := s.filteredPool(ef, share)
	walk, scan := s.walkTime(size), s.scanTime()
	if scan <= walk*doubt {
		return s.scan(ctx)
	}
	a := &s.w.allowed
	a.filter, a.share, a.hops = s.p.Filter, share, stopPool*size
	a.seen, a.hits, a.n = 0, 0, 0
	a.near.Reset(s.p.K)
	a.budget = int(max(1.2*walk, scan/2) / s.walkCost())
	st := s.stop(max(s.p.K, int(float64(size)*share)), size)
	a.factor = max(0, s.stop(ef, ef).factor-st.factor)
	found, err := s.plain(ctx, st, min(s.n, filteredSpare*size), s.p.K)
	a.filter = nil
	if errors.Is(err, errBudget) || err == nil && found < s.p.K {
		return s.scan(ctx)
	}
	return err
}

// filteredPool returns the pool of a walk for k allowed rows that finds what a pool of ef would without a filter.
func (s *searcher) filteredPool(ef int, share float64) int {
	widest := int(float64(ef) / share)
	t := &s.x.img.table
	if t.Empty() {
		return widest
	}
	k := int(math.Ceil(float64(s.p.K) / share))
	pool, _ := t.Effort(k, t.Recall(s.p.K, ef))
	return max(k, min(widest, pool))
}

// unfiltered walks, or scans where the pool is not much smaller than all rows. A graph that a walk cannot get through, which
// has never been seen, ends in a scan too.
func (s *searcher) unfiltered(ctx context.Context, ef int) error {
	if s.scanIsCheaper(ef) {
		return s.scan(ctx)
	}
	size, st := ef, s.stop(ef, ef)
	if st.rank > 0 {
		size = min(s.n, stopPool*ef)
	}
	found, err := s.plain(ctx, st, size, s.p.K)
	if err == nil && found < s.p.K {
		return s.scan(ctx)
	}
	return err
}

// widening is for distances that do not tell how far to go, as inner products. The pool is widened so that about ef allowed
// rows fit. When a walk finds far fewer, the share among the query's neighbours is smaller than among all rows, and the
// last rows of a pool are not reliable. The walk is then repeated with the share that was found. As its cost grows with the
// pool and that of a scan does not, this ends in a scan.
func (s *searcher) widening(ctx context.Context, ef int, share float64) error {
	enough := max(s.p.K, ef/2)
	for {
		size := int(float64(ef) / share)
		if s.scanIsCheaper(size) {
			return s.scan(ctx)
		}
		found, err := s.plain(ctx, stop{}, size, enough)
		if err != nil {
			return err
		}
		if found >= min(enough, s.allowed) && found >= s.p.K {
			return nil
		}
		share = max(share/8, min(share/2, float64(found)/float64(size)))
	}
}

// scanCost and walkCost are what a row of a scan and a node of a walk cost.
func (s *searcher) scanCost() float64 { return scanCost + lineCost*s.lines() }

func (s *searcher) walkCost() float64 { return walkCost + lineCost*s.lines() }

func (s *searcher) lines() float64 {
	if p := s.x.product; p != nil {
		return float64(p.codes.Stride) * byteCost / lineCost
	}
	return float64(s.x.img.codes.Stride / 64)
}

// walkTime and scanTime estimate a walk with a pool of size and a scan over the codes of allowed rows.
func (s *searcher) walkTime(size int) float64 {
	return walkFixed + float64(size)*float64(s.x.img.m)*fresh*s.walkCost()
}

func (s *searcher) scanTime() float64 { return float64(s.allowed) * s.scanCost() }

func (s *searcher) scanIsCheaper(size int) bool { return s.scanTime() <= s.walkTime(size) }

// plain walks over all rows with a pool of size and returns the number of allowed rows that it met, at least as far as
// enough. The first of them become the candidates.
func (s *searcher) plain(ctx context.Context, st stop, size, enough int) (found int, err error) {
	w := s.w
	w.stop = st
	if err := w.walk(ctx, w.descend(0), 0, size); err != nil {
		return 0, err
	}
	return s.collect(enough), nil
}

// collect makes the first allowed rows of the pool the candidates, and returns their number, at least as far as enough.
func (s *searcher) collect(enough int) (found int) {
	w := s.w
	s.ids, s.keys = s.ids[:0], s.keys[:0]
	limit := s.limit()
	batch := w.ids[:0]
	for _, it := range w.pool.items {
		for id := itemID(it); id != none; id = w.g.twins[id] {
			s.batchKeys[len(batch)] = uint32(it >> 32)
			if batch = append(batch, id); len(batch) < testBatch {
				continue
			}
			found += s.admit(batch, limit)
			batch = batch[:0]
			if found >= enough && len(s.ids) >= limit {
				s.cut()
				return found
			}
		}
	}
	found += s.admit(batch, limit)
	s.cut()
	return found
}

// admit adds the allowed rows among ids to the candidates, up to limit, and returns the number of allowed ones.
func (s *searcher) admit(ids []uint32, limit int) int {
	allowed := ^uint64(0) >> (testBatch - len(ids))
	if s.p.Filter != nil {
		allowed &= s.p.Filter.Test(ids)
	}
	found := bits.OnesCount64(allowed)
	for ; allowed != 0 && len(s.ids) < limit; allowed &= allowed - 1 {
		i := bits.TrailingZeros64(allowed)
		s.ids = append(s.ids, ids[i])
		s.keys = append(s.keys, s.batchKeys[i])
	}
	return found
}

// stop returns when a walk with a pool of size may end that stands for one with a pool of ef without a filter.
func (s *searcher) stop(ef, size int) stop {
	q, g := &s.w.query, &s.x.img.graph
	if !q.Weights || q.Ratio != 1 || g.spread <= 0 {
		return stop{}
	}
	st := stop{rank: max(1, s.p.K*size/max(1, ef)), slack: 0.6} // one deviation of the difference of two distances
	st.factor = 1 + stopReach*(math.Pow(float64(ef)/float64(s.p.K), g.spread)-1)
	if g.split {
		st.slack *= 4
	}
	return st
}
