package segment

import (
	"math/bits"
	"sync"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/plan"
)

// lazyFilter is an index.Filter that asks the plan for the rows that a search touches instead of evaluating it for all
// rows. It is safe for concurrent use.
type lazyFilter struct {
	visible  bitset.Set // nil: all
	plan     *plan.Plan
	src      plan.Source
	estimate int
	matchers sync.Pool // of plan.Matcher
	once     sync.Once // makes set
	set      bitset.Set
}

// newLazyFilter prepares a filter. The first matcher is made here, so that making more of them cannot fail.
func newLazyFilter(p *plan.Plan, src plan.Source, visible bitset.Set, estimate int) (*lazyFilter, error) {
	m, err := p.Matcher(src)
	if err != nil {
		return nil, err
	}
	f := &lazyFilter{visible: visible, plan: p, src: src, estimate: estimate}
	f.matchers.Put(m)
	return f, nil
}

// Test implements index.Filter.
func (f *lazyFilter) Test(ids []uint32) uint64 {
	m, _ := f.matchers.Get().(plan.Matcher)
	if m == nil {
		var err error
		if m, err = f.plan.Matcher(f.src); err != nil {
			return 0 // the columns were read when the first matcher was made and are cached: this does not happen
		}
	}
	mask := m.Test(ids)
	f.matchers.Put(m)
	if f.visible != nil && mask != 0 {
		for rest := mask; rest != 0; rest &= rest - 1 {
			j := bits.TrailingZeros64(rest)
			if !f.visible.Has(int(ids[j])) {
				mask &^= 1 << j
			}
		}
	}
	return mask
}

// Count implements index.Filter.
func (f *lazyFilter) Count() int { return f.estimate }

// Bitmap implements index.Filter.
func (f *lazyFilter) Bitmap() bitset.Set {
	f.once.Do(func() {
		set, err := f.plan.Bitmap(f.src)
		if err != nil { // as in Test
			set = bitset.New(f.src.Rows())
		}
		if f.visible != nil {
			set.And(f.visible)
		}
		f.set = set
	})
	return f.set
}

// matchRows returns those of the rows that a plan selects and a set (nil: all) holds.
func matchRows(p *plan.Plan, src plan.Source, rows []uint32, visible bitset.Set) (bitset.Set, error) {
	m, err := p.Matcher(src)
	if err != nil {
		return nil, err
	}
	out := bitset.New(src.Rows())
	for lo := 0; lo < len(rows); lo += 64 {
		part := rows[lo:min(lo+64, len(rows))]
		for mask := m.Test(part); mask != 0; mask &= mask - 1 {
			if r := int(part[bits.TrailingZeros64(mask)]); visible == nil || visible.Has(r) {
				out.Add(r)
			}
		}
	}
	return out, nil
}
