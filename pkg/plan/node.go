package plan

import "github.com/gyr-db/gyr/pkg/schema"

// Node is one of the node types of this file.
type Node interface{ isNode() }

// Const selects every row or none.
type Const struct{ Value bool }

// And is true where all terms are true and false where one is false.
type And struct{ Terms []Node }

// Or is true where one term is true and false where all are false.
type Or struct{ Terms []Node }

// Not swaps true and false; unknown stays unknown.
type Not struct{ Term Node }

// Compare is `operand op value`, or `(operand arith) op value`.
type Compare struct {
	Operand Operand
	Arith   *Arith
	Op      CmpOp
	Value   Value
}

// Range is `lo < operand < hi`, with either bound inclusive or not.
type Range struct {
	Operand      Operand
	Lo, Hi       Value
	LoInc, HiInc bool
}

// In is true where the operand equals one of the values. The order and repetition of values are kept.
type In struct {
	Operand Operand
	Values  []Value
}

// Like matches a whole string against a pattern: % any text, _ one character, backslash before either a literal one.
type Like struct {
	Operand Operand
	Pattern string
}

// CompareColumns compares two scalar columns row by row.
type CompareColumns struct {
	Left, Right Operand
	Op          CmpOp
}

// Contains asks which of the values are elements of an array (a column or a JSON array).
type Contains struct {
	Operand Operand
	Mode    ContainsMode
	Values  []Value
}

// Exists is true where a JSON path leads to something other than null.
type Exists struct{ Operand Operand }

// IsNull is true where the operand has no value. A missing JSON key has none, nor has a JSON null.
type IsNull struct{ Operand Operand }

func (Const) isNode()           {}
func (*And) isNode()            {}
func (*Or) isNode()             {}
func (*Not) isNode()            {}
func (*Compare) isNode()        {}
func (*Range) isNode()          {}
func (*In) isNode()             {}
func (*Like) isNode()           {}
func (*CompareColumns) isNode() {}
func (*Contains) isNode()       {}
func (*Exists) isNode()         {}
func (*IsNull) isNode()         {}

// CmpOp is a comparison operator.
type CmpOp uint8

// Comparison operators.
const (
	EQ CmpOp = iota + 1
	NE
	LT
	LE
	GT
	GE
)

// Flip returns the operator for swapped sides.
func (op CmpOp) Flip() CmpOp {
	switch op {
	case LT:
		return GT
	case LE:
		return GE
	case GT:
		return LT
	case GE:
		return LE
	}
	return op
}

func (op CmpOp) String() string {
	if op < EQ || op > GE {
		return "?"
	}
	return [...]string{"==", "!=", "<", "<=", ">", ">="}[op-EQ]
}

// ArithOp is an arithmetic operator between an operand and a constant.
type ArithOp uint8

// Arithmetic operators. Integer division truncates towards zero and Mod takes the sign of the left side; an integer
// result that does not fit in 64 bits is unknown.
const (
	Add ArithOp = iota + 1
	Sub
	Mul
	Div
	Mod
)

func (op ArithOp) String() string {
	if op < Add || op > Mod {
		return "?"
	}
	return [...]string{"+", "-", "*", "/", "%"}[op-Add]
}

// Arith is `operand op value`. Value is no zero for Div and Mod.
type Arith struct {
	Op    ArithOp
	Value Value
}

// ContainsMode says how many of the values an array must hold.
type ContainsMode uint8

// Modes of Contains. ContainsAll of no values is true for every array, ContainsAny of none for no array.
const (
	ContainsOne ContainsMode = iota + 1 // the only value
	ContainsAll
	ContainsAny
)

// Operand names what a comparison looks at.
type Operand struct {
	Field int64
	Type  schema.Type // the column's type
	Elem  schema.Type // of an Array column
	// Path leads into a JSON document. A step is an object's key or, for arrays, an index in decimal.
	Path []string
	// Element: the element at Index of an Array column, otherwise the whole.
	Element bool
	Index   int
	// Length: the number of elements of an array column, or of the JSON array that Path names.
	Length bool
}

// ValueType is the type of what the operand yields: JSON and Array stand for themselves, a length is an Int64.
func (o *Operand) ValueType() schema.Type {
	switch {
	case o.Length:
		return schema.Int64
	case o.Type == schema.Array && o.Element:
		return o.Elem
	}
	return o.Type
}

// Conj returns the conjunction of terms, flattened and freed of constants.
func Conj(terms ...Node) Node {
	var out []Node
	for _, t := range terms {
		switch t := t.(type) {
		case Const:
			if !t.Value {
				return t
			}
		case *And:
			out = append(out, t.Terms...)
		default:
			out = append(out, t)
		}
	}
	switch len(out) {
	case 0:
		return Const{Value: true}
	case 1:
		return out[0]
	}
	return &And{Terms: out}
}

// Disj returns the disjunction of terms, flattened and freed of constants.
func Disj(terms ...Node) Node {
	var out []Node
	for _, t := range terms {
		switch t := t.(type) {
		case Const:
			if t.Value {
				return t
			}
		case *Or:
			out = append(out, t.Terms...)
		default:
			out = append(out, t)
		}
	}
	switch len(out) {
	case 0:
		return Const{}
	case 1:
		return out[0]
	}
	return &Or{Terms: out}
}

// Neg returns the negation of a term, without double negations.
func Neg(term Node) Node {
	switch t := term.(type) {
	case Const:
		return Const{Value: !t.Value}
	case *Not:
		return t.Term
	}
	return &Not{Term: term}
}
