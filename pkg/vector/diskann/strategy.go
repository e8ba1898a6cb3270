package diskann

import (
	"context"

	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	// Costs in nanoseconds, to compare a walk with a scan; only their ratios matter. A read costs its system calls and
	// checksum even when the page cache has the block; a code its cache lines.
	readCost = 9_000
	codeCost = 4
	lineCost = 2.5
	// narrowest is the share of allowed rows that a pool is widened for at most.
	narrowest = 1e-4
)

// run fills best.
//
// With a filter the pool is widened so that about List allowed rows fit. When a walk finds far fewer, the allowed rows lie
// away from the query, and the walk is repeated with the share that was found. As its cost grows with the pool and that of
// a scan does not, this ends in a scan, which misses no allowed row.
func (s *searcher) run(ctx context.Context) error {
	list := s.list
	enough := min(max(s.p.K, list/2), s.allowed)
	share := max(narrowest, float64(s.allowed)/float64(s.n))
	for widened := s.p.Filter != nil; ; widened = true {
		size := min(s.n, int(float64(list)/share))
		if widened && s.scanIsCheaper(size) {
			return s.scan(ctx)
		}
		if err := s.walk(ctx, size); err != nil {
			return err
		}
		if s.found >= enough && s.found >= min(s.p.K, s.allowed) {
			return nil
		}
		if size == s.n {
			return s.scan(ctx)
		}
		share = max(share/8, min(share/2, float64(s.found)/float64(size)))
	}
}

// scanIsCheaper decides between a scan over the codes of allowed rows and a walk with a pool of size.
func (s *searcher) scanIsCheaper(size int) bool {
	code := codeCost + lineCost*float64(s.x.img.codes.Stride/64)
	scan := float64(s.allowed)*code + float64(min(s.allowed, 2*s.p.K))*readCost
	return scan <= float64(size)*readCost
}

// scan measures the codes of all allowed rows and reads the nearest.
func (s *searcher) scan(ctx context.Context) error {
	s.codes.Reset(min(s.n, max(s.list, 4*candidates(s.p.K, s.widen))))
	bound := s.codes.Bound()
	err := s.eachAllowed(ctx, func(ids, keys []uint32) error {
		for i, id := range ids {
			if p := topk.Pack(keys[i], id); p < bound {
				s.codes.Push(p)
				bound = s.codes.Bound()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.rest(ctx, s.codes.Sort())
}
