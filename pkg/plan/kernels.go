package plan

import (
	"cmp"

	"github.com/gyr-db/gyr/pkg/bitset"
)

// The loops of this file write whole words of their output. Each comparison operator has a loop of its own: a
// comparison behind a function value costs more than the comparison.

const block = 64

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// boolBits sets out to v.
func boolBits(v []bool, out bitset.Set) {
	for w := range out {
		hi := min((w+1)*block, len(v))
		var word uint64
		for j, b := range v[w*block : hi] {
			word |= bit(b) << (j & 63)
		}
		out[w] = word
	}
}

// compareBools sets out to the rows where `v op c`.
func compareBools(v []bool, op CmpOp, c bool, out bitset.Set) {
	onFalse, onTrue := holds3(op, b2i(false)-b2i(c)), holds3(op, b2i(true)-b2i(c))
	boolBits(v, out)
	for w := range out {
		if !onTrue {
			out[w] = 0
		}
	}
	if !onFalse {
		return
	}
	for i, b := range v {
		if !b {
			out.Add(i)
		}
	}
}

// pairBools sets out to the rows where `a op b`.
func pairBools(a, b []bool, op CmpOp, out bitset.Set) {
	for i := range a {
		if holds3(op, b2i(a[i])-b2i(b[i])) {
			out.Add(i)
		}
	}
}

// compareBits sets out to the rows where `v op c`.
func compareBits[T cmp.Ordered](v []T, op CmpOp, c T, out bitset.Set) {
	full := len(v) / block
	for w := range full {
		out[w] = compareBlock((*[block]T)(v[w*block:]), op, c)
	}
	if rest := v[full*block:]; len(rest) > 0 {
		var last [block]T
		copy(last[:], rest)
		out[full] = compareBlock(&last, op, c) & (1<<len(rest) - 1)
	}
}

// compareBlock handles 64 rows. Four rows at a time keep the chain of shifts short.
func compareBlock[T cmp.Ordered](v *[block]T, op CmpOp, c T) (w uint64) {
	switch op {
	case EQ:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] == c)|bit(v[j+1] == c)<<1|bit(v[j+2] == c)<<2|bit(v[j+3] == c)<<3)<<60
		}
	case NE:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] != c)|bit(v[j+1] != c)<<1|bit(v[j+2] != c)<<2|bit(v[j+3] != c)<<3)<<60
		}
	case LT:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] < c)|bit(v[j+1] < c)<<1|bit(v[j+2] < c)<<2|bit(v[j+3] < c)<<3)<<60
		}
	case LE:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] <= c)|bit(v[j+1] <= c)<<1|bit(v[j+2] <= c)<<2|bit(v[j+3] <= c)<<3)<<60
		}
	case GT:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] > c)|bit(v[j+1] > c)<<1|bit(v[j+2] > c)<<2|bit(v[j+3] > c)<<3)<<60
		}
	case GE:
		for j := 0; j < block; j += 4 {
			w = w>>4 | (bit(v[j] >= c)|bit(v[j+1] >= c)<<1|bit(v[j+2] >= c)<<2|bit(v[j+3] >= c)<<3)<<60
		}
	}
	return w
}

// pairBits sets out to the rows where `a op b`.
func pairBits[T cmp.Ordered](a, b []T, op CmpOp, out bitset.Set) {
	for w := range out {
		lo, hi := w*block, min((w+1)*block, len(a))
		out[w] = pairBlock(a[lo:hi], b[lo:hi], op)
	}
}

func pairBlock[T cmp.Ordered](a, b []T, op CmpOp) (w uint64) {
	b = b[:len(a)]
	switch op {
	case EQ:
		for j := range a {
			w |= bit(a[j] == b[j]) << (j & 63)
		}
	case NE:
		for j := range a {
			w |= bit(a[j] != b[j]) << (j & 63)
		}
	case LT:
		for j := range a {
			w |= bit(a[j] < b[j]) << (j & 63)
		}
	case LE:
		for j := range a {
			w |= bit(a[j] <= b[j]) << (j & 63)
		}
	case GT:
		for j := range a {
			w |= bit(a[j] > b[j]) << (j & 63)
		}
	case GE:
		for j := range a {
			w |= bit(a[j] >= b[j]) << (j & 63)
		}
	}
	return w
}

// rangeBits sets out to the rows between lo and hi.
func rangeBits[T cmp.Ordered](e *env, v []T, r *Range, bounds [2]T, out bitset.Set) {
	above, below := GT, LT
	if r.LoInc {
		above = GE
	}
	if r.HiInc {
		below = LE
	}
	compareBits(v, above, bounds[0], out)
	upper := e.set()
	compareBits(v, below, bounds[1], upper)
	out.And(upper)
	e.sets.put(upper)
}

// anyBits sets out to the rows whose value is one of a few.
func anyBits[T cmp.Ordered](e *env, v []T, values []T, out bitset.Set) {
	one := e.set()
	for _, c := range values {
		compareBits(v, EQ, c, one)
		out.Or(one)
	}
	e.sets.put(one)
}

// hasBits sets out to the rows whose value is in a set.
func hasBits[T comparable](v []T, set map[T]struct{}, out bitset.Set) {
	for w := range out {
		hi := min((w+1)*block, len(v))
		var word uint64
		for j, x := range v[w*block : hi] {
			_, ok := set[x]
			word |= bit(ok) << (j & 63)
		}
		out[w] = word
	}
}
