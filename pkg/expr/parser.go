package expr

import (
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Binding strengths of binary operators, weakest first.
const (
	bindOr = iota + 1
	bindAnd
	bindBitOr
	bindBitXor
	bindBitAnd
	bindEquality
	bindRelation
	bindIn
	bindShift
	bindAdd
	bindMul
	bindUnary
	bindPow
	bindLike
	bindExists
)

// binding returns how strongly a token binds as a binary operator, 0 if it is none.
func binding(k kind) int {
	switch k {
	case tokOr:
		return bindOr
	case tokAnd:
		return bindAnd
	case tokBitOr:
		return bindBitOr
	case tokBitXor:
		return bindBitXor
	case tokBitAnd:
		return bindBitAnd
	case tokEQ, tokNE:
		return bindEquality
	case tokLT, tokLE, tokGT, tokGE:
		return bindRelation
	case tokIn, tokNot: // `not` in this place can only be `not in`
		return bindIn
	case tokShl, tokShr:
		return bindShift
	case tokAdd, tokSub:
		return bindAdd
	case tokMul, tokDiv, tokMod:
		return bindMul
	case tokPow:
		return bindPow
	case tokLike, tokRegex, tokNotRegex:
		return bindLike
	}
	return 0
}

// parser reads tokens from left to right; pos is the next one.
type parser struct {
	text      string
	schema    *schema.Schema
	templates map[string]plan.Value
	zone      *time.Location // of times without an offset
	toks      []token
	pos       int
	depth     int
}

// form says what a term is.
type form uint8

const (
	constant  form = iota + 1
	column         // operand, perhaps with arithmetic
	predicate      // node
)

// term is a parsed part of the filter, tokens first to last-1.
type term struct {
	form        form
	value       plan.Value
	operand     plan.Operand
	arith       *plan.Arith
	node        plan.Node
	sample      bool // a conjunction that ends in random_sample
	first, last int
}

func (p *parser) parse() (plan.Node, error) {
	toks, err := lex(p.text)
	if err != nil {
		return nil, err
	}
	p.toks = toks
	t, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if p.peek() != tokEOF {
		return nil, refuse("invalid expression: %s", p.shown())
	}
	if t.sample {
		return nil, unsupported("random_sample")
	}
	if n, ok := t.asPredicate(); ok {
		return n, nil
	}
	return nil, &refusal{
		bare:  true,
		cause: "predicate is not a boolean expression: " + p.source(t) + ", data type: " + t.typ().String(),
	}
}

func (p *parser) peek() kind { return p.toks[p.pos].kind }

func (p *parser) peekAt(n int) kind { return p.toks[min(p.pos+n, len(p.toks)-1)].kind }

func (p *parser) tokenText(i int) string { return p.text[p.toks[i].start:p.toks[i].end] }

// next consumes a token and returns its text.
func (p *parser) next() string {
	s := p.tokenText(p.pos)
	if p.peek() != tokEOF {
		p.pos++
	}
	return s
}

func (p *parser) shown() string {
	if len(p.text) > maxShown {
		return strings.ToValidUTF8(p.text[:maxShown], "") + "..."
	}
	return p.text
}

// source returns a term's text without spaces, as error texts want it.
func (p *parser) source(t *term) string {
	var b strings.Builder
	for i := t.first; i < t.last && b.Len() < maxShown; i++ {
		b.WriteString(p.tokenText(i))
	}
	return b.String()
}

// unexpected reports the next token where one of others was needed.
func (p *parser) unexpected(expecting string) error {
	tok := p.toks[p.pos]
	text := p.tokenText(p.pos)
	if tok.kind == tokEOF {
		text = "<EOF>"
	}
	if len(text) > 256 {
		text = strings.ToValidUTF8(text[:256], "") + "..."
	}
	return refuse("%s mismatched input '%s' expecting %s", position(p.text, int(tok.start)), text, expecting)
}

func (p *parser) expect(k kind, name string) error {
	if p.peek() != k {
		return p.unexpected("'" + name + "'")
	}
	p.pos++
	return nil
}

const operandStarts = "{'(', '[', '{', '+', '-', '~', '!', 'not', 'exists', BooleanConstant, IntegerConstant, " +
	"FloatingConstant, Identifier, Meta, StringLiteral, JSONIdentifier}"

// expr parses operators that bind more strongly than `floor`, from left to right.
func (p *parser) expr(floor int) (*term, error) {
	if p.depth++; p.depth > MaxDepth {
		return nil, refuse("expression is nested more than %d levels deep", MaxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.prefix()
	for err == nil {
		k := p.peek()
		b := binding(k)
		if b <= floor || (k == tokNot && p.peekAt(1) != tokIn) {
			return left, nil
		}
		if b == bindOr || b == bindAnd {
			left, err = p.junction(left, b)
			continue
		}
		left, err = p.binary(left, b)
	}
	return nil, err
}

// junction parses a whole chain of `and` or of `or`, so that a long chain is one flat node.
func (p *parser) junction(left *term, bind int) (*term, error) {
	out := &term{form: predicate, first: left.first}
	var terms []plan.Node
	word := "and"
	if bind == bindOr {
		word = "or"
	}
	for t := left; ; {
		n, ok := t.asPredicate()
		if !ok {
			return nil, refuse("'%s' can only be used between boolean expressions", word)
		}
		terms = append(terms, n)
		again := binding(p.peek()) == bind
		if out.sample = t.sample; t.sample && (again || bind == bindOr) {
			return nil, errSampleNotLast()
		}
		if !again {
			break
		}
		p.pos++
		var err error
		if t, err = p.expr(bind); err != nil {
			return nil, err
		}
	}
	if bind == bindOr {
		out.node = plan.Disj(terms...)
	} else {
		out.node = plan.Conj(terms...)
	}
	out.last = p.pos
	return out, nil
}

func errSampleNotLast() error {
	return refuse("random sample expression can only be the last expression in the logical and expression")
}

// binary parses the operator and right side behind left.
func (p *parser) binary(left *term, bind int) (*term, error) {
	op := p.peek()
	p.pos++
	negated := op == tokNot
	if negated {
		p.pos++ // the `in` behind it
	}
	right, err := p.expr(bind)
	if err != nil {
		return nil, err
	}
	if bind == bindRelation && right.form == column && right.arith == nil && sameDirection(op, p.peek()) {
		return p.chain(left, op, right)
	}
	var out *term
	switch bind {
	case bindEquality, bindRelation:
		out, err = p.compare(compareOp(op), left, right)
	case bindIn:
		out, err = p.in(left, right, negated)
	case bindShift, bindPow:
		out, err = p.constants(op, left, right)
	case bindAdd, bindMul:
		out, err = p.arithmetic(arithOp(op), left, right)
	case bindLike:
		out, err = p.like(op, left, right)
	default:
		name := map[int]string{bindBitAnd: "BitAnd", bindBitOr: "BitOr", bindBitXor: "BitXor"}[bind]
		return nil, refuse("%s is not supported: %s", name, p.source(&term{first: left.first, last: right.last}))
	}
	if err != nil {
		return nil, err
	}
	out.first, out.last = left.first, right.last
	return out, nil
}

// chain parses the second half of `lo < field < hi`, or of the same with greater signs.
func (p *parser) chain(left *term, op kind, mid *term) (*term, error) {
	second := p.peek()
	p.pos++
	right, err := p.expr(bindRelation)
	if err != nil {
		return nil, err
	}
	lo, hi := left, right
	loInc, hiInc := op == tokLE, second == tokLE
	if op == tokGT || op == tokGE {
		lo, hi = right, left
		loInc, hiInc = second == tokGE, op == tokGE
	}
	out, err := p.between(lo, mid, hi, loInc, hiInc)
	if err != nil {
		return nil, err
	}
	out.first, out.last = left.first, right.last
	return out, nil
}

func sameDirection(a, b kind) bool {
	less := func(k kind) bool { return k == tokLT || k == tokLE }
	greater := func(k kind) bool { return k == tokGT || k == tokGE }
	return (less(a) && less(b)) || (greater(a) && greater(b))
}

func compareOp(k kind) plan.CmpOp {
	switch k {
	case tokEQ:
		return plan.EQ
	case tokNE:
		return plan.NE
	case tokLT:
		return plan.LT
	case tokLE:
		return plan.LE
	case tokGT:
		return plan.GT
	}
	return plan.GE
}

func arithOp(k kind) plan.ArithOp {
	switch k {
	case tokAdd:
		return plan.Add
	case tokSub:
		return plan.Sub
	case tokMul:
		return plan.Mul
	case tokDiv:
		return plan.Div
	}
	return plan.Mod
}

// asPredicate returns the term as a condition: a predicate, or a constant true or false.
func (t *term) asPredicate() (plan.Node, bool) {
	switch {
	case t.form == predicate:
		return t.node, true
	case t.form == constant && t.value.Kind == plan.KindBool:
		return plan.Const{Value: t.value.Bool}, true
	}
	return nil, false
}

// typ returns the data type that error texts name.
func (t *term) typ() schema.Type {
	switch t.form {
	case constant:
		return t.value.Type()
	case column:
		return t.operand.ValueType()
	}
	return schema.Bool
}
