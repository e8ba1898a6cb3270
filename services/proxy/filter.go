package proxy

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/expr"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// parseFilter turns a filter and the values of its placeholders into a plan.
func parseFilter(text string, s *schema.Schema, values map[string]*schemapb.TemplateValue, zone *time.Location) (*plan.Plan, error) {
	templates := make(map[string]plan.Value, len(values))
	for name, v := range values {
		value, err := templateValue(v)
		if err != nil {
			return nil, errs.Invalid("the value of expression template variable name {%s} cannot be used: %v", name, err)
		}
		templates[name] = value
	}
	return expr.ParseIn(text, s, templates, zone)
}

func templateValue(v *schemapb.TemplateValue) (plan.Value, error) {
	switch v := v.GetVal().(type) {
	case *schemapb.TemplateValue_BoolVal:
		return plan.BoolValue(v.BoolVal), nil
	case *schemapb.TemplateValue_Int64Val:
		return plan.IntValue(v.Int64Val), nil
	case *schemapb.TemplateValue_FloatVal:
		return plan.FloatValue(v.FloatVal), nil
	case *schemapb.TemplateValue_StringVal:
		return plan.StringValue(v.StringVal), nil
	case *schemapb.TemplateValue_ArrayVal:
		return templateArray(v.ArrayVal, 0)
	}
	return plan.Value{}, errs.Invalid("it is of no known type")
}

// maxTemplateNesting bounds arrays in arrays.
const maxTemplateNesting = 8

func templateArray(a *schemapb.TemplateArrayValue, depth int) (plan.Value, error) {
	if depth > maxTemplateNesting {
		return plan.Value{}, errs.Invalid("its arrays are nested too deep")
	}
	out := plan.Value{Kind: plan.KindArray}
	switch d := a.GetData().(type) {
	case *schemapb.TemplateArrayValue_BoolData:
		for _, v := range d.BoolData.GetData() {
			out.Array = append(out.Array, plan.BoolValue(v))
		}
	case *schemapb.TemplateArrayValue_LongData:
		for _, v := range d.LongData.GetData() {
			out.Array = append(out.Array, plan.IntValue(v))
		}
	case *schemapb.TemplateArrayValue_DoubleData:
		for _, v := range d.DoubleData.GetData() {
			out.Array = append(out.Array, plan.FloatValue(v))
		}
	case *schemapb.TemplateArrayValue_StringData:
		for _, v := range d.StringData.GetData() {
			out.Array = append(out.Array, plan.StringValue(v))
		}
	case *schemapb.TemplateArrayValue_ArrayData:
		for _, inner := range d.ArrayData.GetData() {
			v, err := templateArray(inner, depth+1)
			if err != nil {
				return plan.Value{}, err
			}
			out.Array = append(out.Array, v)
		}
	case *schemapb.TemplateArrayValue_JsonData:
		for _, raw := range d.JsonData.GetData() {
			v, err := jsonValue(raw)
			if err != nil {
				return plan.Value{}, err
			}
			out.Array = append(out.Array, v)
		}
	}
	return out, nil
}

func jsonValue(raw []byte) (plan.Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return plan.Value{}, errs.Invalid("it is no JSON: %s", clip(raw))
	}
	return planValue(v)
}

func planValue(v any) (plan.Value, error) {
	switch v := v.(type) {
	case bool:
		return plan.BoolValue(v), nil
	case string:
		return plan.StringValue(v), nil
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return plan.IntValue(i), nil
		}
		f, err := v.Float64()
		return plan.FloatValue(f), err
	case []any:
		out := plan.Value{Kind: plan.KindArray}
		for _, one := range v {
			inner, err := planValue(one)
			if err != nil {
				return plan.Value{}, err
			}
			out.Array = append(out.Array, inner)
		}
		return out, nil
	}
	return plan.Value{}, errs.Invalid("a JSON object or null cannot be compared with")
}

// keysPlan selects the rows with one of the given primary keys.
func keysPlan(pk *schema.Field, k schema.Keys) (*plan.Plan, error) {
	in := &plan.In{Operand: plan.Operand{Field: pk.ID, Type: pk.Type}}
	for _, v := range k.Ints {
		in.Values = append(in.Values, plan.IntValue(v))
	}
	for _, v := range k.Strings {
		in.Values = append(in.Values, plan.StringValue(v))
	}
	return plan.New(in)
}

// encodePlan is a plan for the wire; selecting everything is no bytes at all.
func encodePlan(pl *plan.Plan) []byte {
	if pl == nil || pl.IsTrue() {
		return nil
	}
	return pl.Encode()
}
