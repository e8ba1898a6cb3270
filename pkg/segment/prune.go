package segment

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Excludes reports whether it is cheap to see that a plan selects no row of the segment: by the columns' bounds, or
// because it requires keys that the segment does not hold. False means that nobody knows.
func (s *Sealed) Excludes(p *plan.Plan) bool {
	if p == nil || p.IsTrue() {
		return false
	}
	if s.excludes(p) {
		return true
	}
	rows, few := s.keyRows(p)
	return few && len(rows) == 0
}

// Excludes reports whether a plan requires keys that the segment does not hold. False means that nobody knows.
func (g *Growing) Excludes(p *plan.Plan) bool {
	byChunk, few := g.keyRows(p, g.Rows())
	return few && len(byChunk) == 0
}

// excludes reports whether the columns' bounds alone show that a plan selects no row of the segment. False means that
// nobody knows.
func (s *Sealed) excludes(p *plan.Plan) bool { return s.none(p.Root()) }

func (s *Sealed) none(n plan.Node) bool {
	switch n := n.(type) {
	case plan.Const:
		return !n.Value
	case *plan.And:
		for _, t := range n.Terms {
			if s.none(t) {
				return true
			}
		}
	case *plan.Or:
		for _, t := range n.Terms {
			if !s.none(t) {
				return false
			}
		}
		return len(n.Terms) > 0
	case *plan.Not:
		x, ok := n.Term.(*plan.IsNull)
		return ok && s.nulls(&x.Operand) == s.Rows()
	case *plan.IsNull:
		return s.nulls(&n.Operand) == 0
	case *plan.Compare:
		return n.Arith == nil && s.outside(&n.Operand, n.Op, n.Value)
	case *plan.Range:
		lo, hi := plan.GT, plan.LT
		if n.LoInc {
			lo = plan.GE
		}
		if n.HiInc {
			hi = plan.LE
		}
		return s.outside(&n.Operand, lo, n.Lo) || s.outside(&n.Operand, hi, n.Hi)
	case *plan.In:
		return s.noneOf(&n.Operand, n.Values)
	case *plan.Like:
		return s.noPrefix(&n.Operand, n.Prefix())
	}
	return false
}

func (s *Sealed) noneOf(o *plan.Operand, values []plan.Value) bool {
	m, _ := s.summary(o)
	if m == nil {
		return false
	}
	for _, v := range values {
		if !m.outside(plan.EQ, v) {
			return false
		}
	}
	return true
}

// outside reports whether no value of a column can satisfy `column op v`.
func (s *Sealed) outside(o *plan.Operand, op plan.CmpOp, v plan.Value) bool {
	m, rows := s.summary(o)
	switch {
	case m == nil:
		return false
	case m.Nulls == rows:
		return true // a comparison with null is never true
	}
	return m.outside(op, v)
}

// noPrefix reports whether no text of a column begins with prefix.
func (s *Sealed) noPrefix(o *plan.Operand, prefix string) bool {
	m, _ := s.summary(o)
	if m == nil || prefix == "" || m.Type != schema.VarChar {
		return false
	}
	if m.Max != nil && string(m.Max) < prefix {
		return true
	}
	return m.Min != nil && string(m.Min) > prefix && !strings.HasPrefix(string(m.Min), prefix)
}

// summary returns what is known of all values that an operand can take, and of how many rows; nil when it does not
// cover them.
func (s *Sealed) summary(o *plan.Operand) (*columnMeta, int) {
	if o.Element || o.Length {
		return nil, 0
	}
	if len(o.Path) > 0 {
		if l := s.paths[pathKey(o.Field, o.Path)]; l != nil && l.meta.Rest == 0 {
			return &l.meta.Column, l.meta.Column.Rows
		}
		return nil, 0
	}
	if l := s.columns[o.Field]; l != nil {
		return l.meta, s.Rows()
	}
	return nil, 0
}

// nulls returns how many rows of a column have no value, -1 when that is not known.
func (s *Sealed) nulls(o *plan.Operand) int {
	if l := s.columns[o.Field]; l != nil && !o.Element && !o.Length && l.meta.Type != schema.JSON {
		return l.meta.Nulls
	}
	return -1
}

func (m *columnMeta) outside(op plan.CmpOp, v plan.Value) bool {
	if m.Type == schema.Float && v.Kind == plan.KindFloat {
		v.Float = float64(float32(v.Float)) // as filters compare it
	}
	lo, hi := m.bounds()
	fails := func(op plan.CmpOp, bound plan.Value) bool {
		holds, ok := plan.Holds(op, bound, v)
		return bound.Kind != 0 && ok && !holds
	}
	switch op {
	case plan.EQ:
		return fails(plan.LE, lo) || fails(plan.GE, hi) || (m.Few != nil && m.missing(v))
	case plan.LT, plan.LE:
		return fails(op, lo)
	case plan.GT, plan.GE:
		return fails(op, hi)
	}
	return false
}

// missing reports whether v is none of the few values that a column has.
func (m *columnMeta) missing(v plan.Value) bool {
	switch {
	case m.Type == schema.VarChar && v.Kind == plan.KindString:
		_, ok := slices.BinarySearchFunc(m.Few, v.Str, func(have []byte, s string) int { return cmp.Compare(string(have), s) })
		return !ok
	case m.Type.IsInt() && v.Kind == plan.KindInt:
		want := binary.LittleEndian.AppendUint64(nil, uint64(v.Int))
		return !slices.ContainsFunc(m.Few, func(have []byte) bool { return bytes.Equal(have, want) })
	}
	return false
}

// bounds returns a column's least and greatest value; no constant where it is not known.
func (m *columnMeta) bounds() (lo, hi plan.Value) {
	switch {
	case m.Type == schema.VarChar:
		if m.Min != nil {
			lo = plan.StringValue(string(m.Min)) // a prefix of the least value is not above it
		}
		if m.Max != nil {
			hi = plan.StringValue(string(m.Max))
		}
	case len(m.Min) != 8 || len(m.Max) != 8:
	case m.Type == schema.Bool:
		lo, hi = plan.BoolValue(m.Min[0] != 0), plan.BoolValue(m.Max[0] != 0)
	case m.Type.IsInt():
		lo, hi = plan.IntValue(int64(binary.LittleEndian.Uint64(m.Min))), plan.IntValue(int64(binary.LittleEndian.Uint64(m.Max)))
	case m.Type == schema.Double || m.Type == schema.Float:
		lo = plan.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(m.Min)))
		hi = plan.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(m.Max)))
	}
	return lo, hi
}
