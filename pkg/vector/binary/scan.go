package binary

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Scanner scans rows of bits by one metric.
type Scanner struct {
	Set    kernel.Set
	Metric vector.Metric
	Rows   vector.Rows
}

// Search returns the k best allowed rows for each query (one behind the other), best first, equal scores by row.
func (s Scanner) Search(ctx context.Context, queries []byte, k int, f vector.Filter) ([][]vector.Hit, vector.Stats, error) {
	return s.scan(ctx, queries, k, nil, f)
}

// Range returns the best limit allowed rows inside the window, best first.
func (s Scanner) Range(ctx context.Context, query []byte, w flat.Window, limit int, f vector.Filter) ([]vector.Hit, vector.Stats, error) {
	hits, stats, err := s.scan(ctx, query, limit, &w, f)
	if err != nil {
		return nil, stats, err
	}
	if len(hits) != 1 {
		return nil, stats, fmt.Errorf("a range search takes one query, not %d", len(hits))
	}
	return hits[0], stats, nil
}

func (s Scanner) scan(ctx context.Context, queries []byte, k int, w *flat.Window, f vector.Filter) ([][]vector.Hit, vector.Stats, error) {
	size := kernel.Bit.RowBytes(s.Rows.Dim())
	if err := fits(s.Metric, s.Rows, len(queries)); err != nil {
		return nil, vector.Stats{}, err
	}
	sc := scan{Scanner: s, size: size, window: w, ids: make([]uint32, 0, batch), raw: vector.NewGatherer(s.Rows)}
	sc.scorers = make([]scorer, len(queries)/size)
	sc.heaps = make([]topk.Heap, len(sc.scorers))
	for i := range sc.scorers {
		sc.scorers[i].set, sc.scorers[i].metric = s.Set, s.Metric
		sc.scorers[i].begin(queries[i*size : (i+1)*size])
		sc.heaps[i].Reset(min(k, s.Rows.Len()))
	}
	var err error
	if f == nil {
		err = sc.all(ctx)
	} else {
		err = sc.some(ctx, f.Words())
	}
	if err != nil {
		return nil, sc.stats, err
	}
	out := make([][]vector.Hit, len(sc.heaps))
	for q := range out {
		out[q] = hits(s.Metric, &sc.heaps[q])
	}
	return out, sc.stats, nil
}

// fits checks that rows are of bits and that queries are whole rows.
func fits(m vector.Metric, rows vector.Rows, queries int) error {
	size := kernel.Bit.RowBytes(rows.Dim())
	switch {
	case !m.Binary() || rows.Elem() != kernel.Bit || rows.Dim() < 1 || rows.Dim()%8 != 0:
		return fmt.Errorf("rows of %d components of type %s cannot be compared by %s", rows.Dim(), rows.Elem(), m)
	case queries%size != 0:
		return fmt.Errorf("%d bytes of queries are no multiple of the %d of a row", queries, size)
	}
	return nil
}

// hits empties a heap of pairs of (metric key, row).
func hits(m vector.Metric, heap *topk.Heap) []vector.Hit {
	pairs := heap.Sort()
	out := make([]vector.Hit, len(pairs))
	for i, p := range pairs {
		out[i] = vector.Hit{ID: topk.ID(p), Score: m.Score(topk.Key(p))}
	}
	return out
}

// scan is the state of one call.
type scan struct {
	Scanner
	size    int // bytes per row
	window  *flat.Window
	scorers []scorer
	heaps   []topk.Heap
	ids     []uint32
	raw     vector.Gatherer
	scores  [batch]float32
	stats   vector.Stats
	steps   int
}

func (s *scan) all(ctx context.Context) error {
	blocks, _ := s.Rows.(vector.Blocks)
	n := s.Rows.Len()
	for i := 0; i < n; {
		count := min(batch, n-i)
		if blocks == nil {
			for j := range count {
				s.ids = append(s.ids, uint32(i+j))
			}
			if err := s.gather(ctx); err != nil {
				return err
			}
			i += count
			continue
		}
		if err := s.step(ctx); err != nil {
			return err
		}
		block := blocks.Block(i)
		count = min(count, len(block)/s.size)
		out := s.scores[:count]
		for q := range s.scorers {
			s.scorers[q].block(block, out)
			for j, score := range out {
				s.offer(q, uint32(i+j), score)
			}
		}
		s.stats.Distances += count * len(s.scorers)
		i += count
	}
	return nil
}

func (s *scan) some(ctx context.Context, words []uint64) error {
	n := s.Rows.Len()
	for w, word := range words[:min(len(words), (n+63)/64)] {
		for ; word != 0; word &= word - 1 {
			id := w<<6 + bits.TrailingZeros64(word)
			if id >= n {
				break
			}
			if s.ids = append(s.ids, uint32(id)); len(s.ids) == batch {
				if err := s.gather(ctx); err != nil {
					return err
				}
			}
		}
	}
	return s.gather(ctx)
}

// step looks at the context every 64 batches.
func (s *scan) step(ctx context.Context) error {
	s.steps++
	if s.steps%64 == 1 {
		return ctx.Err()
	}
	return nil
}

// gather scores the rows in ids and empties it.
func (s *scan) gather(ctx context.Context) error {
	if err := s.step(ctx); err != nil {
		return err
	}
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	out := s.scores[:len(s.ids)]
	for q := range s.scorers {
		s.scorers[q].rows(rows, out)
		for j, score := range out {
			s.offer(q, s.ids[j], score)
		}
	}
	s.stats.Distances += len(s.ids) * len(s.scorers)
	s.ids = s.ids[:0]
	return nil
}

func (s *scan) offer(q int, id uint32, score float32) {
	if !accepts(s.Metric, score) || s.window != nil && !s.window.Contains(s.Metric, score) {
		return
	}
	s.heaps[q].Push(topk.Pack(s.Metric.Key(score), id))
}
