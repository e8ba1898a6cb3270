package plan

import (
	"fmt"
	"strconv"
	"strings"
)

// listShown is the number of list elements that a rendering shows.
const listShown = 8

func render(n Node) string {
	switch n := n.(type) {
	case Const:
		return strconv.FormatBool(n.Value)
	case *And:
		return renderTerms(n.Terms, " and ")
	case *Or:
		return renderTerms(n.Terms, " or ")
	case *Not:
		return "not (" + render(n.Term) + ")"
	case *Compare:
		left := n.Operand.String()
		if n.Arith != nil {
			left = fmt.Sprintf("%s %s %s", left, n.Arith.Op, n.Arith.Value)
		}
		return fmt.Sprintf("%s %s %s", left, n.Op, n.Value)
	case *Range:
		return fmt.Sprintf("%s <%s %s <%s %s", n.Lo, equals(n.LoInc), &n.Operand, equals(n.HiInc), n.Hi)
	case *In:
		return n.Operand.String() + " in " + renderList(n.Values)
	case *Like:
		return n.Operand.String() + " like " + strconv.Quote(n.Pattern)
	case *CompareColumns:
		return fmt.Sprintf("%s %s %s", &n.Left, n.Op, &n.Right)
	case *Contains:
		name := [...]string{"?", "contains", "contains_all", "contains_any"}[n.Mode]
		return fmt.Sprintf("%s(%s, %s)", name, &n.Operand, renderList(n.Values))
	case *Exists:
		return "exists " + n.Operand.String()
	case *IsNull:
		return n.Operand.String() + " is null"
	}
	return "?"
}

func equals(inclusive bool) string {
	if inclusive {
		return "="
	}
	return ""
}

func renderTerms(terms []Node, sep string) string {
	parts := make([]string, 0, min(len(terms), listShown+1))
	for i, t := range terms {
		if i == listShown {
			parts = append(parts, fmt.Sprintf("... %d more", len(terms)-i))
			break
		}
		parts = append(parts, render(t))
	}
	return "(" + strings.Join(parts, sep) + ")"
}

func renderList(vs []Value) string {
	parts := make([]string, 0, min(len(vs), listShown+1))
	for i := range vs {
		if i == listShown {
			parts = append(parts, fmt.Sprintf("... %d more", len(vs)-i))
			break
		}
		parts = append(parts, vs[i].String())
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// String renders the operand with its field as f<id>.
func (o *Operand) String() string {
	s := "f" + strconv.FormatInt(o.Field, 10)
	for _, step := range o.Path {
		s += "[" + strconv.Quote(step) + "]"
	}
	if o.Element {
		s += "[" + strconv.Itoa(o.Index) + "]"
	}
	if o.Length {
		s = "array_length(" + s + ")"
	}
	return s
}
