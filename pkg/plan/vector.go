package plan

import (
	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// vec is an operand's value in every row of an evaluation: one slice, by the operand's value type. Slices are the
// column's own where that is possible, else they come from the environment's pools (owned).
type vec struct {
	typ    schema.Type
	bools  []bool
	ints   []int64
	floats []float32
	double []float64
	texts  []string
	known  bitset.Set // rows that have a value; nil: all
	owned  bool
}

// load makes the vector of an operand that is no document and no whole array.
func (e *env) load(o *Operand) vec {
	c := e.cols[o.Field]
	v := vec{typ: o.ValueType(), known: e.valid(c)}
	switch {
	case c.Type == schema.Array:
		e.loadArray(&v, c, o)
		return v
	case e.rows != nil:
		v.owned = true
		v.bools = gather(&e.bools, c.Bools, e.rows)
		v.ints = gather(&e.ints, c.Ints, e.rows)
		v.floats = gather(&e.floats, c.Floats, e.rows)
		v.double = gather(&e.double, c.Doubles, e.rows)
		v.texts = gather(&e.texts, c.Strings, e.rows)
		return v
	}
	full := e.vec(c)
	full.known = v.known
	return full
}

// vec makes a vector of a column's first values, taken to be known.
func (e *env) vec(c *schema.Column) vec {
	return vec{
		typ: c.Type, bools: head(c.Bools, e.n), ints: head(c.Ints, e.n), floats: head(c.Floats, e.n),
		double: head(c.Doubles, e.n), texts: head(c.Strings, e.n),
	}
}

func (e *env) release(v *vec) {
	if v.known != nil {
		e.sets.put(v.known)
	}
	if v.owned {
		e.bools.put(v.bools)
		e.ints.put(v.ints)
		e.floats.put(v.floats)
		e.double.put(v.double)
		e.texts.put(v.texts)
	}
}

func head[T any](s []T, n int) []T {
	if s == nil {
		return nil
	}
	return s[:n]
}

func gather[T any](p *pool[T], src []T, rows []uint32) []T {
	if src == nil {
		return nil
	}
	out := p.get(len(rows))
	for i, r := range rows {
		out[i] = src[r]
	}
	return out
}

// valid returns the rows of c that have a value, nil for all.
func (e *env) valid(c *schema.Column) bitset.Set {
	if c.Valid == nil {
		return nil
	}
	out := e.set()
	if e.rows == nil {
		boolBits(c.Valid[:e.n], out)
		return out
	}
	for i, r := range e.rows {
		if c.Valid[r] {
			out.Add(i)
		}
	}
	return out
}

// loadArray takes one element, or the length, out of every row's array.
func (e *env) loadArray(v *vec, c *schema.Column, o *Operand) {
	v.owned = true
	if v.known == nil {
		v.known = bitset.Set(e.sets.get((e.n + 63) / 64))
		copy(v.known, bitset.Full(e.n))
	}
	if o.Length {
		v.ints = e.ints.get(e.n)
		for i := range e.n {
			v.ints[i] = int64(arrayLen(&c.Arrays[e.row(i)], o.Elem))
		}
		return
	}
	take := func(i int) (*schema.Column, bool) {
		a := &c.Arrays[e.row(i)]
		ok := o.Index < arrayLen(a, o.Elem) && !elemNull(a, o.Index)
		if !ok {
			v.known.Remove(i)
		}
		return a, ok
	}
	switch t := o.Elem; {
	case t == schema.Bool:
		v.bools = pick(&e.bools, e.n, take, func(a *schema.Column) bool { return a.Bools[o.Index] })
	case t.IsInt():
		v.ints = pick(&e.ints, e.n, take, func(a *schema.Column) int64 { return a.Ints[o.Index] })
	case t == schema.Float:
		v.floats = pick(&e.floats, e.n, take, func(a *schema.Column) float32 { return a.Floats[o.Index] })
	case t == schema.Double:
		v.double = pick(&e.double, e.n, take, func(a *schema.Column) float64 { return a.Doubles[o.Index] })
	default:
		v.texts = pick(&e.texts, e.n, take, func(a *schema.Column) string { return a.Strings[o.Index] })
	}
}

func pick[T any](p *pool[T], n int, take func(int) (*schema.Column, bool), get func(*schema.Column) T) []T {
	out := p.get(n)
	for i := range out {
		if a, ok := take(i); ok {
			out[i] = get(a)
		} else {
			var zero T
			out[i] = zero
		}
	}
	return out
}

// finish turns raw matches into the result of a leaf: complemented if neg, within mask, known rows only.
func finish(out bitset.Set, neg bool, mask, known bitset.Set) {
	if neg {
		for i := range out {
			out[i] = mask[i] &^ out[i]
		}
	} else {
		out.And(mask)
	}
	if known != nil {
		out.And(known)
	}
}

// vecLeaf is a test of one vector. run sets the bits of matching rows; it may leave out rows outside mask and those
// without a value.
type vecLeaf struct {
	op   *Operand
	dear int
	run  func(e *env, v *vec, mask, out bitset.Set)
	// spans, if not nil, are the stretches of the values' order that match.
	spans func(c *schema.Column) []span
}

func (l *vecLeaf) cost() int {
	if l.op.Type == schema.Array {
		return costArray
	}
	return l.dear
}

func (l *vecLeaf) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	if x := e.indexes[l.op.Field]; x != nil {
		if out := x.eval(e, l, neg, mask); out != nil {
			return out
		}
	}
	out, v := e.set(), e.load(l.op)
	l.run(e, &v, mask, out)
	finish(out, neg, mask, v.known)
	e.release(&v)
	return out
}

// columnsLeaf compares two vectors.
type columnsLeaf struct {
	left, right *Operand
	op          CmpOp
}

func (l *columnsLeaf) cost() int { return 2 * costVector }

func (l *columnsLeaf) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	out, a, b := e.set(), e.load(l.left), e.load(l.right)
	switch {
	case a.typ == schema.Bool:
		pairBools(a.bools, b.bools, l.op, out)
	case a.typ == schema.VarChar:
		pairBits(a.texts, b.texts, l.op, out)
	case a.ints != nil && b.ints != nil:
		pairBits(a.ints, b.ints, l.op, out)
	case a.floats != nil && b.floats != nil:
		pairBits(a.floats, b.floats, l.op, out)
	case a.double != nil && b.double != nil:
		pairBits(a.double, b.double, l.op, out)
	default:
		for i := range e.n {
			x, y := a.number(i), b.number(i)
			if numberHolds(l.op, &x, &y) {
				out.Add(i)
			}
		}
	}
	finish(out, neg, mask, a.known)
	if b.known != nil {
		out.And(b.known)
	}
	e.release(&a)
	e.release(&b)
	return out
}

func (v *vec) number(i int) Value {
	switch {
	case v.ints != nil:
		return IntValue(v.ints[i])
	case v.floats != nil:
		return FloatValue(float64(v.floats[i]))
	}
	return FloatValue(v.double[i])
}

// compileNull asks whether an operand has a value.
func compileNull(o *Operand, exists bool) exec {
	if o.Type == schema.JSON {
		return jsonNull(o, exists)
	}
	return &nullLeaf{op: o}
}

// nullLeaf is true where a column, or an array's element, has no value. The answer is always known.
type nullLeaf struct{ op *Operand }

func (l *nullLeaf) cost() int { return costVector }

func (l *nullLeaf) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	out := e.set()
	var known bitset.Set
	if x := e.indexes[l.op.Field]; x != nil && x.Values != nil {
		known = e.copyOf(x.Known)
	} else if l.op.Element {
		v := e.load(l.op)
		known = e.copyOf(v.known)
		e.release(&v)
	} else {
		known = e.valid(e.cols[l.op.Field])
	}
	finish(out, true, mask, known)
	if !neg {
		finish(out, true, mask, nil)
	}
	e.sets.put(known)
	return out
}

// copyOf copies a set; nil stays nil.
func (e *env) copyOf(s bitset.Set) bitset.Set {
	if s == nil {
		return nil
	}
	return e.copy(s)
}
