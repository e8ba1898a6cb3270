// Package flat finds nearest rows by looking at all of them: exact, and the reference that graphs are measured against.
//
// It keeps nothing between calls and allocates only its results and one scratch per call.
package flat

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// batch is the number of rows scored per step: small enough that they stay in the second-level cache while several
// queries pass over them, and that no kernel call lasts long.
const batch = 128

// Scanner scans rows by one metric.
type Scanner struct {
	Set    kernel.Set
	Metric vector.Metric
	Rows   vector.Rows
}

// Window limits the scores that a Range accepts.
type Window struct {
	Radius float32
	Bound  *float32
}

// Contains reports whether score is better than the radius, and not better than the bound when there is one.
func (w Window) Contains(m vector.Metric, score float32) bool {
	if !m.Greater() {
		return score < w.Radius && (w.Bound == nil || *w.Bound <= score)
	}
	return score > w.Radius && (w.Bound == nil || score <= *w.Bound)
}

// Search returns the k best allowed rows for each query (row-major), best first, equal scores by row.
func (s Scanner) Search(ctx context.Context, queries []float32, k int, f vector.Filter) ([][]vector.Hit, vector.Stats, error) {
	return s.scan(ctx, queries, k, nil, f)
}

// Range returns the best limit allowed rows inside the window, best first.
func (s Scanner) Range(ctx context.Context, query []float32, w Window, limit int, f vector.Filter) ([]vector.Hit, vector.Stats, error) {
	hits, stats, err := s.scan(ctx, query, limit, &w, f)
	if err != nil {
		return nil, stats, err
	}
	return hits[0], stats, nil
}

func (s Scanner) scan(ctx context.Context, queries []float32, k int, w *Window, f vector.Filter) ([][]vector.Hit, vector.Stats, error) {
	dim := s.Rows.Dim()
	if dim <= 0 || len(queries)%dim != 0 {
		return nil, vector.Stats{}, fmt.Errorf("%d query values are no multiple of dimension %d", len(queries), dim)
	}
	sc := scan{Scanner: s, window: w, scorers: make([]vector.Scorer, len(queries)/dim), ids: make([]uint32, 0, batch), raw: vector.NewGatherer(s.Rows)}
	sc.heaps = make([]topk.Heap, len(sc.scorers))
	for i := range sc.scorers {
		sc.scorers[i] = vector.NewScorer(s.Set, s.Metric, s.Rows.Elem(), queries[i*dim:(i+1)*dim])
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
	return sc.hits(), sc.stats, nil
}

// scan is the state of one call.
type scan struct {
	Scanner
	window  *Window
	scorers []vector.Scorer
	heaps   []topk.Heap
	ids     []uint32
	raw     vector.Gatherer
	scores  [batch]float32
	stats   vector.Stats
	steps   int
}

func (s *scan) all(ctx context.Context) error {
	blocks, _ := s.Rows.(vector.Blocks)
	n, size := s.Rows.Len(), s.Rows.Elem().RowBytes(s.Rows.Dim())
	for i := 0; i < n; {
		if err := s.step(ctx); err != nil {
			return err
		}
		count := min(batch, n-i)
		if blocks != nil {
			block := blocks.Block(i)
			count = min(count, len(block)/size)
			s.block(i, count, block)
		} else {
			s.ids = s.ids[:0]
			for j := range count {
				s.ids = append(s.ids, uint32(i+j))
			}
			if err := s.gather(ctx); err != nil {
				return err
			}
		}
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
				if err := s.step(ctx); err != nil {
					return err
				}
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

func (s *scan) block(first, count int, block []byte) {
	out := s.scores[:count]
	for q := range s.scorers {
		s.scorers[q].Block(block, out)
		for j, score := range out {
			s.offer(q, uint32(first+j), score)
		}
	}
	s.stats.Distances += count * len(s.scorers)
}

// gather scores the rows in ids and empties it.
func (s *scan) gather(ctx context.Context) error {
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	out := s.scores[:len(s.ids)]
	for q := range s.scorers {
		s.scorers[q].Rows(rows, out)
		for j, score := range out {
			s.offer(q, s.ids[j], score)
		}
	}
	s.stats.Distances += len(s.ids) * len(s.scorers)
	s.ids = s.ids[:0]
	return nil
}

func (s *scan) offer(q int, id uint32, score float32) {
	if s.window != nil && !s.window.Contains(s.Metric, score) {
		return
	}
	s.heaps[q].Push(topk.Pack(s.Metric.Key(score), id))
}

func (s *scan) hits() [][]vector.Hit {
	out := make([][]vector.Hit, len(s.heaps))
	for q := range s.heaps {
		pairs := s.heaps[q].Sort()
		out[q] = make([]vector.Hit, len(pairs))
		for i, p := range pairs {
			out[q][i] = vector.Hit{ID: topk.ID(p), Score: s.Metric.Score(topk.Key(p))}
		}
	}
	return out
}
