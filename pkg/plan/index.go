package plan

import (
	"math/bits"
	"sort"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

func onesCount(w uint64) int { return bits.OnesCount64(w) }

// scanShare: an ordered index is asked when at most one row in so many matches; above, a scan of the column is cheaper
// than setting bits one by one (strings take longer to compare, so the index pays for more rows).
const (
	scanShare     = 16
	scanShareText = 3
)

// eval returns the rows of mask where a leaf is true (neg: false), nil when the column should be scanned.
func (x *Index) eval(e *env, l *vecLeaf, neg bool, mask bitset.Set) bitset.Set {
	if x.Values != nil {
		return x.byEntry(e, l, neg, mask)
	}
	return x.byOrder(e, l, neg, mask)
}

// byEntry tests the distinct values instead of the rows', and unites the rows of those that match, or of those that do
// not when these are fewer.
func (x *Index) byEntry(e *env, l *vecLeaf, neg bool, mask bitset.Set) bitset.Set {
	d := x.Values
	sub := &env{n: d.N}
	v := sub.vec(d)
	every, hit := bitset.Full(d.N), sub.set()
	l.run(sub, &v, every, hit)
	finish(hit, neg, every, v.known)
	hits, misses := 0, 0
	for i := range d.N {
		if n := x.Postings.Count(i); hit.Has(i) {
			hits += n
		} else {
			misses += n
		}
	}
	out := e.set()
	if hits <= misses {
		x.unite(hit, true, out)
		out.And(mask)
		return out
	}
	x.unite(hit, false, out)
	for i := range out {
		out[i] = mask[i] &^ out[i]
	}
	if x.Known != nil {
		out.And(x.Known)
	}
	return out
}

func (x *Index) unite(entries bitset.Set, want bool, out bitset.Set) {
	for i := range x.Values.N {
		if entries.Has(i) == want {
			x.Postings.Add(i, out)
		}
	}
}

// span is a stretch of an ordered index: values from the first that is not below lo to the last that is not above hi.
// The functions say of a row whether its value lies below the stretch or above it; both are monotonic in the order.
type span struct{ below, above func(row uint32) bool }

// byOrder finds the stretches of the order that match by binary search.
func (x *Index) byOrder(e *env, l *vecLeaf, neg bool, mask bitset.Set) bitset.Set {
	c := e.cols[l.op.Field]
	if l.spans == nil || c == nil {
		return nil
	}
	spans := l.spans(c)
	n, row := len(x.Order), func(i int) uint32 { return x.Order[i] }
	if x.Sorted {
		n, row = e.n, func(i int) uint32 { return uint32(i) }
	}
	share := scanShare
	if c.Type == schema.VarChar {
		share = scanShareText
	}
	left := e.n/share - probeRows*len(spans)
	if left < 0 {
		return nil
	}
	found := make([][2]int, len(spans))
	for i, s := range spans {
		lo := sort.Search(n, func(i int) bool { return !s.below(row(i)) })
		hi := lo + sort.Search(n-lo, func(i int) bool { return s.above(row(lo + i)) })
		found[i] = [2]int{lo, hi}
		if left -= hi - lo; left < 0 && !x.Sorted {
			return nil
		}
	}
	out := e.set()
	for _, f := range found {
		if x.Sorted {
			out.AddRange(f[0], f[1])
			continue
		}
		for _, r := range x.Order[f[0]:f[1]] {
			out.Add(int(r))
		}
	}
	known := e.valid(c)
	finish(out, neg, mask, known)
	if known != nil {
		e.sets.put(known)
	}
	return out
}

// probeRows is what the search for one stretch costs, in rows whose bits are set.
const probeRows = 100
