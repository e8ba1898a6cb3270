package plan

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/schema"
)

// The reference evaluates one row at a time with textbook three-valued logic. Values are nil (unknown), bool, string,
// *big.Float (every number, exactly), []any, or map[string]any.

func refNode(n Node, b *batch, row int) tri {
	switch n := n.(type) {
	case Const:
		return triOf(n.Value)
	case *And:
		out := yes
		for _, t := range n.Terms {
			switch refNode(t, b, row) {
			case no:
				return no
			case unknown:
				out = unknown
			}
		}
		return out
	case *Or:
		out := no
		for _, t := range n.Terms {
			switch refNode(t, b, row) {
			case yes:
				return yes
			case unknown:
				out = unknown
			}
		}
		return out
	case *Not:
		switch refNode(n.Term, b, row) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	case *Exists:
		return triOf(refValue(&n.Operand, b, row) != nil)
	case *IsNull:
		return triOf(refValue(&n.Operand, b, row) == nil)
	case *CompareColumns:
		return refCompare(n.Op, refValue(&n.Left, b, row), refValue(&n.Right, b, row))
	case *Like:
		s, ok := refValue(&n.Operand, b, row).(string)
		if !ok {
			return unknown
		}
		return triOf(refPattern(n.Pattern).MatchString(s))
	case *Compare:
		return refCompareNode(n, b, row)
	case *Range:
		v := refValue(&n.Operand, b, row)
		lo := refCompare(map[bool]CmpOp{true: GE, false: GT}[n.LoInc], v, refConst(n.Lo, &n.Operand))
		hi := refCompare(map[bool]CmpOp{true: LE, false: LT}[n.HiInc], v, refConst(n.Hi, &n.Operand))
		switch {
		case lo == no || hi == no:
			return no
		case lo == yes && hi == yes:
			return yes
		}
		return unknown
	case *In:
		return refIn(n, b, row)
	case *Contains:
		return refContains(n, b, row)
	}
	panic("node")
}

func refIn(n *In, b *batch, row int) tri {
	v := refValue(&n.Operand, b, row)
	if v == nil {
		return unknown
	}
	out := unknown
	if len(n.Values) == 0 {
		out = no
	}
	for _, c := range n.Values {
		switch refCompare(EQ, v, refConst(c, &n.Operand)) {
		case yes:
			return yes
		case no:
			out = no
		}
	}
	return out
}

func refContains(n *Contains, b *batch, row int) tri {
	list, ok := refValue(&n.Operand, b, row).([]any)
	if !ok {
		return unknown
	}
	hits := 0
	for _, c := range n.Values {
		for _, e := range list {
			if e != nil && refCompare(EQ, e, refConst(c, &n.Operand)) == yes {
				hits++
				break
			}
		}
	}
	if n.Mode == ContainsAll {
		return triOf(hits == len(n.Values))
	}
	return triOf(hits > 0)
}

func refCompareNode(n *Compare, b *batch, row int) tri {
	v := refValue(&n.Operand, b, row)
	c := refConst(n.Value, &n.Operand)
	if n.Arith == nil {
		return refCompare(n.Op, v, c)
	}
	x, ok := v.(*big.Float)
	if !ok {
		return unknown
	}
	c = refConst(n.Value, &Operand{})
	y := refConst(n.Arith.Value, &Operand{}).(*big.Float)
	ints := n.Arith.Value.Kind == KindInt
	if n.Operand.Type == schema.JSON && !n.Operand.Length {
		_, isInt := refRawNumber(&n.Operand, b, row)
		ints = ints && isInt
	}
	if !ints {
		if n.Arith.Op == Mod {
			return unknown
		}
		xf, _ := x.Float64()
		yf, _ := y.Float64()
		r := map[ArithOp]float64{Add: xf + yf, Sub: xf - yf, Mul: xf * yf, Div: xf / yf}[n.Arith.Op]
		return refCompare(n.Op, big.NewFloat(r), c)
	}
	xi, _ := x.Int(nil)
	yi, _ := y.Int(nil)
	r := new(big.Int)
	switch n.Arith.Op {
	case Add:
		r.Add(xi, yi)
	case Sub:
		r.Sub(xi, yi)
	case Mul:
		r.Mul(xi, yi)
	case Div:
		r.Quo(xi, yi)
	case Mod:
		r.Rem(xi, yi)
	}
	if !r.IsInt64() {
		return unknown
	}
	return refCompare(n.Op, new(big.Float).SetPrec(200).SetInt(r), c)
}

// refRawNumber returns a JSON number as written and whether it is an integer of 64 bits.
func refRawNumber(o *Operand, b *batch, row int) (string, bool) {
	n, ok := refWalk(refParse(b.cols[o.Field].Bytes[row]), o.Path).(json.Number)
	_, err := strconv.ParseInt(string(n), 10, 64)
	return string(n), ok && err == nil
}

func refCompare(op CmpOp, a, b any) tri {
	switch x := a.(type) {
	case *big.Float:
		if y, ok := b.(*big.Float); ok {
			return triOf(holds3(op, x.Cmp(y)))
		}
	case string:
		if y, ok := b.(string); ok {
			return triOf(holds3(op, strings.Compare(x, y)))
		}
	case bool:
		if y, ok := b.(bool); ok {
			return triOf(holds3(op, b2i(x)-b2i(y)))
		}
	case []any:
		if y, ok := b.([]any); ok {
			same := len(x) == len(y)
			for i := 0; same && i < len(x); i++ {
				same = refCompare(EQ, x[i], y[i]) == yes
			}
			return triOf(same == (op == EQ))
		}
	}
	return unknown
}

func refNumber(f float64) any {
	if math.IsNaN(f) {
		return nil
	}
	return new(big.Float).SetPrec(200).SetFloat64(f)
}

// refConst converts a constant, rounded if the operand's column holds float32.
func refConst(v Value, o *Operand) any {
	switch v.Kind {
	case KindBool:
		return v.Bool
	case KindInt:
		return new(big.Float).SetPrec(200).SetInt64(v.Int)
	case KindFloat:
		if o.Type == schema.Float || o.Elem == schema.Float {
			return refNumber(float64(float32(v.Float)))
		}
		return refNumber(v.Float)
	case KindString:
		return v.Str
	}
	out := []any{}
	for _, e := range v.Array {
		out = append(out, refConst(e, o))
	}
	return out
}

func refValue(o *Operand, b *batch, row int) any {
	v := refWhole(b.cols[o.Field], row)
	switch {
	case v == nil:
		return nil
	case o.Type == schema.JSON:
		v = refConvert(refWalk(v, o.Path))
	case o.Element:
		list := v.([]any)
		if o.Index >= len(list) {
			return nil
		}
		return list[o.Index]
	}
	if o.Length {
		list, ok := v.([]any)
		if !ok {
			return nil
		}
		return refNumber(float64(len(list)))
	}
	return v
}

func refWhole(c *schema.Column, row int) any {
	if c.IsNull(row) {
		return nil
	}
	switch {
	case c.Type == schema.Bool:
		return c.Bools[row]
	case c.Type.IsInt():
		return new(big.Float).SetPrec(200).SetInt64(c.Ints[row])
	case c.Type == schema.Float:
		return refNumber(float64(c.Floats[row]))
	case c.Type == schema.Double:
		return refNumber(c.Doubles[row])
	case c.Type == schema.VarChar:
		return c.Strings[row]
	case c.Type == schema.JSON:
		return refParse(c.Bytes[row])
	}
	out := []any{}
	for i := range c.Arrays[row].N {
		out = append(out, refWhole(&c.Arrays[row], i))
	}
	return out
}

func refParse(doc []byte) any {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func refWalk(v any, path []string) any {
	for _, step := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) || strconv.Itoa(i) != step {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func refConvert(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(x), 10, 64); err == nil {
			return new(big.Float).SetPrec(200).SetInt64(i)
		}
		f, _ := strconv.ParseFloat(string(x), 64)
		return refNumber(f)
	case []any:
		out := []any{}
		for _, e := range x {
			out = append(out, refConvert(e))
		}
		return out
	}
	return v
}

func refPattern(p string) *regexp.Regexp {
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p) && strings.IndexByte(`%_\`, p[i+1]) >= 0:
			i++
			re.WriteString(regexp.QuoteMeta(p[i : i+1]))
		case p[i] == '%':
			re.WriteString(".*")
		case p[i] == '_':
			re.WriteString(".")
		case p[i] < 0x80:
			re.WriteString(regexp.QuoteMeta(p[i : i+1]))
		default:
			re.WriteByte(p[i])
		}
	}
	re.WriteString(`\z`)
	return regexp.MustCompile(re.String())
}
