package plan

import (
	"math"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/schema"
)

// Kind is the kind of a constant.
type Kind uint8

// Kinds of constants.
const (
	KindBool Kind = iota + 1
	KindInt
	KindFloat
	KindString
	KindArray
)

// Value is a constant; the member that Kind names holds it. The zero Value is no constant.
type Value struct {
	Kind  Kind
	Bool  bool
	Int   int64
	Float float64
	Str   string
	Array []Value
}

// BoolValue returns a constant.
func BoolValue(b bool) Value { return Value{Kind: KindBool, Bool: b} }

// IntValue returns a constant.
func IntValue(i int64) Value { return Value{Kind: KindInt, Int: i} }

// FloatValue returns a constant.
func FloatValue(f float64) Value { return Value{Kind: KindFloat, Float: f} }

// StringValue returns a constant.
func StringValue(s string) Value { return Value{Kind: KindString, Str: s} }

// ArrayValue returns a constant.
func ArrayValue(vs ...Value) Value { return Value{Kind: KindArray, Array: vs} }

// Number reports whether v is an int or a float.
func (v *Value) Number() bool { return v.Kind == KindInt || v.Kind == KindFloat }

// AsFloat returns a number as a float.
func (v *Value) AsFloat() float64 {
	if v.Kind == KindInt {
		return float64(v.Int)
	}
	return v.Float
}

// Type returns the data type that a constant has in the API's messages.
func (v *Value) Type() schema.Type {
	switch v.Kind {
	case KindBool:
		return schema.Bool
	case KindInt:
		return schema.Int64
	case KindFloat:
		return schema.Double
	case KindString:
		return schema.VarChar
	case KindArray:
		return schema.Array
	}
	return 0
}

// String renders v as a literal of the filter language; long arrays are cut.
func (v Value) String() string {
	switch v.Kind {
	case KindBool:
		return strconv.FormatBool(v.Bool)
	case KindInt:
		return strconv.FormatInt(v.Int, 10)
	case KindFloat:
		s := strconv.FormatFloat(v.Float, 'g', -1, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	case KindString:
		return strconv.Quote(v.Str)
	case KindArray:
		return renderList(v.Array)
	}
	return "?"
}

// canonical returns v with numbers that are integers as KindInt, so that equality is equality of members.
func canonical(v Value) Value {
	if v.Kind == KindFloat {
		if i, ok := exactInt(v.Float); ok {
			return IntValue(i)
		}
	}
	return v
}

// exactInt returns f as an int64 if it is one.
func exactInt(f float64) (int64, bool) {
	if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
		return int64(f), true
	}
	return 0, false
}

// equal compares two constants; numbers by value.
func equal(a, b *Value) bool {
	if a.Number() && b.Number() {
		return numberHolds(EQ, a, b)
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case KindBool:
		return a.Bool == b.Bool
	case KindString:
		return a.Str == b.Str
	case KindArray:
		if len(a.Array) != len(b.Array) {
			return false
		}
		for i := range a.Array {
			if !equal(&a.Array[i], &b.Array[i]) {
				return false
			}
		}
		return true
	}
	return false
}

// Holds reports whether `a op b` holds for two constants, and whether they can be compared that way at all.
func Holds(op CmpOp, a, b Value) (holds, comparable bool) {
	switch {
	case a.Number() && b.Number():
		return numberHolds(op, &a, &b), true
	case a.Kind != b.Kind:
		return false, false
	case a.Kind == KindString:
		return holds3(op, strings.Compare(a.Str, b.Str)), true
	case a.Kind == KindBool:
		return holds3(op, b2i(a.Bool)-b2i(b.Bool)), true
	case op == EQ:
		return equal(&a, &b), true
	case op == NE:
		return !equal(&a, &b), true
	}
	return false, false
}

// numberHolds compares exactly: an int and a float are not rounded to each other's type.
func numberHolds(op CmpOp, a, b *Value) bool {
	switch {
	case a.Kind == KindInt && b.Kind == KindInt:
		switch {
		case a.Int < b.Int:
			return holds3(op, -1)
		case a.Int > b.Int:
			return holds3(op, 1)
		}
		return holds3(op, 0)
	case a.Kind == KindFloat && b.Kind == KindFloat:
		return floatHolds(op, a.Float, b.Float)
	case a.Kind == KindFloat:
		return numberHolds(op.Flip(), b, a)
	}
	f := b.Float
	switch i, exact := exactInt(f); {
	case exact:
		return numberHolds(op, a, &Value{Kind: KindInt, Int: i})
	case f >= 1<<63:
		return holds3(op, -1)
	case f < -1<<63:
		return holds3(op, 1)
	}
	// f has a fraction, so |f| < 2^53 and rounding a.Int cannot move it across f; or f is no number.
	return floatHolds(op, float64(a.Int), f)
}

func floatHolds(op CmpOp, a, b float64) bool {
	switch op {
	case EQ:
		return a == b
	case NE:
		return a != b
	case LT:
		return a < b
	case LE:
		return a <= b
	case GT:
		return a > b
	}
	return a >= b
}

// holds3 says whether `x op y` holds when x compares to y as c compares to 0.
func holds3(op CmpOp, c int) bool {
	switch op {
	case EQ:
		return c == 0
	case NE:
		return c != 0
	case LT:
		return c < 0
	case LE:
		return c <= 0
	case GT:
		return c > 0
	}
	return c >= 0
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
