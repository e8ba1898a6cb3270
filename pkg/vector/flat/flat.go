// Package flat finds nearest rows by looking at all of them: exact, and the reference that graphs are measured against.
//
// A scan is bound by memory: rows are read once, in order, for all queries of a call, and only scores that beat what a query
// has already found leave the kernels. The answers do not depend on how many queries share a call, on chunks or on filters.
// Between two looks at the context lie at most about 0.3 ms of work.
package flat

import (
	"context"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Scanner scans rows by one metric.
type Scanner struct {
	Set    kernel.Set
	Metric vector.Metric
	Rows   vector.Rows
	// Scratch is what calls reuse, so that they allocate only their results; nil lets each make its own.
	Scratch *Scratch
}

// Scratch is the memory of scans that have ended. It is safe for concurrent use; scanners may share one.
type Scratch struct {
	pool sync.Pool
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
	sc := s.Scratch.take()
	defer s.Scratch.give(sc)
	sc.begin(s, queries, k, w)
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

func (s *Scratch) take() *scan {
	if s != nil {
		if sc, ok := s.pool.Get().(*scan); ok {
			return sc
		}
	}
	return &scan{}
}

func (s *Scratch) give(sc *scan) {
	if s != nil {
		sc.end()
		s.pool.Put(sc)
	}
}
