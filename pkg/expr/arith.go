package expr

import (
	"math"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

func arithName(op plan.ArithOp) string {
	return map[plan.ArithOp]string{plan.Add: "add", plan.Sub: "subtract", plan.Mul: "multiply", plan.Div: "divide", plan.Mod: "modulo"}[op]
}

// arithmetic checks and builds `a op b`: of two constants, or of a field and a constant.
func (p *parser) arithmetic(op plan.ArithOp, a, b *term) (*term, error) {
	switch {
	case a.form == predicate || b.form == predicate:
		return nil, refuse("'%s' can only be used between numbers and fields", arithName(op))
	case a.form == column && b.form == column:
		return nil, refuse("not supported to do arithmetic operations between multiple fields")
	case a.form == constant && b.form == constant:
		return fold(op, a, b)
	case a.form == constant:
		return reversed(op, a, b)
	}
	return fieldArith(op, a, b, errArith(op, a, b))
}

func errArith(op plan.ArithOp, a, b *term) error {
	side := func(t *term) string {
		if t.form == column {
			return t.typ().String() + " field"
		}
		return t.typ().String()
	}
	return refuse("'%s' cannot perform arithmetic between %s and %s", arithName(op), side(a), side(b))
}

// reversed handles a constant in front of a field: only sums and products can be turned round.
func reversed(op plan.ArithOp, c, col *term) (*term, error) {
	switch op {
	case plan.Sub:
		return nil, refuse("subtract field is not yet supported")
	case plan.Div:
		return nil, refuse("divided field is not yet supported")
	case plan.Mod:
		return nil, refuse("module field is not yet supported")
	}
	return fieldArith(op, col, c, errArith(op, c, col))
}

func fieldArith(op plan.ArithOp, col, c *term, mismatch error) (*term, error) {
	t := col.typ()
	if !c.value.Number() || (!isNumber(t) && t != schema.JSON) || (t.IsInt() && c.value.Kind != plan.KindInt) {
		return nil, mismatch
	}
	switch {
	case col.arith != nil:
		return nil, refuse("complicated arithmetic operations are not supported")
	case op == plan.Mod && (isFloat(t) || c.value.Kind != plan.KindInt):
		return nil, refuse("modulo can only apply on integer types")
	case (op == plan.Div || op == plan.Mod) && c.value.AsFloat() == 0:
		return nil, errZero()
	}
	v, ok := cast(c.value, t, 0)
	if !ok {
		return nil, mismatch
	}
	out := colTerm(col.operand)
	out.arith = &plan.Arith{Op: op, Value: v}
	return out, nil
}

func errZero() error { return refuse("division or modulus by zero") }

func errOverflow() error { return refuse("constant arithmetic leaves the range of int64") }

// fold computes `a op b` of two constants.
func fold(op plan.ArithOp, a, b *term) (*term, error) {
	x, y := a.value, b.value
	switch {
	case !x.Number() || !y.Number():
		return nil, errArith(op, a, b)
	case (op == plan.Div || op == plan.Mod) && y.AsFloat() == 0:
		return nil, errZero()
	case x.Kind == plan.KindInt && y.Kind == plan.KindInt:
		r, ok := plan.IntArith(op, x.Int, y.Int)
		if !ok {
			return nil, errOverflow()
		}
		return constTerm(plan.IntValue(r)), nil
	case op == plan.Mod:
		return nil, refuse("modulo can only apply on integer types")
	}
	return constTerm(plan.FloatValue(plan.FloatArith(op, x.AsFloat(), y.AsFloat()))), nil
}

// constants folds the operators that exist between constants only: power and shifts.
func (p *parser) constants(op kind, a, b *term) (*term, error) {
	name := map[kind]string{tokPow: "power", tokShl: "shift left", tokShr: "shift right"}[op]
	if a.form != constant || b.form != constant {
		return nil, refuse("%s can only apply on constants: %s", name, p.source(&term{first: a.first, last: b.last}))
	}
	x, y := a.value, b.value
	ints := x.Kind == plan.KindInt && y.Kind == plan.KindInt
	switch {
	case !x.Number() || !y.Number() || (op != tokPow && !ints):
		return nil, refuse("%s cannot be applied between %s and %s", name, a.typ(), b.typ())
	case op != tokPow:
		if y.Int < 0 || y.Int > 63 {
			return nil, refuse("%s by %d bits", name, y.Int)
		}
		if op == tokShl {
			return constTerm(plan.IntValue(x.Int << y.Int)), nil
		}
		return constTerm(plan.IntValue(x.Int >> y.Int)), nil
	case ints && y.Int >= 0:
		return intPower(x.Int, y.Int)
	}
	return constTerm(plan.FloatValue(math.Pow(x.AsFloat(), y.AsFloat()))), nil
}

func intPower(x, n int64) (*term, error) {
	out := int64(1)
	switch {
	case x == 0 && n > 0, x == 1:
		return constTerm(plan.IntValue(x)), nil
	case x == -1:
		return constTerm(plan.IntValue(1 - n%2*2)), nil
	}
	for ; n > 0; n-- { // at most 63 rounds before it overflows
		var ok bool
		if out, ok = plan.IntArith(plan.Mul, out, x); !ok {
			return nil, errOverflow()
		}
	}
	return constTerm(plan.IntValue(out)), nil
}
