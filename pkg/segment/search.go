package segment

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
)

// How a filter is evaluated, by cost. A bitmap costs every row once and is kept for the next search; testing on demand
// costs the rows that a search touches, many times as much each.
const (
	bitmapRows  = 16 << 10 // segments up to this size always get a bitmap
	lazyShare   = 0.3      // least estimated share of matching rows for testing on demand
	lazyTouched = 2000     // rows that one query is taken to touch, at share 1
	lazyFactor  = 4        // cost of testing a row on demand against its cost in a bitmap
	keysPerRow  = 8        // plans that name at most 1/8 as many keys as there are rows go by key
)

// Search implements Segment.
func (s *Sealed) Search(ctx context.Context, spec SearchSpec) (index.Hits, index.Stats, error) {
	if !s.Retain() {
		return index.Hits{}, index.Stats{}, errClosed(s.cfg.ID)
	}
	defer s.Release()
	v := s.vectors[spec.Field]
	if v == nil { // a field that came later: no row has a vector
		return emptyHits(spec.NQ), index.Stats{}, s.checkField(spec.Field)
	}
	if v.vectors == nil {
		return index.Hits{}, index.Stats{}, fmt.Errorf("segment %d is open without vectors", s.cfg.ID)
	}
	if err := spec.check(v.shape); err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	h, flat, err := s.acquireIndex(spec.Field, spec.Metric)
	if err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	defer h.release()
	f, err := s.filter(&spec, v, flat)
	if err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	if f != nil && f.Count() == 0 {
		if _, lazy := f.(*lazyFilter); !lazy {
			return emptyHits(spec.NQ), index.Stats{}, nil
		}
	}
	return spec.run(ctx, h.idx, f)
}

func (s *Sealed) checkField(field int64) error {
	if f := s.schema.Load().FieldByID(field); f == nil || !f.Type.IsVector() {
		return errs.New(errs.FieldNotFound, "segment %d has no vector field %d", s.cfg.ID, field)
	}
	return nil
}

func emptyHits(nq int) index.Hits {
	return index.Hits{IDs: make([][]uint32, nq), Scores: make([][]float32, nq)}
}

func (spec *SearchSpec) check(s shape) error {
	if spec.NQ <= 0 || spec.K <= 0 || len(spec.Queries) != spec.NQ*s.size {
		return fmt.Errorf("search for %d neighbours of %d queries of %s and dimension %d in %d bytes",
			spec.K, spec.NQ, s.typ, s.dim, len(spec.Queries))
	}
	return nil
}

// run asks an index.
func (spec *SearchSpec) run(ctx context.Context, idx index.Index, f index.Filter) (index.Hits, index.Stats, error) {
	if spec.Radius == nil {
		return idx.Search(ctx, spec.Queries, spec.K, spec.Effort, f)
	}
	var all index.Hits
	var sum index.Stats
	size := len(spec.Queries) / spec.NQ
	for q := range spec.NQ {
		hits, st, err := idx.Range(ctx, spec.Queries[q*size:(q+1)*size], *spec.Radius, spec.RangeFilter, spec.K, spec.Effort, f)
		if err != nil {
			return index.Hits{}, index.Stats{}, err
		}
		all.IDs, all.Scores = append(all.IDs, hits.IDs...), append(all.Scores, hits.Scores...)
		sum.Distances += st.Distances
		sum.Hops += st.Hops
	}
	return all, sum, nil
}

// filter combines visibility, the plan and the validity of vectors; nil allows every row.
func (s *Sealed) filter(spec *SearchSpec, v *vectorField, flat bool) (index.Filter, error) {
	var seen bitset.Set
	alive := s.Rows()
	if vis := s.visible(spec.ReadTS, spec.ExpireBelow); vis != nil {
		seen, alive = vis.set, vis.count
	}
	if v.valid != nil {
		seen = withValid(seen, v.valid)
		alive = seen.Count()
	}
	if alive == 0 {
		return index.FromBitmap(bitset.New(s.Rows()), 0), nil
	}
	if spec.Plan == nil || spec.Plan.IsTrue() {
		if seen == nil {
			return nil, nil
		}
		return index.FromBitmap(seen, alive), nil
	}
	if !flat && s.Rows() > bitmapRows {
		f, err := s.lazy(spec, seen, alive)
		if f != nil || err != nil {
			return f, err
		}
	}
	set, err := s.matching(spec.Plan, seen)
	if err != nil {
		return nil, err
	}
	return index.FromBitmap(set, set.Count()), nil
}

// lazy returns a filter that tests rows on demand, or nil when a bitmap is cheaper.
func (s *Sealed) lazy(spec *SearchSpec, seen bitset.Set, alive int) (index.Filter, error) {
	if _, few := s.keyRows(spec.Plan); few || s.excludes(spec.Plan) {
		return nil, nil
	}
	if _, before := s.bitmaps.get(s.planKey(spec.Plan)); before || spec.Plan.Indexed(s) {
		return nil, nil
	}
	share := s.share(spec.Plan)
	if share < lazyShare {
		return nil, nil
	}
	touched := float64(spec.NQ*max(lazyTouched, 4*spec.K)) / share
	if touched*lazyFactor > float64(s.Rows()) {
		return nil, nil
	}
	return newLazyFilter(spec.Plan, withoutIndexes{s}, seen, int(share*float64(alive)))
}

func (s *Sealed) planKey(p *plan.Plan) string {
	return p.Key() + strconv.Itoa(int(s.schema.Load().Version))
}

// Select implements Segment.
func (s *Sealed) Select(ctx context.Context, p *plan.Plan, readTS, expireBelow uint64) (bitset.Set, error) {
	if !s.Retain() {
		return nil, errClosed(s.cfg.ID)
	}
	defer s.Release()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var seen bitset.Set
	if v := s.visible(readTS, expireBelow); v != nil {
		seen = v.set
	}
	if p == nil || p.IsTrue() {
		if seen == nil {
			return bitset.Full(s.Rows()), nil
		}
		return seen.Clone(), nil
	}
	return s.matching(p, seen)
}

// matching returns the rows of a set (nil: all) that a plan selects. The result is the caller's.
func (s *Sealed) matching(p *plan.Plan, seen bitset.Set) (bitset.Set, error) {
	if s.excludes(p) {
		return bitset.New(s.Rows()), nil
	}
	if rows, few := s.keyRows(p); few {
		return matchRows(p, s, rows, seen)
	}
	key := s.planKey(p)
	set, _ := s.bitmaps.get(key)
	if set == nil {
		var err error
		if set, err = p.Bitmap(s); err != nil {
			return nil, err
		}
		s.bitmaps.put(key, set)
	}
	set = set.Clone()
	if seen != nil {
		set.And(seen)
	}
	return set, nil
}

// keyRows returns the rows outside which a plan selects nothing, if the plan names so few keys that looking them up is
// the cheapest way.
func (s *Sealed) keyRows(p *plan.Plan) (rows []uint32, few bool) {
	want, ok := p.RequiredKeys(s.pk())
	if !ok || want.Len() > max(s.Rows()/keysPerRow, 1) {
		return nil, false
	}
	taken := map[int]bool{}
	for i := range want.Len() {
		lo, hi := s.keys.rows(want, i)
		if lo == hi || taken[lo] {
			continue
		}
		taken[lo] = true
		for r := lo; r < hi; r++ {
			rows = append(rows, uint32(r))
		}
	}
	return rows, true
}

func (s *Sealed) pk() int64 { return s.schema.Load().PrimaryKey().ID }

// withValid returns the members of set (nil: all) whose flag is true, as a new set.
func withValid(set bitset.Set, valid []bool) bitset.Set {
	out := bitset.New(len(valid))
	for i, ok := range valid {
		if ok && (set == nil || set.Has(i)) {
			out.Add(i)
		}
	}
	return out
}
