package plan

import "github.com/gyr-db/gyr/pkg/schema"

// typedLeaves turns a test of JSON scalars into loops over columns of one type. A type for which no loop gives exactly
// the same answers is left out; it is tested value by value.
func typedLeaves(n Node) map[schema.Type]typedLeaf {
	out := map[schema.Type]typedLeaf{}
	for _, t := range []schema.Type{schema.Bool, schema.Int64, schema.Double, schema.VarChar} {
		node, ok := typedNode(n, t)
		switch {
		case !ok:
		case node == nil:
			out[t] = typedLeaf{unknown: true}
		default:
			out[t] = typedLeaf{leaf: compile(node).(*vecLeaf)}
		}
	}
	return out
}

// typedNode returns the same test of a column of type t: nil when it is unknown for all such values. It is not ok when
// there is no such test.
func typedNode(n Node, t schema.Type) (node Node, ok bool) {
	o := Operand{Type: t}
	switch n := n.(type) {
	case *Compare:
		return typedCompare(n, o)
	case *Range:
		if !kindOf(t, &n.Lo) {
			return nil, true
		}
		lo, okLo := convert(t, n.Lo)
		hi, okHi := convert(t, n.Hi)
		return &Range{Operand: o, Lo: lo, Hi: hi, LoInc: n.LoInc, HiInc: n.HiInc}, okLo && okHi
	case *In:
		var list []Value
		comparable := len(n.Values) == 0
		for i := range n.Values {
			if !kindOf(t, &n.Values[i]) {
				continue
			}
			comparable = true
			if v, ok := convert(t, n.Values[i]); ok { // what does not convert is no value of the type
				list = append(list, v)
			}
		}
		if !comparable {
			return nil, true
		}
		return &In{Operand: o, Values: list}, true
	case *Like:
		if t != schema.VarChar {
			return nil, true
		}
		return &Like{Operand: o, Pattern: n.Pattern}, true
	}
	return nil, false
}

func typedCompare(n *Compare, o Operand) (Node, bool) {
	if !kindOf(o.Type, &n.Value) {
		return nil, true
	}
	c, ok := convert(o.Type, n.Value)
	if n.Arith == nil {
		return &Compare{Operand: o, Op: n.Op, Value: c}, ok
	}
	if o.Type != schema.Int64 || n.Arith.Value.Kind != KindInt {
		return nil, false
	}
	return &Compare{Operand: o, Arith: n.Arith, Op: n.Op, Value: c}, ok
}

// kindOf reports whether a constant can be compared with JSON values of a type.
func kindOf(t schema.Type, v *Value) bool {
	switch t {
	case schema.Bool:
		return v.Kind == KindBool
	case schema.VarChar:
		return v.Kind == KindString
	}
	return v.Number()
}

// convert makes a constant one of the type, if it is exactly that.
func convert(t schema.Type, v Value) (Value, bool) {
	switch {
	case t == schema.Int64 && v.Kind == KindFloat:
		i, ok := exactInt(v.Float)
		return IntValue(i), ok
	case t == schema.Double && v.Kind == KindInt:
		f := float64(v.Int)
		i, ok := exactInt(f)
		return FloatValue(f), ok && i == v.Int
	}
	return v, true
}
