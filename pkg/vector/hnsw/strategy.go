package hnsw

import (
	"context"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	scanBatch = 256 // rows per kernel call of a scan
	testBatch = 64  // rows per call of a filter
	hopLimit  = 64  // rows that one step of the two-hop walk measures at most, not counting its last batch

	// Costs in units of one row of a scan.
	walkFixed   = 2500
	walkPerRow  = 4 // one measured node of a walk: a cache miss, the visited set, the pool
	twoHopFixed = 4000
	twoHopPerEf = 180
	// sparse is the share of allowed rows below which the two-hop walk loses recall.
	sparse = 0.05
	// maxSparseScan bounds the scans that are preferred for recall alone.
	maxSparseScan = 400_000
)

// run fills ids with the candidates for the re-rank.
func (s *searcher) run(ctx context.Context) error {
	ef := s.p.Ef
	for {
		share := float64(s.allowed) / float64(s.n)
		switch {
		case s.scanIsCheaper(ef, share):
			return s.scan(ctx)
		case s.p.Filter == nil || share > 0.5:
			if err := s.plain(ctx, int(float64(ef)/share)); err != nil {
				return err
			}
		default:
			if err := s.twoHop(ctx, ef); err != nil {
				return err
			}
		}
		if len(s.ids) >= s.p.K {
			return nil
		}
		// Too few: the rows are far from the query, the estimate was wrong or the graph has a gap. Try harder; as the
		// cost of a walk grows with ef and that of a scan does not, this ends in a scan.
		ef *= 4
	}
}

// scanIsCheaper decides between a walk and a scan over the codes of allowed rows.
func (s *searcher) scanIsCheaper(ef int, share float64) bool {
	scan := float64(s.allowed)
	if s.p.Filter == nil || share > 0.5 {
		return scan <= walkFixed+walkPerRow*0.7*float64(s.x.img.m)*float64(ef)/share
	}
	return scan <= twoHopFixed+twoHopPerEf*float64(ef) || share < sparse && s.allowed <= maxSparseScan
}

// plain walks over all rows with a pool of ef and keeps the allowed ones.
func (s *searcher) plain(ctx context.Context, ef int) error {
	w := s.w
	if err := w.walk(ctx, w.descend(0), 0, ef); err != nil {
		return err
	}
	want := s.candidates()
	s.ids = s.ids[:0]
	for from := 0; from < len(w.pool.items) && len(s.ids) < want; from += testBatch {
		ids := w.ids[:0]
		for _, it := range w.pool.items[from:min(from+testBatch, len(w.pool.items))] {
			ids = append(ids, itemID(it))
		}
		allowed := ^uint64(0)
		if s.p.Filter != nil {
			allowed = s.p.Filter.Test(ids)
		}
		for i, id := range ids {
			if allowed>>i&1 != 0 && len(s.ids) < want {
				s.ids = append(s.ids, id)
			}
		}
	}
	return nil
}

// twoHop walks over allowed rows only: where a neighbour is not allowed, its allowed neighbours take its place (the
// ACORN-1 search of Patel et al. 2024).
func (s *searcher) twoHop(ctx context.Context, ef int) error {
	w := s.w
	at := w.descend(0)
	clear(w.visited)
	w.pool.reset(ef)
	w.see(at)
	w.second[0] = at
	s.offerAllowed(w.second[:1])
	s.hop(at)
	for hops := 1; ; hops++ {
		id, ok := w.pool.next()
		if !ok {
			break
		}
		if hops%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s.hop(id)
	}
	s.ids = s.ids[:0]
	for _, it := range w.pool.items[:min(len(w.pool.items), s.candidates())] {
		s.ids = append(s.ids, itemID(it))
	}
	return nil
}

// offerAllowed measures those of up to testBatch ids that are allowed, and returns their number.
func (s *searcher) offerAllowed(ids []uint32) int {
	allowed := s.p.Filter.Test(ids)
	near := s.w.ids[:0]
	for i, id := range ids {
		if allowed>>i&1 != 0 {
			near = append(near, id)
		}
	}
	s.w.set.Prefetch(s.w.g.codes, near, s.w.lines)
	s.w.offer(near)
	return len(near)
}

// hop measures the allowed nodes at one step from id, and those behind the others until hopLimit are measured.
func (s *searcher) hop(id uint32) {
	w := s.w
	w.stats.Hops++
	first := w.unseen(w.g.links(id, 0), w.second)
	bridges := w.bridges[:0]
	near := w.ids[:0]
	for from := 0; from < len(first); from += testBatch {
		ids := first[from:min(from+testBatch, len(first))]
		allowed := s.p.Filter.Test(ids)
		for i, to := range ids {
			if allowed>>i&1 != 0 {
				near = append(near, to)
			} else {
				bridges = append(bridges, to)
			}
		}
	}
	w.set.Prefetch(w.g.codes, near, w.lines)
	w.offer(near)
	measured := len(near)
	for _, b := range bridges {
		if measured >= hopLimit {
			return
		}
		measured += s.cross(b)
	}
}

// cross measures the allowed, unseen neighbours of a node that is not allowed. Those that are not allowed stay unseen: they
// may be bridges later.
func (s *searcher) cross(bridge uint32) int {
	w := s.w
	near := w.ids[:0]
	batch := w.second[:0]
	flush := func() {
		allowed := s.p.Filter.Test(batch)
		for i, id := range batch {
			if allowed>>i&1 != 0 && w.see(id) {
				near = append(near, id)
			}
		}
		batch = batch[:0]
	}
	for _, id := range w.g.links(bridge, 0) {
		if id == none {
			break
		}
		if w.visited[id>>6]>>(id&63)&1 != 0 {
			continue
		}
		if batch = append(batch, id); len(batch) == testBatch {
			flush()
		}
	}
	flush()
	w.set.Prefetch(w.g.codes, near, w.lines)
	w.offer(near)
	return len(near)
}

// scan measures the codes of all allowed rows.
func (s *searcher) scan(ctx context.Context) error {
	s.heap.Reset(min(s.candidates(), s.n))
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
	s.ids = s.ids[:0]
	for _, p := range s.heap.Sort() {
		s.ids = append(s.ids, topk.ID(p))
	}
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
		if p := topk.Pack(keyOf(d), ids[i]); p < bound {
			s.heap.Push(p)
			bound = s.heap.Bound()
		}
	}
}
