package plan

import (
	"cmp"
	"slices"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// fewValues is the length up to which a list is compared value by value instead of through a set.
const fewValues = 4

func compileCompare(n *Compare) exec {
	o := &n.Operand
	switch {
	case o.Type == schema.JSON:
		return jsonCompare(n)
	case o.ValueType() == schema.Array:
		return arrayEquals(n)
	case n.Arith != nil:
		return compileArith(n)
	}
	c, op, dear := n.Value, n.Op, costVector
	if o.ValueType() == schema.VarChar {
		dear++
	}
	leaf := &vecLeaf{op: o, dear: dear, run: func(e *env, v *vec, _, out bitset.Set) {
		switch {
		case v.typ == schema.Bool:
			compareBools(v.bools, op, c.Bool, out)
		case v.typ.IsInt():
			compareBits(v.ints, op, c.Int, out)
		case v.typ == schema.Float:
			compareBits(v.floats, op, float32(c.Float), out)
		case v.typ == schema.Double:
			compareBits(v.double, op, c.Float, out)
		default:
			compareBits(v.texts, op, c.Str, out)
		}
	}}
	if o.ValueType() != schema.Bool {
		leaf.spans = compareSpans(n)
	}
	return leaf
}

func compileRange(n *Range) exec {
	if n.Operand.Type == schema.JSON {
		return jsonRange(n)
	}
	leaf := &vecLeaf{op: &n.Operand, dear: 2 * costVector, run: func(e *env, v *vec, _, out bitset.Set) {
		switch {
		case v.typ.IsInt():
			rangeBits(e, v.ints, n, [2]int64{n.Lo.Int, n.Hi.Int}, out)
		case v.typ == schema.Float:
			rangeBits(e, v.floats, n, [2]float32{float32(n.Lo.Float), float32(n.Hi.Float)}, out)
		case v.typ == schema.Double:
			rangeBits(e, v.double, n, [2]float64{n.Lo.Float, n.Hi.Float}, out)
		case v.typ == schema.VarChar:
			rangeBits(e, v.texts, n, [2]string{n.Lo.Str, n.Hi.Str}, out)
		default: // booleans: false < true
			for i, b := range v.bools {
				x := b2i(b)
				lo, hi := b2i(n.Lo.Bool), b2i(n.Hi.Bool)
				if (x > lo || (n.LoInc && x == lo)) && (x < hi || (n.HiInc && x == hi)) {
					out.Add(i)
				}
			}
		}
	}}
	if n.Operand.ValueType() != schema.Bool {
		leaf.spans = rangeSpans(n)
	}
	return leaf
}

func compileIn(n *In) exec {
	o := &n.Operand
	switch t := o.ValueType(); {
	case o.Type == schema.JSON:
		return jsonIn(n)
	case t == schema.Bool:
		var want [2]bool
		for i := range n.Values {
			want[b2i(n.Values[i].Bool)] = true
		}
		return &vecLeaf{op: o, dear: costVector, run: func(_ *env, v *vec, _, out bitset.Set) {
			for i, b := range v.bools {
				if want[b2i(b)] {
					out.Add(i)
				}
			}
		}}
	case t.IsInt():
		return intIn(o, distinct(n.Values, func(v *Value) int64 { return v.Int }))
	case t == schema.Float:
		return listIn(o, distinct(n.Values, func(v *Value) float32 { return float32(v.Float) }),
			func(v *vec) []float32 { return v.floats }, func(c *schema.Column) []float32 { return c.Floats })
	case t == schema.Double:
		return listIn(o, distinct(n.Values, func(v *Value) float64 { return v.Float }),
			func(v *vec) []float64 { return v.double }, func(c *schema.Column) []float64 { return c.Doubles })
	default:
		return listIn(o, distinct(n.Values, func(v *Value) string { return v.Str }),
			func(v *vec) []string { return v.texts }, func(c *schema.Column) []string { return c.Strings })
	}
}

func distinct[T cmp.Ordered](values []Value, get func(*Value) T) []T {
	out := make([]T, len(values))
	for i := range values {
		out[i] = get(&values[i])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listIn tests membership in a list of distinct values.
func listIn[T ordered](o *Operand, list []T, get func(*vec) []T, all func(*schema.Column) []T) exec {
	spans := listSpans(list, all)
	if len(list) <= fewValues {
		return &vecLeaf{op: o, dear: 2 * costVector, spans: spans, run: func(e *env, v *vec, _, out bitset.Set) {
			anyBits(e, get(v), list, out)
		}}
	}
	set := make(map[T]struct{}, len(list))
	for _, x := range list {
		set[x] = struct{}{}
	}
	return &vecLeaf{op: o, dear: costText, spans: spans, run: func(_ *env, v *vec, _, out bitset.Set) {
		hasBits(get(v), set, out)
	}}
}

// intIn is listIn with a bit per integer where the list is dense. list is sorted.
func intIn(o *Operand, list []int64) exec {
	get, all := func(v *vec) []int64 { return v.ints }, func(c *schema.Column) []int64 { return c.Ints }
	if len(list) <= fewValues {
		return listIn(o, list, get, all)
	}
	lo := list[0]
	span := uint64(list[len(list)-1]) - uint64(lo)
	if span >= 1<<16 && span/256 >= uint64(len(list)) {
		return listIn(o, list, get, all)
	}
	set := bitset.New(int(span) + 1)
	for _, x := range list {
		set.Add(int(uint64(x) - uint64(lo)))
	}
	return &vecLeaf{op: o, dear: 2 * costVector, spans: listSpans(list, all), run: func(_ *env, v *vec, _, out bitset.Set) {
		for w := range out {
			var word uint64
			for j, x := range v.ints[w*block : min((w+1)*block, len(v.ints))] {
				if d := uint64(x) - uint64(lo); d <= span {
					word |= set[d>>6] >> (d & 63) & 1 << (j & 63)
				}
			}
			out[w] = word
		}
	}}
}

func compileLike(n *Like) exec {
	pat := newPattern(n.Pattern)
	if n.Operand.Type == schema.JSON {
		return jsonLike(n, pat)
	}
	return &vecLeaf{op: &n.Operand, dear: costText, spans: prefixSpans(pat), run: func(e *env, v *vec, mask, out bitset.Set) {
		e.eachMasked(mask, out, yes, func(i int) tri { return triOf(pat.match(v.texts[i])) })
	}}
}

// compileArith computes the operand into a scratch vector and compares that.
func compileArith(n *Compare) exec {
	a, op, c := *n.Arith, n.Op, n.Value
	return &vecLeaf{op: &n.Operand, dear: 4 * costVector, run: func(e *env, v *vec, _, out bitset.Set) {
		if v.typ.IsInt() {
			res := e.ints.get(e.n)
			for i, x := range v.ints {
				y, ok := IntArith(a.Op, x, a.Value.Int)
				res[i] = y
				if !ok {
					e.forget(v, i)
				}
			}
			compareBits(res, op, c.Int, out)
			e.ints.put(res)
			return
		}
		res := e.double.get(e.n)
		for i, x := range v.floats {
			res[i] = FloatArith(a.Op, float64(x), a.Value.Float)
		}
		for i, x := range v.double {
			res[i] = FloatArith(a.Op, x, a.Value.Float)
		}
		compareBits(res, op, c.Float, out)
		e.double.put(res)
	}}
}

// forget makes the value of a row unknown.
func (e *env) forget(v *vec, i int) {
	if v.known == nil {
		v.known = e.set()
		copy(v.known, bitset.Full(e.n))
	}
	v.known.Remove(i)
}

// IntArith returns x op y, and whether it fits in 64 bits. y is not zero for Div and Mod.
func IntArith(op ArithOp, x, y int64) (int64, bool) {
	switch op {
	case Add:
		s := x + y
		return s, (x^s)&(y^s) >= 0
	case Sub:
		s := x - y
		return s, (x^y)&(x^s) >= 0
	case Mul:
		p := x * y
		if x == 0 || y == 0 {
			return 0, true
		}
		minus := x == -1 && y == -1<<63 || y == -1 && x == -1<<63
		return p, !minus && p/y == x
	case Div:
		return x / y, !(x == -1<<63 && y == -1)
	}
	return x % y, true
}

// FloatArith returns x op y for an operator other than Mod.
func FloatArith(op ArithOp, x, y float64) float64 {
	switch op {
	case Add:
		return x + y
	case Sub:
		return x - y
	case Mul:
		return x * y
	}
	return x / y
}
