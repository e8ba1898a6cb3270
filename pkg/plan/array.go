package plan

import (
	"github.com/gyr-db/gyr/pkg/schema"
)

// arrayLen returns the number of elements of one row's array.
func arrayLen(a *schema.Column, elem schema.Type) int {
	switch {
	case elem == schema.Bool:
		return len(a.Bools)
	case elem.IsInt():
		return len(a.Ints)
	case elem == schema.Float:
		return len(a.Floats)
	case elem == schema.Double:
		return len(a.Doubles)
	}
	return len(a.Strings)
}

func elemNull(a *schema.Column, i int) bool { return i < len(a.Valid) && !a.Valid[i] }

// elemAt sets v to an element, floats widened.
func elemAt(v *Value, a *schema.Column, elem schema.Type, i int) {
	switch {
	case elem == schema.Bool:
		*v = BoolValue(a.Bools[i])
	case elem.IsInt():
		*v = IntValue(a.Ints[i])
	case elem == schema.Float:
		*v = FloatValue(float64(a.Floats[i]))
	case elem == schema.Double:
		*v = FloatValue(a.Doubles[i])
	default:
		*v = StringValue(a.Strings[i])
	}
}

// narrow rounds constants for Float columns to what such a column can hold, so that `f == 0.1` finds a stored 0.1.
func narrow(v Value, t schema.Type) Value {
	switch {
	case t == schema.Float && v.Kind == KindFloat:
		return FloatValue(float64(float32(v.Float)))
	case v.Kind == KindArray:
		out := make([]Value, len(v.Array))
		for i := range out {
			out[i] = narrow(v.Array[i], t)
		}
		return ArrayValue(out...)
	}
	return v
}

// arrayEquals compares whole arrays.
func arrayEquals(n *Compare) exec {
	elem, want := n.Operand.Elem, narrow(n.Value, n.Operand.Elem).Array
	return &rowLeaf{field: n.Operand.Field, dear: costArray, test: func(c *schema.Column, row int) tri {
		a := &c.Arrays[row]
		same := arrayLen(a, elem) == len(want)
		var v Value
		for i := 0; same && i < len(want); i++ {
			elemAt(&v, a, elem, i)
			same = !elemNull(a, i) && equal(&v, &want[i])
		}
		return triOf(same == (n.Op == EQ))
	}}
}

func compileContains(n *Contains) exec {
	o := &n.Operand
	if o.Type == schema.JSON {
		return jsonContains(n)
	}
	values := make([]Value, len(n.Values))
	for i := range values {
		values[i] = narrow(n.Values[i], o.Elem)
	}
	want, mode := newLookup(values), n.Mode
	return &rowLeaf{field: o.Field, dear: costArray, test: func(c *schema.Column, row int) tri {
		a := &c.Arrays[row]
		found := want.search(mode)
		var v Value
		for i := 0; i < arrayLen(a, o.Elem) && !found.done; i++ {
			if !elemNull(a, i) {
				elemAt(&v, a, o.Elem, i)
				found.add(&v)
			}
		}
		return triOf(found.done)
	}}
}
