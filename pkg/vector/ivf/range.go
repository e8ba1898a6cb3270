package ivf

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// rangeShare is the share of allowed rows below which a range search asks the filter for them, and not the lists.
const rangeShare = 1.0 / 8

// Range returns the best limit allowed rows inside the window, best first: exactly what a scan of all rows gives. Lists that
// lie too far, by the distance of their centroid and their radius, are left out; with coding Exact, so are rows whose code
// tells that they do.
func (x *Index) Range(ctx context.Context, query []float32, w flat.Window, limit int, f vector.Filter) ([]vector.Hit, vector.Stats, error) {
	if err := x.img.file.Acquire(); err != nil {
		return nil, vector.Stats{}, err
	}
	defer x.img.file.Release()
	if x.img.reach == nil || len(query) != x.img.Dim() || f != nil && float64(f.Count()) < rangeShare*float64(x.img.Len()) {
		sc := flat.Scanner{Set: x.quant.Set, Metric: x.quant.Metric, Rows: x.rows}
		return sc.Range(ctx, query, w, limit, f)
	}
	s := x.scratch.Get().(*searcher)
	defer s.release()
	s.begin(Params{K: limit, Probe: 1, Filter: f})
	s.window = &w
	s.best.Reset(s.p.K)
	s.scorer = vector.NewScorer(x.quant.Set, x.quant.Metric, x.rows.Elem(), query)
	s.pool.reset(s.p.K, false)
	if err := s.within(ctx, query); err != nil {
		s.ids = s.ids[:0]
		return nil, s.stats, err
	}
	pairs := s.best.Sort()
	hits := make([]vector.Hit, len(pairs))
	for i, p := range pairs {
		hits[i] = vector.Hit{ID: topk.ID(p), Score: x.quant.Metric.Score(topk.Key(p))}
	}
	return hits, s.stats, nil
}

// within scores the rows that can be inside the window.
func (s *searcher) within(ctx context.Context, query []float32) error {
	x := s.x
	prepared := x.quant.Prepare(query, make([]float32, len(query)))
	coder, _ := s.codes.(*scalarCoder)
	if coder != nil && coder.guessing() {
		coder = nil
	}
	if coder != nil {
		coder.begin(query)
	}
	for l := range x.img.count() {
		if x.beyond(prepared, l, s.window.Radius) {
			continue
		}
		s.stats.Hops++
		var err error
		if coder != nil {
			err = coder.within(ctx, l, s.window.Radius)
		} else {
			err = s.list(ctx, l)
		}
		if err != nil {
			return err
		}
	}
	return s.score(ctx)
}

// beyond reports whether no row of a list has a score better than the radius. A row lies at least as far from the query as
// the centroid does, less the list's radius (triangle inequality).
func (x *Index) beyond(query []float32, l int, radius float32) bool {
	centroid, reach := x.img.centroid(l), float64(x.img.reach[l].Radius)
	var squares, norm float64
	for d, v := range query {
		e := float64(v) - float64(centroid[d])
		squares += e * e
		norm += float64(v) * float64(v)
	}
	const sure = 1e-5 // scores have rounding errors
	least := max(0, math.Sqrt(squares)-reach) * (1 - sure)
	r := float64(radius)
	switch x.quant.Metric {
	case vector.L2:
		return least*least > r*(1+sure)
	case vector.Cosine:
		return 1-least*least/2 < r-sure
	}
	// <q, x> is at most <q, c> + |q| times the list's radius.
	length := math.Sqrt(norm)
	most := dot(query, centroid) + length*reach
	return most+sure*(math.Abs(most)+length*(reach+math.Sqrt(dot(centroid, centroid)))) < r
}

// within takes the rows of a list in whose scores can be better than the radius.
func (c *scalarCoder) within(ctx context.Context, l int, radius float32) error {
	s, img := c.s, c.s.x.img
	limit := c.gauge.Limit(c.gauge.Exact(radius) + c.slack(l))
	for at := img.offs[l]; at < img.offs[l+1]; at += codeBatch {
		if err := s.look(ctx); err != nil {
			return err
		}
		dist := c.dist[:min(codeBatch, img.offs[l+1]-at)]
		c.query.MeasureRange(s.x.quant.Set, img.codes, int(at), img.weight, dist)
		s.stats.Distances += len(dist)
		for i, d := range dist {
			if d > limit {
				continue
			}
			if err := s.want(ctx, img.ids[int(at)+i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// want scores an allowed row soon.
func (s *searcher) want(ctx context.Context, id uint32) error {
	if one := [1]uint32{id}; s.test(one[:]) == 0 {
		return nil
	}
	if s.ids = append(s.ids, id); len(s.ids) < batch {
		return nil
	}
	return s.score(ctx)
}
