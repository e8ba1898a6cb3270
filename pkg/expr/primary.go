package expr

import (
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// prefix parses what an expression starts with: a unary operator, or a primary.
func (p *parser) prefix() (*term, error) {
	first := p.pos
	t, err := p.unary()
	if err != nil {
		return nil, err
	}
	t.first, t.last = first, p.pos
	return t, nil
}

func (p *parser) unary() (*term, error) {
	switch p.peek() {
	case tokNot:
		return p.not()
	case tokSub, tokAdd:
		return p.signed()
	case tokBitNot:
		p.pos++
		t, err := p.expr(bindUnary - 1)
		if err != nil {
			return nil, err
		}
		if t.form != constant || t.value.Kind != plan.KindInt {
			return nil, refuse("BitNot is not supported: ~%s", p.source(t))
		}
		return constTerm(plan.IntValue(^t.value.Int)), nil
	case tokExists:
		return p.exists()
	}
	return p.primary()
}

func (p *parser) not() (*term, error) {
	p.pos++
	t, err := p.expr(bindUnary - 1)
	if err != nil {
		return nil, err
	}
	n, ok := t.asPredicate()
	switch {
	case !ok:
		return nil, refuse("not op can only be applied on boolean expression")
	case t.sample:
		return nil, errSampleNotLast()
	}
	return predTerm(plan.Neg(n)), nil
}

func (p *parser) signed() (*term, error) {
	minus := p.peek() == tokSub
	p.pos++
	// The smallest int64 can only be read together with its sign.
	if minus && p.peek() == tokInt && binding(p.peekAt(1)) <= bindUnary {
		v, err := number(tokInt, "-", p.next())
		return constTerm(v), err
	}
	t, err := p.expr(bindUnary - 1)
	if err != nil {
		return nil, err
	}
	if t.form != constant || !t.value.Number() {
		sign := map[bool]string{true: "-", false: "+"}[minus]
		return nil, refuse("'%s' can only be applied on constant numbers: %s%s", sign, sign, p.source(t))
	}
	if minus {
		t.value.Int, t.value.Float = -t.value.Int, -t.value.Float
	}
	return constTerm(t.value), nil
}

func (p *parser) exists() (*term, error) {
	p.pos++
	t, err := p.expr(bindExists)
	if err != nil {
		return nil, err
	}
	if t.form != column || t.operand.Type != schema.JSON || t.operand.Length || t.arith != nil {
		return nil, refuse("exists operations are only supportted on json field, got:%s", t.typ())
	}
	return predTerm(&plan.Exists{Operand: t.operand}), nil
}

func constTerm(v plan.Value) *term { return &term{form: constant, value: v} }
func predTerm(n plan.Node) *term   { return &term{form: predicate, node: n} }
func colTerm(o plan.Operand) *term { return &term{form: column, operand: o} }

func (p *parser) primary() (*term, error) {
	switch k := p.peek(); k {
	case tokTrue, tokFalse:
		p.pos++
		return constTerm(plan.BoolValue(k == tokTrue)), nil
	case tokInt, tokFloat:
		v, err := number(k, "", p.next())
		return constTerm(v), err
	case tokString:
		return constTerm(plan.StringValue(unquote(p.next()))), nil
	case tokLParen:
		p.pos++
		t, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		return t, p.expect(tokRParen, ")")
	case tokLBracket:
		return p.list()
	case tokLBrace:
		return p.template()
	case tokMeta:
		return p.field()
	case tokIdent:
		switch p.peekAt(1) {
		case tokLParen:
			return p.call()
		case tokString:
			switch w := p.tokenText(p.pos); {
			case strings.EqualFold(w, "iso"):
				return p.moment()
			case strings.EqualFold(w, "interval"):
				return p.interval()
			}
		}
		return p.field()
	}
	return nil, p.unexpected(operandStarts)
}

// template replaces {name} by its value.
func (p *parser) template() (*term, error) {
	p.pos++
	if p.peek() != tokIdent {
		return nil, p.unexpected("Identifier")
	}
	name := p.next()
	if err := p.expect(tokRBrace, "}"); err != nil {
		return nil, err
	}
	v, ok := p.templates[name]
	if !ok || v.Kind == 0 {
		return nil, &refusal{bare: true, cause: "the value of expression template variable name {" + name + "} is not found"}
	}
	return constTerm(v), nil
}

// list parses `[a, b, c]`; the comma behind the last element may stay.
func (p *parser) list() (*term, error) {
	p.pos++
	var out []plan.Value
	for p.peek() != tokRBracket {
		v, err := p.element()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if p.peek() != tokComma {
			break
		}
		p.pos++
	}
	return constTerm(plan.ArrayValue(out...)), p.expect(tokRBracket, "]")
}

// element parses one list element. A literal takes the short way: lists are long.
func (p *parser) element() (plan.Value, error) {
	k, behind := p.peek(), p.peekAt(1)
	if behind == tokComma || behind == tokRBracket {
		switch k {
		case tokInt, tokFloat:
			return number(k, "", p.next())
		case tokString:
			return plan.StringValue(unquote(p.next())), nil
		}
	}
	t, err := p.expr(0)
	if err != nil {
		return plan.Value{}, err
	}
	if t.form != constant {
		return plan.Value{}, refuse("array element type must be generic value, but got: %s", p.source(t))
	}
	return t.value, nil
}

// field parses an identifier with its subscripts, and `is null` behind it.
func (p *parser) field() (*term, error) {
	first := p.pos
	name := p.next()
	o, err := p.resolve(name)
	if err != nil {
		return nil, err
	}
	for p.peek() == tokLBracket {
		if err := p.subscript(&o, first); err != nil {
			return nil, err
		}
	}
	switch k := p.peek(); k {
	case tokIsNull, tokIsNotNull:
		p.pos++
		if o.Type.IsVector() {
			return nil, refuse("IsNull/IsNotNull operations are not supported on vector fields")
		}
		n := plan.Node(&plan.IsNull{Operand: o})
		if k == tokIsNotNull {
			n = plan.Neg(n)
		}
		return predTerm(n), nil
	}
	return colTerm(o), nil
}

// resolve finds a field. A name that the schema does not know is a key of the dynamic field, if there is one.
func (p *parser) resolve(name string) (plan.Operand, error) {
	dyn := p.schema.DynamicField()
	if f := p.schema.Field(name); f != nil && !f.Dynamic {
		o := plan.Operand{Field: f.ID, Type: f.Type}
		if f.Type == schema.Array {
			o.Elem = f.Elem
		}
		return o, nil
	}
	if !p.schema.EnableDynamic || dyn == nil {
		return plan.Operand{}, refuse("field %s not exist", name)
	}
	o := plan.Operand{Field: dyn.ID, Type: schema.JSON}
	if name != schema.DynamicFieldName {
		o.Path = []string{name}
	}
	return o, nil
}

// subscript parses one `[..]` behind a field.
func (p *parser) subscript(o *plan.Operand, first int) error {
	p.pos++
	k, text := p.peek(), p.tokenText(p.pos)
	if (k == tokIdent || k == tokInt || k == tokString) && p.peekAt(1) == tokRBracket {
		p.pos += 2
	} else {
		return p.unexpected("{StringLiteral, IntegerConstant}")
	}
	whole := p.source(&term{first: first, last: p.pos})
	switch {
	case k == tokIdent:
		return refuse("struct field not found: %s, error: failed to get field schema by name: fieldName(%s) not found", whole, whole)
	case o.Type == schema.Array && (k != tokInt || o.Element):
		return refuse("can only access array field with integer index")
	case o.Type != schema.Array && o.Type != schema.JSON:
		return refuse("%s data type not supported accessed with []", o.Type)
	case k == tokString:
		o.Path = append(o.Path, unquote(text))
		return nil
	}
	v, err := number(tokInt, "", text)
	if err != nil {
		return err
	}
	if v.Int > 1<<31-1 {
		return refuse("index %d is too large: %s", v.Int, whole)
	}
	if o.Type == schema.Array {
		o.Element, o.Index = true, int(v.Int)
	} else {
		o.Path = append(o.Path, strconv.FormatInt(v.Int, 10))
	}
	return nil
}
