package hnsw

import (
	"context"
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	scanBatch = 256 // rows per kernel call of a scan
	testBatch = 64  // rows per call of a filter

	// Costs in nanoseconds, to compare a walk with a scan; only their ratios matter. Both have a part per cache line of a
	// code. A walk pays besides for jumping, the visited set and the pool, and a fixed part for its way down the levels.
	lineCost  = 2.5
	scanCost  = 2
	walkCost  = 22
	walkFixed = 10_000
	// fresh is the number of nodes that a walk measures per node in its pool, as a share of M.
	fresh = 0.65
	// stopReach and stopPool make a walk that ends by distance find more than one that ends by rank, with about as much
	// work: the former is the part of the way from the k-th to the ef-th nearest row that it looks ahead, by the mean over
	// all queries, the latter by how much its pool is larger than ef, for queries that need more.
	stopReach = 0.65
	stopPool  = 2
	// narrowest is the share of allowed rows that a pool is widened for at most.
	narrowest = 1e-4
)

// run fills ids with the candidates for the re-rank.
//
// With a filter the pool is widened so that about ef allowed rows fit. When a walk finds far fewer, the allowed rows lie
// away from the query: the share among its neighbours is smaller than among all rows, and the last rows of a pool are not
// reliable. The walk is then repeated with the share that was found. As its cost grows with the pool and that of a scan
// does not, this ends in a scan, which finds every allowed row.
func (s *searcher) run(ctx context.Context) error {
	ef := s.p.Ef
	if s.widen > 1 {
		ef = min(s.n, max(ef, s.candidates()))
	}
	enough := max(s.p.K, ef/2)
	share := max(narrowest, float64(s.allowed)/float64(s.n))
	for {
		size := int(float64(ef) / share)
		if s.scanIsCheaper(size) {
			return s.scan(ctx)
		}
		found, err := s.plain(ctx, size, enough)
		if err != nil {
			return err
		}
		if found >= min(enough, s.allowed) && found >= s.p.K {
			return nil
		}
		share = max(share/8, min(share/2, float64(found)/float64(size)))
	}
}

// scanIsCheaper decides between a scan over the codes of allowed rows and a walk with a pool of size.
func (s *searcher) scanIsCheaper(size int) bool {
	lines := lineCost * float64(s.x.img.codes.Stride/64)
	walk := walkFixed + float64(size)*float64(s.x.img.m)*fresh*(walkCost+lines)
	return float64(s.allowed)*(scanCost+lines) <= walk
}

// plain walks over all rows with a pool of size and returns the number of allowed rows that it met, at least as far as
// enough. The first of them become the candidates.
func (s *searcher) plain(ctx context.Context, size, enough int) (found int, err error) {
	w := s.w
	if w.stop = s.stop(size); w.stop.rank > 0 {
		size = min(s.n, stopPool*size)
	}
	if err := w.walk(ctx, w.descend(0), 0, size); err != nil {
		return 0, err
	}
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
				return found, nil
			}
		}
	}
	found += s.admit(batch, limit)
	s.cut()
	return found, nil
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

// scan measures the codes of all allowed rows.
func (s *searcher) scan(ctx context.Context) error {
	s.heap.Reset(min(s.limit(), s.n))
	ids := s.w.ids[:0]
	steps := 0
	flush := func() error {
		if steps++; steps%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s.offerScan(ids)
		ids = ids[:0]
		return nil
	}
	if s.p.Filter != nil && s.words == nil {
		s.words = s.p.Filter.Words()
	}
	for w := range (s.n + 63) / 64 {
		word := s.word(w)
		for ; word != 0; word &= word - 1 {
			if ids = append(ids, uint32(w<<6+bits.TrailingZeros64(word))); len(ids) == scanBatch {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	s.offerScan(ids)
	s.ids, s.keys = s.ids[:0], s.keys[:0]
	for _, p := range s.heap.Sort() {
		s.ids = append(s.ids, topk.ID(p))
		s.keys = append(s.keys, topk.Key(p))
	}
	s.cut()
	return nil
}

// word returns the allowed rows among w*64 to w*64+63.
func (s *searcher) word(w int) uint64 {
	word := ^uint64(0)
	if s.p.Filter != nil {
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

func (s *searcher) offerScan(ids []uint32) {
	bound := s.heap.Bound()
	for i, d := range s.w.measure(ids) {
		if p := topk.Pack(sq8.Key(d), ids[i]); p < bound {
			s.heap.Push(p)
			bound = s.heap.Bound()
		}
	}
}

// stop returns when a walk with a pool of size may end.
func (s *searcher) stop(size int) stop {
	q, g := &s.w.query, &s.x.img.graph
	if !q.Weights || q.Ratio != 1 || g.spread == 0 {
		return stop{}
	}
	st := stop{rank: max(1, s.p.K*size/max(1, s.p.Ef)), slack: 0.6} // one deviation of the difference of two distances
	st.factor = 1 + stopReach*(math.Pow(float64(s.p.Ef)/float64(s.p.K), g.spread)-1)
	if g.split {
		st.slack *= 4
	}
	return st
}
