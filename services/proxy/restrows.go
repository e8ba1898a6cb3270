package proxy

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// columnsOfRows turns JSON rows into columns. Keys that are no fields go into the dynamic column if there is one.
func columnsOfRows(s *schema.Schema, rows []map[string]json.RawMessage) ([]*schemapb.FieldData, error) {
	var out []*schemapb.FieldData
	dynamic := s.DynamicField()
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Dynamic {
			continue
		}
		d, err := columnOfRows(f, rows)
		if err != nil {
			return nil, err
		}
		if d != nil {
			out = append(out, d)
		}
	}
	var rest [][]byte
	for i, row := range rows {
		extra := map[string]json.RawMessage{}
		for k, v := range row {
			if s.Field(k) == nil {
				extra[k] = v
			}
		}
		if len(extra) > 0 && dynamic == nil {
			for k := range extra {
				return nil, errs.Input(restBadRows, "row %d has key %s, which is no field of the collection", i, k)
			}
		}
		raw, err := json.Marshal(extra)
		if err != nil {
			return nil, err
		}
		rest = append(rest, raw)
	}
	if dynamic != nil {
		c := &schema.Column{Field: dynamic.ID, Type: schema.JSON, N: len(rest), Bytes: rest}
		out = append(out, publicColumn(dynamic, c))
	}
	return out, nil
}

// columnOfRows gathers one field's values; nil when no row has the field.
func columnOfRows(f *schema.Field, rows []map[string]json.RawMessage) (*schemapb.FieldData, error) {
	if f.Form != 0 { // comes as text
		f = &schema.Field{Name: f.Name, Type: schema.VarChar, Nullable: f.Nullable, Default: f.Default}
	}
	c := schema.NewColumn(f)
	present, missing := 0, 0
	for i, row := range rows {
		raw, ok := row[f.Name]
		if !ok || string(bytes.TrimSpace(raw)) == "null" && (f.Type != schema.JSON || f.Nullable) {
			if ok {
				present++
			}
			missing++
			c.AppendNull()
			continue
		}
		present++
		if err := appendJSON(f, c, raw); err != nil {
			return nil, errs.Input(restBadRows, "row %d, field %s: %v", i, f.Name, err)
		}
	}
	if present == 0 {
		return nil, nil
	}
	if missing > 0 && !f.Nullable && f.Default == nil {
		return nil, errs.Input(restBadRows, "field %s has no value in %d of %d rows", f.Name, missing, len(rows))
	}
	out := publicColumn(f, c)
	out.ValidData = c.Valid
	return out, nil
}

// appendJSON appends a JSON value to a column. Numbers may come as text.
func appendJSON(f *schema.Field, c *schema.Column, raw json.RawMessage) error {
	one := schema.Column{Type: f.Type, Elem: f.Elem, Dim: f.Dim, N: 1}
	text := strings.TrimSpace(string(raw))
	if f.Type != schema.VarChar && f.Type != schema.JSON {
		text = strings.Trim(text, `"`)
	}
	var err error
	switch {
	case f.Type == schema.Bool:
		var v bool
		v, err = strconv.ParseBool(text)
		one.Bools = []bool{v}
	case f.Type.IsInt():
		var v int64
		v, err = strconv.ParseInt(text, 10, 64)
		one.Ints = []int64{v}
		if err == nil {
			err = checkRange(f, f.Type, one.Ints)
		}
	case f.Type == schema.Float:
		var v float64
		v, err = strconv.ParseFloat(text, 32)
		one.Floats = []float32{float32(v)}
	case f.Type == schema.Double:
		var v float64
		v, err = strconv.ParseFloat(text, 64)
		one.Doubles = []float64{v}
	case f.Type == schema.VarChar:
		var v string
		err = json.Unmarshal(raw, &v)
		one.Strings = []string{v}
	case f.Type == schema.JSON:
		one.Bytes = [][]byte{raw}
	case f.Type == schema.FloatVector:
		err = json.Unmarshal(raw, &one.Vectors)
		if err == nil && len(one.Vectors) != f.Dim {
			return errs.Invalid("a vector of dimension %d, not %d", len(one.Vectors), f.Dim)
		}
	case f.Type.IsPacked():
		if one.Packed, err = restVector(f, raw); errs.CodeOf(err) == errs.InvalidParameter {
			return err
		}
	case f.Type == schema.Array:
		one.Arrays, err = jsonArray(f, raw)
	default:
		return notBuilt("data type " + f.Type.String())
	}
	if err != nil {
		return errs.Invalid("%s is no %s", clip(raw), f.Type)
	}
	c.AppendFrom(&one, 0)
	return nil
}

func jsonArray(f *schema.Field, raw json.RawMessage) ([]schema.Column, error) {
	var values []json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, err
	}
	elem := schema.Field{Name: f.Name, Type: f.Elem}
	inner := schema.Column{Type: f.Elem}
	for _, v := range values {
		if err := appendJSON(&elem, &inner, v); err != nil {
			return nil, err
		}
	}
	return []schema.Column{inner}, nil
}

// rowsOfColumns turns columns into rows; the keys of dynamic documents stand beside the fields.
func (r *restRequest) rowsOfColumns(c *catalog.Collection, data []*schemapb.FieldData) ([]map[string]any, error) {
	var out []map[string]any
	for _, d := range data {
		f := c.Schema.Field(d.FieldName)
		if f == nil { // count(*)
			f = &schema.Field{Name: d.FieldName, Type: schema.Int64}
		}
		if f.Form != 0 { // is shown as text
			f, d = textColumn(f, d)
		}
		n := lengthOf(f, d)
		if out == nil {
			out = make([]map[string]any, n)
			for i := range out {
				out[i] = map[string]any{}
			}
		}
		col, err := columnOf(f, d, n)
		if err != nil {
			return nil, errs.New(errs.Internal, "read a column of the answer: %w", err)
		}
		for i := range min(n, len(out)) {
			if f.Dynamic {
				var keys map[string]json.RawMessage
				if json.Unmarshal(col.Bytes[i], &keys) == nil {
					for k, v := range keys {
						out[i][k] = v
					}
				}
				continue
			}
			v := cell(col, i)
			if n, ok := v.(int64); ok && f.Type == schema.Int64 {
				v = r.int64(n)
			}
			out[i][f.Name] = v
		}
	}
	if out == nil {
		out = []map[string]any{}
	}
	return out, nil
}

// int64 is a value of Int64 as the client wants it.
func (r *restRequest) int64(v int64) any {
	if r.textInts {
		return strconv.FormatInt(v, 10)
	}
	return v
}

// textColumn is a column of times or geometries as one of texts.
func textColumn(f *schema.Field, d *schemapb.FieldData) (*schema.Field, *schemapb.FieldData) {
	texts := d.GetScalars().GetStringData().GetData()
	if f.Form == schema.Geometry {
		texts = d.GetScalars().GetGeometryWktData().GetData()
	}
	return &schema.Field{ID: f.ID, Name: f.Name, Type: schema.VarChar, Nullable: f.Nullable}, &schemapb.FieldData{
		Type: schemapb.DataType_VarChar, FieldName: d.FieldName, ValidData: d.ValidData, Field: &schemapb.FieldData_Scalars{
			Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: texts}}},
		},
	}
}

func lengthOf(f *schema.Field, d *schemapb.FieldData) int {
	c := schema.NewColumn(f)
	if f.Type.IsDense() {
		if len(d.ValidData) > 0 || readVectors(f, c, d.GetVectors()) != nil {
			return len(d.ValidData)
		}
		return c.N
	}
	if readScalars(f, c, d.GetScalars()) != nil {
		return 0
	}
	return c.N
}

// cell is one value as JSON writes it.
func cell(c *schema.Column, i int) any {
	if c.IsNull(i) {
		return nil
	}
	switch {
	case c.Type == schema.Bool:
		return c.Bools[i]
	case c.Type.IsInt():
		return c.Ints[i]
	case c.Type == schema.Float:
		return c.Floats[i]
	case c.Type == schema.Double:
		return c.Doubles[i]
	case c.Type == schema.VarChar:
		return c.Strings[i]
	case c.Type == schema.JSON:
		return json.RawMessage(c.Bytes[i])
	case c.Type == schema.FloatVector:
		return c.Vector(i)
	case c.Type == schema.Int8Vector:
		return int8s(c.PackedRow(i))
	case c.Type.IsPacked():
		return c.PackedRow(i)
	}
	a := &c.Arrays[i]
	out := make([]any, a.N)
	for j := range out {
		out[j] = cell(a, j)
	}
	return out
}

// publicTemplate is a constant in the API's form.
func publicTemplate(v plan.Value) *schemapb.TemplateValue {
	switch v.Kind {
	case plan.KindBool:
		return &schemapb.TemplateValue{Val: &schemapb.TemplateValue_BoolVal{BoolVal: v.Bool}}
	case plan.KindInt:
		return &schemapb.TemplateValue{Val: &schemapb.TemplateValue_Int64Val{Int64Val: v.Int}}
	case plan.KindFloat:
		return &schemapb.TemplateValue{Val: &schemapb.TemplateValue_FloatVal{FloatVal: v.Float}}
	case plan.KindString:
		return &schemapb.TemplateValue{Val: &schemapb.TemplateValue_StringVal{StringVal: v.Str}}
	}
	raw := &schemapb.JSONArray{}
	for _, one := range v.Array {
		raw.Data = append(raw.Data, []byte(templateJSON(one)))
	}
	return &schemapb.TemplateValue{Val: &schemapb.TemplateValue_ArrayVal{ArrayVal: &schemapb.TemplateArrayValue{
		Data: &schemapb.TemplateArrayValue_JsonData{JsonData: raw},
	}}}
}

func templateJSON(v plan.Value) string {
	switch v.Kind {
	case plan.KindString:
		raw, err := json.Marshal(v.Str)
		if err != nil {
			return `""`
		}
		return string(raw)
	case plan.KindArray:
		parts := make([]string, len(v.Array))
		for i, one := range v.Array {
			parts[i] = templateJSON(one)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return v.String()
}
