package segment

import (
	"encoding/binary"
	"math"

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
		for _, v := range n.Values {
			if !s.outside(&n.Operand, plan.EQ, v) {
				return false
			}
		}
		return true
	}
	return false
}

// outside reports whether no value of a column can satisfy `column op v`.
func (s *Sealed) outside(o *plan.Operand, op plan.CmpOp, v plan.Value) bool {
	l := s.columns[o.Field]
	if l == nil || o.Element || o.Length || len(o.Path) > 0 {
		return false
	}
	if l.meta.Nulls == s.Rows() {
		return true // a comparison with null is never true
	}
	lo, hi := l.meta.bounds()
	fails := func(op plan.CmpOp, bound plan.Value) bool {
		holds, ok := plan.Holds(op, bound, v)
		return bound.Kind != 0 && ok && !holds
	}
	switch op {
	case plan.EQ:
		return fails(plan.LE, lo) || fails(plan.GE, hi)
	case plan.LT, plan.LE:
		return fails(op, lo)
	case plan.GT, plan.GE:
		return fails(op, hi)
	}
	return false
}

// bounds returns a column's least and greatest value; no constant where it is not known. Single floats are left out:
// rounding a constant to their precision could move it across a bound.
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
	case m.Type.IsInt():
		lo, hi = plan.IntValue(int64(binary.LittleEndian.Uint64(m.Min))), plan.IntValue(int64(binary.LittleEndian.Uint64(m.Max)))
	case m.Type == schema.Double:
		lo = plan.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(m.Min)))
		hi = plan.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(m.Max)))
	}
	return lo, hi
}
