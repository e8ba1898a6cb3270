package expr

import (
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// comparableTypes reports whether values of two types can be compared: JSON with anything, otherwise within booleans,
// numbers, strings and arrays.
func comparableTypes(a, b schema.Type) bool {
	if a == schema.JSON || b == schema.JSON {
		return !a.IsVector() && !b.IsVector()
	}
	return typeClass(a) != 0 && typeClass(a) == typeClass(b)
}

// typeClass groups types that compare with each other; 0 for those that compare with nothing.
func typeClass(t schema.Type) plan.Kind {
	switch {
	case t == schema.Bool:
		return plan.KindBool
	case isNumber(t):
		return plan.KindFloat
	case t == schema.VarChar:
		return plan.KindString
	case t == schema.Array:
		return plan.KindArray
	}
	return 0
}

func isNumber(t schema.Type) bool { return t.IsInt() || isFloat(t) }
func isFloat(t schema.Type) bool  { return t == schema.Float || t == schema.Double }

// cast converts a constant to the kind that a column of type t is compared with.
func cast(v plan.Value, t, elem schema.Type) (plan.Value, bool) {
	switch {
	case t == schema.JSON:
		return v, true
	case t == schema.Array && v.Kind == plan.KindArray:
		out := make([]plan.Value, len(v.Array))
		for i := range out {
			e, ok := cast(v.Array[i], elem, 0)
			if !ok {
				return v, false
			}
			out[i] = e
		}
		return plan.ArrayValue(out...), true
	case isFloat(t) && v.Kind == plan.KindInt:
		return plan.FloatValue(float64(v.Int)), true
	case isFloat(t):
		return v, v.Kind == plan.KindFloat
	case t.IsInt():
		return v, v.Kind == plan.KindInt
	case t == schema.Bool:
		return v, v.Kind == plan.KindBool
	case t == schema.VarChar:
		return v, v.Kind == plan.KindString
	}
	return v, false
}

func errCast(v plan.Value, t schema.Type) error {
	return refuse("cannot cast value to %s, value: %s", t, message(v))
}

func errCompare(a, b *term) error {
	return refuse("comparisons between %s and %s are not supported", a.typ(), b.typ())
}

// compare checks and builds `a op b`.
func (p *parser) compare(op plan.CmpOp, a, b *term) (*term, error) {
	switch {
	case a.form == predicate || b.form == predicate:
		return nil, refuse("comparison operations cannot be applied to two incompatible operands")
	case a.form == constant && b.form == constant:
		holds, ok := plan.Holds(op, a.value, b.value)
		if !ok {
			return nil, errCompare(a, b)
		}
		return constTerm(plan.BoolValue(holds)), nil
	case !comparableTypes(a.typ(), b.typ()):
		return nil, errCompare(a, b)
	case a.form == column && b.form == column:
		return compareColumns(op, a, b)
	case a.form == constant:
		return compareConstant(op.Flip(), b, a)
	}
	return compareConstant(op, a, b)
}

func compareColumns(op plan.CmpOp, a, b *term) (*term, error) {
	switch {
	case a.arith != nil || b.arith != nil:
		return nil, refuse("not supported to do arithmetic operations between multiple fields")
	case a.operand.Type == schema.JSON || b.operand.Type == schema.JSON:
		return nil, refuse("two column comparison with JSON type is not supported")
	case a.typ() == schema.Array:
		return nil, errCompare(a, b)
	}
	return predTerm(&plan.CompareColumns{Left: a.operand, Right: b.operand, Op: op}), nil
}

// compareConstant builds `col op c`.
func compareConstant(op plan.CmpOp, col, c *term) (*term, error) {
	t := col.typ()
	if c.value.Kind == plan.KindArray && op != plan.EQ && op != plan.NE {
		return nil, refuse("comparison '%s' is not supported on arrays", op)
	}
	if col.arith != nil && !c.value.Number() {
		return nil, errCompare(col, c)
	}
	v, ok := cast(c.value, t, col.operand.Elem)
	if !ok {
		return nil, errCast(c.value, t)
	}
	return predTerm(&plan.Compare{Operand: col.operand, Arith: col.arith, Op: op, Value: v}), nil
}

// between checks and builds `lo < mid < hi`.
func (p *parser) between(lo, mid, hi *term, loInc, hiInc bool) (*term, error) {
	t := mid.typ()
	if lo.form != constant || hi.form != constant {
		return nil, refuse("invalid range operations")
	}
	for _, b := range []*term{lo, hi} {
		switch {
		case !comparableTypes(t, b.typ()):
			return nil, errCompare(mid, b)
		case b.value.Kind == plan.KindBool || b.value.Kind == plan.KindArray:
			return nil, refuse("invalid range operations")
		}
	}
	from, ok := cast(lo.value, t, 0)
	if !ok {
		return nil, errCast(lo.value, t)
	}
	to, ok := cast(hi.value, t, 0)
	if !ok {
		return nil, errCast(hi.value, t)
	}
	op := plan.GE // an open end excludes equal bounds
	if loInc && hiInc {
		op = plan.GT
	}
	crossed, ok := plan.Holds(op, from, to)
	switch {
	case !ok:
		return nil, refuse("invalid range operations")
	case crossed:
		return nil, refuse("invalid range: lowerbound is greater than upperbound")
	}
	return predTerm(&plan.Range{Operand: mid.operand, Lo: from, Hi: to, LoInc: loInc, HiInc: hiInc}), nil
}

// in checks and builds `left in right`.
func (p *parser) in(left, right *term, negated bool) (*term, error) {
	if right.form != constant || right.value.Kind != plan.KindArray {
		return nil, refuse("the right-hand side of 'in' must be a list, but got: %s", p.source(right))
	}
	if left.form != column || left.arith != nil {
		return nil, refuse("'term' can only be used on single field, but got: %s", p.source(left))
	}
	t := left.typ()
	if t == schema.Array || t.IsVector() {
		return nil, refuse("'term' cannot be used on a field of type %s: %s", t, p.source(left))
	}
	values := make([]plan.Value, len(right.value.Array))
	for i, v := range right.value.Array {
		c, ok := cast(v, t, 0)
		if !ok {
			return nil, refuse("value '%s' in list cannot be casted to %s", message(v), t)
		}
		values[i] = c
	}
	n := plan.Node(&plan.In{Operand: left.operand, Values: values})
	if negated {
		n = plan.Neg(n)
	}
	return predTerm(n), nil
}

// like checks and builds `left like right`.
func (p *parser) like(op kind, left, right *term) (*term, error) {
	if op != tokLike {
		return nil, unsupported("a regular expression match")
	}
	t := left.typ()
	if left.form != column || left.arith != nil || (t != schema.VarChar && t != schema.JSON) {
		return nil, refuse("like operation on non-string or no-json field is unsupported")
	}
	if right.form != constant || right.value.Kind != plan.KindString {
		return nil, refuse("like pattern should be a string literal or template variable, got: %s", p.source(right))
	}
	return predTerm(&plan.Like{Operand: left.operand, Pattern: right.value.Str}), nil
}
