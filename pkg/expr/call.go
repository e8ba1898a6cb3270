package expr

import (
	"strings"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// call parses a function. Names are all-lower or all-upper.
func (p *parser) call() (*term, error) {
	name := p.next()
	lower := strings.ToLower(name)
	if name != lower && name != strings.ToUpper(name) {
		return nil, refuse("function %s not found", name)
	}
	switch lower {
	case "json_contains", "array_contains":
		return p.contains(plan.ContainsOne)
	case "json_contains_all", "array_contains_all":
		return p.contains(plan.ContainsAll)
	case "json_contains_any", "array_contains_any":
		return p.contains(plan.ContainsAny)
	case "array_length":
		return p.length()
	case "random_sample":
		return p.sample()
	case "text_match", "phrase_match":
		return p.textMatch(lower)
	case "element_filter", "match_all", "match_any", "match_least", "match_most", "match_exact":
		return nil, unsupported(lower)
	}
	if strings.HasPrefix(lower, "st_") {
		return nil, unsupported(lower)
	}
	return nil, refuse("function %s not found", name)
}

// arguments parses `(a, b, ..)` with exactly n arguments.
func (p *parser) arguments(n int) ([]*term, error) {
	p.pos++
	args := make([]*term, n)
	for i := range args {
		if i > 0 {
			if err := p.expect(tokComma, ","); err != nil {
				return nil, err
			}
		}
		t, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		args[i] = t
	}
	return args, p.expect(tokRParen, ")")
}

func (p *parser) contains(mode plan.ContainsMode) (*term, error) {
	args, err := p.arguments(2)
	if err != nil {
		return nil, err
	}
	col, c := args[0], args[1]
	t := col.typ()
	if col.form != column || col.arith != nil || (t != schema.JSON && t != schema.Array) {
		return nil, refuse("contains operation are only supported on json or array fields now, got: %s", p.source(col))
	}
	if c.form != constant {
		return nil, refuse("contains operation element must be a constant, got: %s", p.source(c))
	}
	values := []plan.Value{c.value}
	if mode != plan.ContainsOne {
		if c.value.Kind != plan.KindArray {
			word := map[plan.ContainsMode]string{plan.ContainsAll: "ContainsAll", plan.ContainsAny: "ContainsAny"}[mode]
			return nil, refuse("%s operation element must be an array", word)
		}
		values = c.value.Array
	}
	elem := col.operand.Elem
	if t == schema.JSON {
		elem = schema.JSON
	}
	out := make([]plan.Value, len(values))
	for i, v := range values {
		e, ok := cast(v, elem, 0)
		if !ok {
			return nil, errCast(v, elem)
		}
		out[i] = e
	}
	return predTerm(&plan.Contains{Operand: col.operand, Mode: mode, Values: out}), nil
}

func (p *parser) length() (*term, error) {
	first := p.pos - 1
	args, err := p.arguments(1)
	if err != nil {
		return nil, err
	}
	col := args[0]
	if t := col.typ(); col.form != column || col.arith != nil || (t != schema.JSON && t != schema.Array) {
		return nil, refuse("array_length operation are only supported on json, array or array-of-vector fields now, got: %s",
			p.source(&term{first: first, last: p.pos}))
	}
	out := colTerm(col.operand)
	out.operand.Length = true
	return out, nil
}

// sample checks random_sample's factor. The term is refused as unsupported once its place turns out to be right.
func (p *parser) sample() (*term, error) {
	args, err := p.arguments(1)
	if err != nil {
		return nil, err
	}
	const margin = 1e-10
	c := args[0]
	if f := c.value.AsFloat(); c.form != constant || !c.value.Number() || f < margin || f > 1-margin {
		return nil, refuse("the sample factor should be between 0 and 1 and not too close to 0 or 1"+
			"(the difference should be larger than 1e-10), but got %s", p.source(c))
	}
	out := predTerm(plan.Const{Value: true})
	out.sample = true
	return out, nil
}

// textMatch checks the field of a text function and then refuses it: there is no text index.
func (p *parser) textMatch(name string) (*term, error) {
	p.pos++
	if k := p.peek(); k != tokIdent && k != tokMeta {
		return nil, p.unexpected("Identifier")
	}
	ident := p.next()
	o, err := p.resolve(ident)
	if err != nil {
		return nil, err
	}
	if o.Type != schema.VarChar {
		what := map[string]string{"text_match": "text match", "phrase_match": "phrase match"}[name]
		return nil, refuse("%s operation on non-string is unsupported", what)
	}
	for _, kv := range p.schema.FieldByID(o.Field).TypeParams {
		if kv.Key == "enable_match" && strings.EqualFold(kv.Value, "true") {
			return nil, unsupported(name)
		}
	}
	return nil, refuse("field %q does not enable match", ident)
}
