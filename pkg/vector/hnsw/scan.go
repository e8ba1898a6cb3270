package hnsw

import (
	"context"
	"math"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// scan measures the codes of all allowed rows. One batch of codes is on its way from memory while the one before is measured.
func (s *searcher) scan(ctx context.Context) error {
	s.heap.Reset(min(s.limit(), s.n))
	if s.p.Filter != nil && s.words == nil {
		s.words = s.p.Filter.Words()
	}
	ids, last := s.scanIDs[0][:0], s.scanIDs[1][:0]
	steps := 0
	for w := range (s.n + 63) / 64 {
		for word := s.word(w); word != 0; word &= word - 1 {
			if ids = append(ids, uint32(w<<6+bits.TrailingZeros64(word))); len(ids) < scanBatch {
				continue
			}
			if steps++; steps%checkEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			s.w.set.Prefetch(s.x.img.codes, ids, s.w.lines)
			s.offerScan(last)
			ids, last = last[:0], ids
		}
	}
	s.offerScan(last)
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

// offerScan keeps the best of a batch.
func (s *searcher) offerScan(ids []uint32) {
	dist := s.w.measure(ids)
	if !s.heap.Full() {
		for i, d := range dist {
			s.heap.Push(topk.Pack(sq8.Key(d), ids[i]))
		}
		return
	}
	// Those at the bound may be better by their row, so it is let in.
	below := int32(topk.Key(s.heap.Bound()) ^ 1<<31)
	if below < math.MaxInt32 {
		below++
	}
	n := s.w.set.Filter(dist, ids, below, s.near[:], s.nearIDs[:])
	for i, d := range s.near[:n] {
		s.heap.Push(topk.Pack(sq8.Key(d), s.nearIDs[i]))
	}
}
