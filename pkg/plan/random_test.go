package plan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/schema"
)

// batch is a Source over columns in memory.
type batch struct {
	n    int
	cols map[int64]*schema.Column
}

func (b *batch) Rows() int { return b.n }

func (b *batch) Column(id int64) (*schema.Column, error) {
	c, ok := b.cols[id]
	if !ok {
		return nil, fmt.Errorf("no column %d", id)
	}
	return c, nil
}

// Fields of the random data. Odd multiples of ten have nulls.
const (
	fBool, fBoolNull     = 100, 110
	fInt8, fInt64        = 101, 111
	fInt64Null           = 112
	fFloat, fFloatNull   = 103, 113
	fDouble, fDoubleNull = 104, 114
	fText, fTextNull     = 105, 115
	fJSON, fJSONNull     = 106, 116
	fInts, fIntsNull     = 107, 117
	fTexts, fFloats      = 108, 118
	fBools, fDoubles     = 109, 119
)

type fieldSpec struct {
	id        int64
	typ, elem schema.Type
	nullable  bool
}

func fieldSpecs() []fieldSpec {
	return []fieldSpec{
		{fBool, schema.Bool, 0, false},
		{fBoolNull, schema.Bool, 0, true},
		{fInt8, schema.Int8, 0, false},
		{fInt64, schema.Int64, 0, false},
		{fInt64Null, schema.Int64, 0, true},
		{fFloat, schema.Float, 0, false},
		{fFloatNull, schema.Float, 0, true},
		{fDouble, schema.Double, 0, false},
		{fDoubleNull, schema.Double, 0, true},
		{fText, schema.VarChar, 0, false},
		{fTextNull, schema.VarChar, 0, true},
		{fJSON, schema.JSON, 0, false},
		{fJSONNull, schema.JSON, 0, true},
		{fInts, schema.Array, schema.Int64, false},
		{fIntsNull, schema.Array, schema.Int32, true},
		{fTexts, schema.Array, schema.VarChar, true},
		{fFloats, schema.Array, schema.Float, false},
		{fBools, schema.Array, schema.Bool, false},
		{fDoubles, schema.Array, schema.Double, false},
	}
}

// gen draws small values so that comparisons hit often, and now and then extreme ones.
type gen struct{ *rand.Rand }

func (g gen) int() int64 {
	switch g.IntN(20) {
	case 0:
		return math.MaxInt64 - int64(g.IntN(2))
	case 1:
		return math.MinInt64 + int64(g.IntN(2))
	case 2:
		return 1<<53 + int64(g.IntN(3))
	}
	return int64(g.IntN(9)) - 4
}

func (g gen) float() float64 {
	switch g.IntN(20) {
	case 0:
		return 0.1
	case 1:
		return float64(int64(1)<<53) * 1024
	}
	return float64(g.IntN(17))/2 - 4
}

func (g gen) text() string {
	const alphabet = "aab%_\\é0"
	runes := []rune(alphabet)
	out := make([]rune, g.IntN(5))
	for i := range out {
		out[i] = runes[g.IntN(len(runes))]
	}
	return string(out)
}

func (g gen) key() string {
	return []string{"a", "b", "0", "1", "", "x.y", "k*", "a\"b", "é", "01", "@this", "#"}[g.IntN(12)]
}

func (g gen) json(depth int) string {
	switch k := g.IntN(10); {
	case k == 0:
		return "null"
	case k == 1:
		return strconv.FormatBool(g.IntN(2) == 0)
	case k == 2:
		return strconv.Quote(strings.ReplaceAll(g.text(), "\\", "z"))
	case k == 3:
		return []string{"1.0", "2.5", "1e0", "-3.0", "18446744073709551616", "9007199254740993"}[g.IntN(6)]
	case k <= 5 || depth == 0:
		return strconv.FormatInt(g.int(), 10)
	case k == 6:
		parts := make([]string, g.IntN(4))
		for i := range parts {
			parts[i] = g.json(depth - 1)
		}
		return "[" + strings.Join(parts, " , ") + "]"
	}
	var parts []string
	seen := map[string]bool{}
	for range g.IntN(6) {
		if key := g.key(); !seen[key] {
			seen[key] = true
			parts = append(parts, strconv.Quote(key)+" : "+g.json(depth-1))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (g gen) column(f fieldSpec, n int) *schema.Column {
	c := &schema.Column{Field: f.id, Type: f.typ, Elem: f.elem}
	for range n {
		if f.nullable && g.IntN(4) == 0 {
			c.AppendNull()
			continue
		}
		one := &schema.Column{Type: f.typ, Elem: f.elem, N: 1}
		switch {
		case f.typ == schema.Bool:
			one.Bools = []bool{g.IntN(2) == 0}
		case f.typ == schema.Int8:
			one.Ints = []int64{int64(g.IntN(9)) - 4}
		case f.typ.IsInt():
			one.Ints = []int64{g.int()}
		case f.typ == schema.Float:
			one.Floats = []float32{float32(g.float())}
		case f.typ == schema.Double:
			one.Doubles = []float64{g.float()}
		case f.typ == schema.VarChar:
			one.Strings = []string{g.text()}
		case f.typ == schema.JSON:
			one.Bytes = [][]byte{[]byte(g.json(3))}
		case f.typ == schema.Array:
			one.Arrays = []schema.Column{*g.column(fieldSpec{typ: f.elem}, g.IntN(4))}
		}
		c.AppendFrom(one, 0)
	}
	return c
}

func (g gen) batch(n int) *batch {
	b := &batch{n: n, cols: map[int64]*schema.Column{}}
	for _, f := range fieldSpecs() {
		b.cols[f.id] = g.column(f, n)
	}
	return b
}

func (g gen) operand(want func(*Operand) bool) Operand {
	specs := fieldSpecs()
	for {
		f := specs[g.IntN(len(specs))]
		o := Operand{Field: f.id, Type: f.typ, Elem: f.elem}
		switch {
		case f.typ == schema.JSON:
			for range g.IntN(3) {
				o.Path = append(o.Path, g.key())
			}
			o.Length = g.IntN(6) == 0
		case f.typ == schema.Array:
			switch g.IntN(4) {
			case 0:
				o.Length = true
			case 1:
			default:
				o.Element, o.Index = true, g.IntN(3)
			}
		}
		if want(&o) {
			return o
		}
	}
}

// value draws a constant for a type.
func (g gen) value(t, elem schema.Type) Value {
	switch {
	case t == schema.Bool:
		return BoolValue(g.IntN(2) == 0)
	case t.IsInt():
		return IntValue(g.int())
	case t == schema.Float || t == schema.Double:
		return FloatValue(g.float())
	case t == schema.VarChar:
		return StringValue(g.text())
	case t == schema.Array:
		return ArrayValue(g.values(g.IntN(3), elem)...)
	}
	if g.IntN(8) == 0 {
		return ArrayValue(g.values(g.IntN(3), schema.JSON)...)
	}
	return g.value([]schema.Type{schema.Bool, schema.Int64, schema.Int64, schema.Double, schema.VarChar}[g.IntN(5)], 0)
}

func (g gen) values(n int, t schema.Type) []Value {
	var out []Value
	for range n {
		out = append(out, g.value(t, 0))
	}
	return out
}

func (g gen) node(depth int) Node {
	if depth > 0 && g.IntN(2) == 0 {
		terms := make([]Node, g.IntN(4))
		for i := range terms {
			terms[i] = g.node(depth - 1)
		}
		switch g.IntN(3) {
		case 0:
			return &And{Terms: terms}
		case 1:
			return &Or{Terms: terms}
		}
		return &Not{Term: g.node(depth - 1)}
	}
	return g.leaf()
}

func (g gen) leaf() Node {
	isArray := func(o *Operand) bool { return o.ValueType() == schema.Array }
	scalar := func(o *Operand) bool { return !isArray(o) }
	switch g.IntN(11) {
	case 0:
		return Const{Value: g.IntN(2) == 0}
	case 1:
		o := g.operand(scalar)
		return &In{Operand: o, Values: g.values([]int{0, 1, 3, 6, 40}[g.IntN(5)], o.ValueType())}
	case 2:
		return &Like{Operand: g.operand(func(o *Operand) bool {
			return o.ValueType() == schema.VarChar || o.ValueType() == schema.JSON
		}), Pattern: g.text()}
	case 3:
		plain := func(o *Operand) bool { return scalar(o) && o.Type != schema.JSON }
		a := g.operand(plain)
		b := g.operand(func(o *Operand) bool { return plain(o) && valueClass(o) == valueClass(&a) })
		return &CompareColumns{Left: a, Right: b, Op: g.op()}
	case 4, 5:
		o := g.operand(func(o *Operand) bool {
			return !o.Length && (isArray(o) || o.ValueType() == schema.JSON)
		})
		elem := o.Elem
		if o.Type == schema.JSON {
			elem = schema.JSON
		}
		mode := ContainsMode(g.IntN(3) + 1)
		n := 1
		if mode != ContainsOne {
			n = g.IntN(4)
		}
		return &Contains{Operand: o, Mode: mode, Values: g.values(n, elem)}
	case 6:
		return &Exists{Operand: g.operand(func(o *Operand) bool { return o.Type == schema.JSON && !o.Length })}
	case 7:
		return &IsNull{Operand: g.operand(func(o *Operand) bool { return !o.Length })}
	case 8:
		o := g.operand(scalar)
		for {
			r := &Range{
				Operand: o, Lo: g.value(o.ValueType(), 0), Hi: g.value(o.ValueType(), 0),
				LoInc: g.IntN(2) == 0, HiInc: g.IntN(2) == 0,
			}
			if _, err := New(r); err == nil {
				return r
			}
		}
	case 9:
		return g.arith()
	}
	o := g.operand(func(*Operand) bool { return true })
	for {
		c := &Compare{Operand: o, Op: g.op(), Value: g.value(o.ValueType(), o.Elem)}
		if _, err := New(c); err == nil {
			return c
		}
	}
}

func (g gen) op() CmpOp { return CmpOp(g.IntN(6) + 1) }

func (g gen) arith() Node {
	for {
		o := g.operand(func(*Operand) bool { return true })
		t := o.ValueType()
		c := &Compare{Operand: o, Op: g.op(), Value: g.value(t, 0), Arith: &Arith{Op: ArithOp(g.IntN(5) + 1), Value: g.value(t, 0)}}
		if _, err := New(c); err == nil {
			return c
		}
	}
}
