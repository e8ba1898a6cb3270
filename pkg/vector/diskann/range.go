package diskann

import (
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Range returns the best limit allowed rows whose scores lie inside the window, best first. Every code is looked at, and
// the vectors are read of those rows that may lie inside: a row is missed only when its code is off by more than three
// standard deviations of what was measured at the build.
func (x *Index) Range(ctx context.Context, query []float32, w flat.Window, limit int, f vector.Filter) ([]vector.Hit, vector.Stats, error) {
	var hits []vector.Hit
	stats, err := x.with(func(s *searcher) error {
		s.begin(Params{K: limit, List: limit, Filter: f})
		s.window = &w
		s.best.Reset(s.p.K)
		if s.p.K == 0 || s.allowed == 0 {
			return ctx.Err()
		}
		s.setQuery(query)
		if err := s.inside(ctx, w); err != nil {
			return err
		}
		hits = asHits(x.metric, s.best.Sort())
		return nil
	})
	return hits, stats, err
}

// inside scores the rows that may lie inside a window.
func (s *searcher) inside(ctx context.Context, w flat.Window) error {
	metric := s.x.metric
	near := s.order[:0]
	err := s.eachAllowed(ctx, func(ids, keys []uint32) error {
		for i, id := range ids {
			d := s.coded.Distance(keys[i])
			if d-s.margin > asDistance(metric, w.Radius) || (w.Bound != nil && d+s.margin < asDistance(metric, *w.Bound)) {
				continue
			}
			near = append(near, topk.Pack(keys[i], id))
		}
		return nil
	})
	s.order = near
	if err != nil {
		return err
	}
	slices.Sort(near)
	for len(near) > 0 && s.worth(topk.Key(near[0])) {
		n := min(len(near), s.p.K+64)
		if err := s.rest(ctx, near[:n]); err != nil {
			return err
		}
		near = near[n:]
	}
	return nil
}
