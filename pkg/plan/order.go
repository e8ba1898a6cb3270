package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/schema"
)

// The stretches of a column's order that comparisons, ranges, lists and prefixes stand for. Numbers that are no numbers
// have no place in an order: columns that hold one get no ordered index, and tests with one scan.

type ordered interface {
	~int64 | ~float32 | ~float64 | ~string
}

func spansOf[T ordered](v []T, pairs [][2]bound[T]) []span {
	out := make([]span, len(pairs))
	for i, p := range pairs {
		lo, hi := p[0], p[1]
		out[i] = span{
			below: func(r uint32) bool { return lo.set && (v[r] < lo.at || (lo.open && v[r] == lo.at)) },
			above: func(r uint32) bool { return hi.set && (v[r] > hi.at || (hi.open && v[r] == hi.at)) },
		}
	}
	return out
}

// bound is an end of a stretch; unset it is no limit.
type bound[T cmp.Ordered] struct {
	at   T
	open bool // without the value itself
	set  bool
}

// comparePairs are the stretches of `v op c`.
func comparePairs[T ordered](op CmpOp, c T) [][2]bound[T] {
	at, beyond, none := bound[T]{at: c, set: true}, bound[T]{at: c, set: true, open: true}, bound[T]{}
	switch op {
	case EQ:
		return [][2]bound[T]{{at, at}}
	case NE:
		return [][2]bound[T]{{none, beyond}, {beyond, none}}
	case LT:
		return [][2]bound[T]{{none, beyond}}
	case LE:
		return [][2]bound[T]{{none, at}}
	case GT:
		return [][2]bound[T]{{beyond, none}}
	}
	return [][2]bound[T]{{at, none}}
}

func compareSpans(n *Compare) func(*schema.Column) []span {
	c, op := n.Value, n.Op
	if c.Float != c.Float {
		return nil
	}
	return func(col *schema.Column) []span {
		switch t := col.Type; {
		case t.IsInt():
			return spansOf(col.Ints, comparePairs(op, c.Int))
		case t == schema.Float:
			return spansOf(col.Floats, comparePairs(op, float32(c.Float)))
		case t == schema.Double:
			return spansOf(col.Doubles, comparePairs(op, c.Float))
		}
		return spansOf(col.Strings, comparePairs(op, c.Str))
	}
}

func rangePair[T ordered](n *Range, lo, hi T) [][2]bound[T] {
	return [][2]bound[T]{{{at: lo, set: true, open: !n.LoInc}, {at: hi, set: true, open: !n.HiInc}}}
}

func rangeSpans(n *Range) func(*schema.Column) []span {
	if n.Lo.Float != n.Lo.Float || n.Hi.Float != n.Hi.Float {
		return nil
	}
	return func(col *schema.Column) []span {
		switch t := col.Type; {
		case t.IsInt():
			return spansOf(col.Ints, rangePair(n, n.Lo.Int, n.Hi.Int))
		case t == schema.Float:
			return spansOf(col.Floats, rangePair(n, float32(n.Lo.Float), float32(n.Hi.Float)))
		case t == schema.Double:
			return spansOf(col.Doubles, rangePair(n, n.Lo.Float, n.Hi.Float))
		}
		return spansOf(col.Strings, rangePair(n, n.Lo.Str, n.Hi.Str))
	}
}

// listSpans are the stretches of a list of distinct values.
func listSpans[T ordered](list []T, get func(*schema.Column) []T) func(*schema.Column) []span {
	if slices.ContainsFunc(list, func(x T) bool { return x != x }) {
		return nil
	}
	return func(c *schema.Column) []span {
		pairs := make([][2]bound[T], len(list))
		for i, x := range list {
			pairs[i] = [2]bound[T]{{at: x, set: true}, {at: x, set: true}}
		}
		return spansOf(get(c), pairs)
	}
}

// prefixSpans is the stretch of a pattern of the form text%; nil for every other pattern.
func prefixSpans(p *pattern) func(*schema.Column) []span {
	prefix, ok := p.onlyPrefix()
	if !ok {
		return nil
	}
	return func(c *schema.Column) []span {
		v := c.Strings
		return []span{{
			below: func(r uint32) bool { return v[r] < prefix },
			above: func(r uint32) bool { return v[r] > prefix && !strings.HasPrefix(v[r], prefix) },
		}}
	}
}

// onlyPrefix returns the text of a pattern `text%`.
func (p *pattern) onlyPrefix() (string, bool) {
	ok := p.open && len(p.pieces) == 2 && p.pieces[0].runs == nil && p.pieces[1].runs == nil && p.pieces[1].text == ""
	if !ok {
		return "", false
	}
	return p.pieces[0].text, true
}
