package ivf

import (
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// rerankStep is how many rows are scored exactly before those that are left are compared with the result.
const rerankStep = 16

// rerank scores the rows of the pool exactly, those first that can be best, until the others cannot be among the best.
func (s *searcher) rerank(ctx context.Context) error {
	step := batch // one trip to the disk
	if s.x.inPlace {
		step = rerankStep
	}
	s.ids = s.ids[:0]
	pairs := s.pool.left()
	first := min(len(pairs), max(s.p.K, step))
	if first < len(pairs) {
		selectPairs(pairs, first) // in no order: until k of them are scored, none is hopeless
	}
	if err := s.scoreSome(ctx, pairs[:first], step); err != nil {
		return err
	}
	// Most of the others are out by now, and need not be sorted.
	rest := pairs[first:first]
	for _, p := range pairs[first:] {
		if !s.hopeless(p) {
			rest = append(rest, p)
		}
	}
	slices.Sort(rest)
	return s.scoreSome(ctx, rest, step)
}

// scoreSome scores rows of the pool, step at a time, until one of them cannot be among the best.
func (s *searcher) scoreSome(ctx context.Context, pairs []uint64, step int) error {
	for i, p := range pairs {
		if i%step == 0 && s.hopeless(p) {
			break
		}
		s.ids = append(s.ids, s.x.img.ids[topk.ID(p)])
		if len(s.ids) == step {
			if err := s.look(ctx); err != nil {
				s.ids = s.ids[:0]
				return err
			}
			if err := s.score(ctx); err != nil {
				return err
			}
		}
	}
	return s.score(ctx)
}

// hopeless reports whether neither this row nor any behind it can be among the best.
func (s *searcher) hopeless(p uint64) bool {
	if !s.best.Full() {
		return false
	}
	limit, sure := s.codes.reached(s.x.quant.Metric.Score(topk.Key(s.best.Bound())))
	return sure && topk.Key(p) > ascending.Key(limit)
}

// score scores the rows in ids exactly and empties it.
func (s *searcher) score(ctx context.Context) error {
	if len(s.ids) == 0 {
		return nil
	}
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	out := s.scores[:len(s.ids)]
	s.scorer.Rows(rows, out)
	bound := s.best.Bound()
	for i, id := range s.ids {
		if s.window != nil && !s.window.Contains(s.x.quant.Metric, out[i]) {
			continue
		}
		if p := topk.Pack(s.x.quant.Metric.Key(out[i]), id); p < bound {
			s.best.Push(p)
			bound = s.best.Bound()
		}
	}
	s.stats.Distances += len(out)
	s.ids = s.ids[:0]
	return nil
}

// look looks at the context once in a while.
func (s *searcher) look(ctx context.Context) error {
	if s.steps++; s.steps%checkEvery == 0 {
		return ctx.Err()
	}
	return nil
}
