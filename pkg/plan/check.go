package plan

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/schema"
)

// Bounds of a plan. They keep recursion and memory small for plans from foreign bytes.
const (
	maxDepth      = 512
	maxNodes      = 1 << 18
	maxPath       = 256
	maxIndex      = 1<<31 - 1
	maxValueDepth = 256
	maxValues     = 1 << 21
)

// checker verifies that a tree is one that evaluation understands, and collects the columns that it reads.
type checker struct {
	fields map[int64]*fieldUse
	nodes  int
	values int
}

// count adds to the number of constants in lists.
func (c *checker) count(n int) error {
	if c.values += n; c.values > maxValues {
		return fmt.Errorf("plan has more than %d constants in lists", maxValues)
	}
	return nil
}

func (c *checker) node(n Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("plan is deeper than %d levels", maxDepth)
	}
	if c.nodes++; c.nodes > maxNodes {
		return fmt.Errorf("plan has more than %d nodes", maxNodes)
	}
	switch n := n.(type) {
	case Const:
		return nil
	case *And:
		return c.terms(n.Terms, depth)
	case *Or:
		return c.terms(n.Terms, depth)
	case *Not:
		return c.node(n.Term, depth+1)
	case *Compare:
		return c.compare(n)
	case *Range:
		return c.rangeNode(n)
	case *In:
		return c.in(n)
	case *Like:
		return c.like(n)
	case *CompareColumns:
		return c.columns(n)
	case *Contains:
		return c.contains(n)
	case *Exists:
		if n.Operand.Type != schema.JSON || n.Operand.Length {
			return fmt.Errorf("exists of a %s", n.Operand.ValueType())
		}
		return c.operand(&n.Operand)
	case *IsNull:
		if n.Operand.Length {
			return fmt.Errorf("is null of a length")
		}
		return c.operand(&n.Operand)
	}
	return fmt.Errorf("unknown node %T", n)
}

func (c *checker) terms(terms []Node, depth int) error {
	for _, t := range terms {
		if err := c.node(t, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) operand(o *Operand) error {
	scalar := o.Type == schema.Bool || o.Type.IsInt() || o.Type == schema.Float || o.Type == schema.Double ||
		o.Type == schema.VarChar
	elem := o.Elem == schema.Bool || o.Elem.IsInt() || o.Elem == schema.Float || o.Elem == schema.Double ||
		o.Elem == schema.VarChar
	switch {
	case o.Type == schema.Array && !elem:
		return fmt.Errorf("field %d: array of %s", o.Field, o.Elem)
	case o.Type != schema.Array && (o.Elem != 0 || o.Element):
		return fmt.Errorf("field %d: element of a %s", o.Field, o.Type)
	case o.Type != schema.Array && o.Type != schema.JSON && !scalar:
		return fmt.Errorf("field %d: no filter on a %s", o.Field, o.Type)
	case o.Type != schema.JSON && len(o.Path) > 0:
		return fmt.Errorf("field %d: path into a %s", o.Field, o.Type)
	case o.Length && (scalar || o.Element):
		return fmt.Errorf("field %d: length of a %s", o.Field, o.Type)
	case o.Index < 0 || o.Index > maxIndex || (!o.Element && o.Index != 0):
		return fmt.Errorf("field %d: index %d", o.Field, o.Index)
	case len(o.Path) > maxPath:
		return fmt.Errorf("field %d: path of %d steps", o.Field, len(o.Path))
	}
	use := c.fields[o.Field]
	if use == nil {
		use = &fieldUse{id: o.Field, typ: o.Type, elem: o.Elem}
		c.fields[o.Field] = use
	}
	if use.typ != o.Type || use.elem != o.Elem {
		return fmt.Errorf("field %d: both %s and %s", o.Field, use.typ, o.Type)
	}
	if len(o.Path) > 0 {
		use.paths = append(use.paths, o)
	} else if !scalar {
		use.whole = true
	}
	return nil
}

// value checks that v is of the kind that a comparison with an operand of type t takes.
func value(v *Value, t, elem schema.Type) error {
	want := Kind(0)
	switch {
	case t == schema.Bool:
		want = KindBool
	case t.IsInt():
		want = KindInt
	case t == schema.Float || t == schema.Double:
		want = KindFloat
	case t == schema.VarChar:
		want = KindString
	case t == schema.Array:
		want = KindArray
	case t == schema.JSON:
		return anyValue(v, 0)
	}
	if v.Kind != want || want == 0 {
		return fmt.Errorf("constant %s for a %s", *v, t)
	}
	if t == schema.Array {
		for i := range v.Array {
			if err := value(&v.Array[i], elem, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func anyValue(v *Value, depth int) error {
	if v.Kind < KindBool || v.Kind > KindArray {
		return fmt.Errorf("constant of kind %d", v.Kind)
	}
	if depth > maxValueDepth {
		return fmt.Errorf("list is deeper than %d levels", maxValueDepth)
	}
	for i := range v.Array {
		if err := anyValue(&v.Array[i], depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) compare(n *Compare) error {
	if err := c.operand(&n.Operand); err != nil {
		return err
	}
	if n.Op < EQ || n.Op > GE {
		return fmt.Errorf("comparison operator %d", n.Op)
	}
	t := n.Operand.ValueType()
	if n.Arith != nil {
		if err := c.arith(n.Arith, t); err != nil {
			return err
		}
		if !n.Value.Number() {
			return fmt.Errorf("constant %s for arithmetic", n.Value)
		}
	}
	if n.Value.Kind == KindArray && n.Op != EQ && n.Op != NE {
		return fmt.Errorf("arrays have no order for %s", n.Op)
	}
	return value(&n.Value, t, n.Operand.Elem)
}

func (c *checker) arith(a *Arith, t schema.Type) error {
	if a.Op < Add || a.Op > Mod {
		return fmt.Errorf("arithmetic operator %d", a.Op)
	}
	if !a.Value.Number() || (!t.IsInt() && t != schema.Float && t != schema.Double && t != schema.JSON) {
		return fmt.Errorf("arithmetic between %s and %s", t, a.Value)
	}
	if a.Op == Mod && (a.Value.Kind != KindInt || t == schema.Float || t == schema.Double) {
		return fmt.Errorf("modulo between %s and %s", t, a.Value)
	}
	if (a.Op == Div || a.Op == Mod) && a.Value.AsFloat() == 0 {
		return fmt.Errorf("division by zero")
	}
	return value(&a.Value, t, 0)
}

func (c *checker) rangeNode(n *Range) error {
	if err := c.operand(&n.Operand); err != nil {
		return err
	}
	t := n.Operand.ValueType()
	if t == schema.Array || n.Lo.Kind == KindArray || n.Hi.Kind == KindArray {
		return fmt.Errorf("range over arrays")
	}
	if n.Lo.Kind != n.Hi.Kind && !(n.Lo.Number() && n.Hi.Number()) {
		return fmt.Errorf("range from %s to %s", n.Lo, n.Hi)
	}
	if err := value(&n.Lo, t, 0); err != nil {
		return err
	}
	return value(&n.Hi, t, 0)
}

func (c *checker) in(n *In) error {
	if err := c.operand(&n.Operand); err != nil {
		return err
	}
	if err := c.count(len(n.Values)); err != nil {
		return err
	}
	t := n.Operand.ValueType()
	if t == schema.Array {
		return fmt.Errorf("in over arrays")
	}
	for i := range n.Values {
		if err := value(&n.Values[i], t, 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) like(n *Like) error {
	if t := n.Operand.ValueType(); t != schema.VarChar && t != schema.JSON {
		return fmt.Errorf("like over a %s", t)
	}
	return c.operand(&n.Operand)
}

func (c *checker) columns(n *CompareColumns) error {
	for _, o := range []*Operand{&n.Left, &n.Right} {
		if err := c.operand(o); err != nil {
			return err
		}
		if o.Type == schema.JSON || o.ValueType() == schema.Array {
			return fmt.Errorf("comparison of columns of %s", o.Type)
		}
		c.fields[o.Field].whole = true
	}
	if n.Op < EQ || n.Op > GE {
		return fmt.Errorf("comparison operator %d", n.Op)
	}
	if l, r := valueClass(&n.Left), valueClass(&n.Right); l != r {
		return fmt.Errorf("comparison of %s and %s", n.Left.ValueType(), n.Right.ValueType())
	}
	return nil
}

// valueClass groups the types that compare with each other.
func valueClass(o *Operand) Kind {
	switch t := o.ValueType(); {
	case t == schema.Bool:
		return KindBool
	case t == schema.VarChar:
		return KindString
	default:
		return KindFloat
	}
}

func (c *checker) contains(n *Contains) error {
	if n.Mode < ContainsOne || n.Mode > ContainsAny || (n.Mode == ContainsOne && len(n.Values) != 1) {
		return fmt.Errorf("contains mode %d of %d values", n.Mode, len(n.Values))
	}
	t := n.Operand.ValueType()
	if n.Operand.Length || (t != schema.Array && t != schema.JSON) {
		return fmt.Errorf("contains over a %s", t)
	}
	if err := c.operand(&n.Operand); err != nil {
		return err
	}
	if err := c.count(len(n.Values)); err != nil {
		return err
	}
	elem := n.Operand.Elem
	if t == schema.JSON {
		elem = schema.JSON
	}
	for i := range n.Values {
		if err := value(&n.Values[i], elem, 0); err != nil {
			return err
		}
	}
	return nil
}
