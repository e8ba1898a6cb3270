package plan

import (
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// kindOther marks a JSON value that is no scalar: Str holds its text.
const kindOther Kind = 255

// path leads to a value in a JSON document.
type path struct {
	steps []string
	fast  string // the same as a gjson path; empty when a step has characters that mean something there
}

func newPath(steps []string) *path {
	p := &path{steps: steps}
	for _, s := range steps {
		if !plainStep(s) {
			return p
		}
	}
	p.fast = strings.Join(steps, ".")
	return p
}

// plainStep reports whether s has one meaning in gjson's syntax: a key, or a canonical index.
func plainStep(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	if s == "" {
		return false
	}
	_, err := arrayIndex(s)
	return err == nil || s[0] > '9'
}

// arrayIndex reads a step as an index: decimal without leading zeros.
func arrayIndex(s string) (int, error) {
	if s == "" || (s[0] == '0' && s != "0") || s[0] == '+' || s[0] == '-' {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// get returns the value at the path; one that does not exist if there is none.
func (p *path) get(doc []byte) gjson.Result {
	text := unsafe.String(unsafe.SliceData(doc), len(doc)) // gjson only reads, and nothing outlives the row's test
	if p.fast != "" {
		return gjson.Get(text, p.fast)
	}
	r := gjson.Parse(text)
	for _, step := range p.steps {
		r = child(r, step)
	}
	return r
}

func child(r gjson.Result, step string) (out gjson.Result) {
	index, err := arrayIndex(step)
	switch {
	case r.IsObject():
		r.ForEach(func(key, value gjson.Result) bool {
			if key.Str == step {
				out = value
				return false
			}
			return true
		})
	case r.IsArray() && err == nil:
		r.ForEach(func(_, value gjson.Result) bool {
			if index == 0 {
				out = value
				return false
			}
			index--
			return true
		})
	}
	return out
}

func isJSONNull(r gjson.Result) bool { return r.Type == gjson.Null } // a missing value is of that type too

// set makes v the value of r. Null and missing values get Kind 0. Numbers written as integers that fit become KindInt.
func (v *Value) set(r *gjson.Result) {
	switch r.Type {
	case gjson.True, gjson.False:
		*v = BoolValue(r.Type == gjson.True)
	case gjson.String:
		*v = StringValue(r.Str)
	case gjson.JSON:
		*v = Value{Kind: kindOther, Str: r.Raw}
	case gjson.Number:
		*v = FloatValue(r.Num)
		if !strings.ContainsAny(r.Raw, ".eE") {
			if i, err := strconv.ParseInt(r.Raw, 10, 64); err == nil {
				*v = IntValue(i)
			}
		}
	default:
		*v = Value{}
	}
}

// jsonLeaf tests the scalar that an operand finds in each document, or the length of the array.
func jsonLeaf(n Node, o *Operand, test func(v *Value) tri) exec {
	l := &docLeaf{op: o, path: newPath(o.Path), absent: unknown}
	if o.Length {
		l.doc = func(r *gjson.Result) tri {
			if !r.IsArray() {
				return unknown
			}
			v := IntValue(jsonLen(*r))
			return test(&v)
		}
		return l
	}
	l.typed, l.scalar = typedLeaves(n), test
	l.doc = func(r *gjson.Result) tri {
		var v Value
		v.set(r)
		if v.Kind == 0 {
			return unknown
		}
		return test(&v)
	}
	return l
}

// jsonNull asks whether there is something other than null at an operand's place.
func jsonNull(o *Operand, exists bool) exec {
	return &docLeaf{
		op: o, path: newPath(o.Path), absent: triOf(!exists), known: true,
		doc:    func(r *gjson.Result) tri { return triOf(isJSONNull(*r) != exists) },
		scalar: func(*Value) tri { return triOf(exists) },
	}
}

func jsonLen(r gjson.Result) (n int64) {
	r.ForEach(func(_, _ gjson.Result) bool {
		n++
		return true
	})
	return n
}

func jsonCompare(n *Compare) exec {
	op, c := n.Op, n.Value
	return jsonLeaf(n, &n.Operand, func(v *Value) tri {
		if n.Arith != nil {
			if !v.jsonArith(n.Arith) {
				return unknown
			}
		}
		return jsonHolds(op, v, &c)
	})
}

// jsonHolds compares a document's value with a constant; values of different kinds have no answer.
func jsonHolds(op CmpOp, v, c *Value) tri {
	switch {
	case v.Number() && c.Number():
		return triOf(numberHolds(op, v, c))
	case v.Kind == kindOther && c.Kind == KindArray:
		if r := gjson.Parse(v.Str); r.IsArray() {
			return triOf(jsonEquals(r, c) == (op == EQ))
		}
		return unknown
	case v.Kind != c.Kind:
		return unknown
	case v.Kind == KindString:
		return triOf(holds3(op, strings.Compare(v.Str, c.Str)))
	}
	return triOf(holds3(op, b2i(v.Bool)-b2i(c.Bool)))
}

// jsonEquals reports whether r equals a constant.
func jsonEquals(r gjson.Result, c *Value) bool {
	if c.Kind != KindArray {
		var v Value
		v.set(&r)
		return equal(&v, c)
	}
	if !r.IsArray() {
		return false
	}
	i, same := 0, true
	r.ForEach(func(_, e gjson.Result) bool {
		same = i < len(c.Array) && jsonEquals(e, &c.Array[i])
		i++
		return same
	})
	return same && i == len(c.Array)
}

// jsonArith replaces a number by `v op constant`. It is integer arithmetic when both are integers.
func (v *Value) jsonArith(a *Arith) bool {
	if !v.Number() {
		return false
	}
	if v.Kind == KindInt && a.Value.Kind == KindInt {
		i, ok := IntArith(a.Op, v.Int, a.Value.Int)
		*v = IntValue(i)
		return ok
	}
	if a.Op == Mod {
		return false
	}
	*v = FloatValue(FloatArith(a.Op, v.AsFloat(), a.Value.AsFloat()))
	return true
}

func jsonRange(n *Range) exec {
	above, below := GT, LT
	if n.LoInc {
		above = GE
	}
	if n.HiInc {
		below = LE
	}
	return jsonLeaf(n, &n.Operand, func(v *Value) tri {
		lo := jsonHolds(above, v, &n.Lo)
		if lo != yes {
			return lo
		}
		return jsonHolds(below, v, &n.Hi)
	})
}

// jsonIn: a value of a kind that the list does not have is unknown, but an empty list holds nothing for certain.
func jsonIn(n *In) exec {
	want := newLookup(n.Values)
	return jsonLeaf(n, &n.Operand, func(v *Value) tri {
		if v.Kind == kindOther {
			return inArrays(want, v)
		}
		if want.size > 0 && !want.comparable(v) {
			return unknown
		}
		return triOf(want.find(v) >= 0)
	})
}

func inArrays(want *lookup, v *Value) tri {
	r := gjson.Parse(v.Str)
	switch {
	case want.size == 0:
		return no
	case !r.IsArray() || len(want.arrays) == 0:
		return unknown
	}
	for i := range want.arrays {
		if jsonEquals(r, &want.arrays[i]) {
			return yes
		}
	}
	return no
}

func jsonLike(n *Like, pat *pattern) exec {
	return jsonLeaf(n, &n.Operand, func(v *Value) tri {
		if v.Kind != KindString {
			return unknown
		}
		return triOf(pat.match(v.Str))
	})
}

func jsonContains(n *Contains) exec {
	o, want, mode := &n.Operand, newLookup(n.Values), n.Mode
	return &docLeaf{op: o, path: newPath(o.Path), absent: unknown, doc: func(r *gjson.Result) tri {
		if !r.IsArray() {
			return unknown
		}
		found := want.search(mode)
		var v Value
		r.ForEach(func(_, e gjson.Result) bool {
			v.set(&e)
			if v.Kind == kindOther {
				found.addArrays(e)
			} else {
				found.add(&v)
			}
			return !found.done
		})
		return triOf(found.done)
	}}
}

// addArrays notes an element that is an array itself.
func (s *search) addArrays(e gjson.Result) {
	for i := range s.of.arrays {
		if jsonEquals(e, &s.of.arrays[i]) {
			s.add(&s.of.arrays[i])
			return
		}
	}
}

// JSONValue returns the constant that a document's value is to a filter; it is not ok for null, arrays and objects. A
// string shares the document's memory.
func JSONValue(r gjson.Result) (v Value, ok bool) {
	v.set(&r)
	return v, v.Kind >= KindBool && v.Kind <= KindString
}

// PathStep reports whether a path's step names an object's key whatever the document is: a decimal number may be an
// array's index as well.
func PathStep(step string) bool {
	_, err := arrayIndex(step)
	return err != nil
}
