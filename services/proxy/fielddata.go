package proxy

import (
	"encoding/json"
	"fmt"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func validJSON(doc []byte) bool { return len(doc) > 0 && json.Valid(doc) }

// columnOf reads a public column into one of rows rows for field f: compact data of a nullable field is spread out,
// missing values take the default if there is one. Values are not checked yet.
func columnOf(f *schema.Field, d *schemapb.FieldData, rows int) (*schema.Column, error) {
	if t := schema.Type(d.Type); t != f.Type && d.Type != schemapb.DataType_None && (t != schema.FloatVector || !isHalf(f.Type)) {
		return nil, errs.Invalid("field (%s) is of type %s, but its data is %s", f.Name, f.Type, d.Type)
	}
	valid, err := validity(f, d, rows)
	if err != nil {
		return nil, err
	}
	given := schema.NewColumn(f)
	if f.Type.IsDense() {
		err = readVectors(f, given, d.GetVectors())
	} else {
		err = readScalars(f, given, d.GetScalars())
	}
	if err != nil {
		return nil, err
	}
	return spread(f, given, valid, rows)
}

// validity returns which rows have a value: nil is all.
func validity(f *schema.Field, d *schemapb.FieldData, rows int) ([]bool, error) {
	if len(d.ValidData) == 0 {
		return nil, nil
	}
	if !f.Nullable && f.Default == nil {
		for _, v := range d.ValidData {
			if !v {
				return nil, errs.Invalid("the field (%s) is not nullable and has no default value, but some rows have no value", f.Name)
			}
		}
	}
	if len(d.ValidData) != rows {
		return nil, errs.Invalid("the length of valid_data (%d) of field (%s) is not equal to passed num_rows (%d)", len(d.ValidData), f.Name, rows)
	}
	return d.ValidData, nil
}

func wrongRows(f *schema.Field, got, want int) error {
	return errs.Invalid("the num_rows (%d) of field (%s) is not equal to passed num_rows (%d)", got, f.Name, want)
}

// spread makes a column of rows rows from given, which holds either all rows or only the valid ones.
func spread(f *schema.Field, given *schema.Column, valid []bool, rows int) (*schema.Column, error) {
	have := 0
	for _, v := range valid {
		if v {
			have++
		}
	}
	if valid == nil || have == rows {
		if given.N != rows {
			return nil, wrongRows(f, given.N, rows)
		}
		return given, nil
	}
	full := given.N == rows
	if !full && given.N != have {
		return nil, wrongRows(f, given.N, rows)
	}
	out := schema.NewColumn(f)
	next := 0
	for i, ok := range valid {
		at := next
		if full {
			at = i
		}
		switch {
		case ok:
			out.AppendFrom(given, at)
			next++
		case f.Default != nil:
			out.AppendFrom(f.Default, 0)
		default:
			out.AppendNull()
		}
	}
	return out, nil
}

// absentColumn is the column of a field that a request does not hold, or nil if the field needs one.
func absentColumn(f *schema.Field, rows int) *schema.Column {
	if f.Default == nil && !f.Nullable {
		return nil
	}
	out := schema.NewColumn(f)
	for range rows {
		if f.Default != nil {
			out.AppendFrom(f.Default, 0)
		} else {
			out.AppendNull()
		}
	}
	return out
}

func readScalars(f *schema.Field, c *schema.Column, s *schemapb.ScalarField) error {
	kind := fmt.Sprintf("%T", s.GetData())
	mismatch := func() error {
		return errs.Invalid("the data of field (%s) of type %s has the form %s", f.Name, f.Type, kind)
	}
	if s.GetData() == nil {
		return nil // no value at all: zero rows, or every row null
	}
	switch d := s.Data.(type) {
	case *schemapb.ScalarField_BoolData:
		if f.Type != schema.Bool {
			return mismatch()
		}
		c.Bools, c.N = d.BoolData.GetData(), len(d.BoolData.GetData())
	case *schemapb.ScalarField_IntData:
		if !f.Type.IsInt() || f.Type == schema.Int64 {
			return mismatch()
		}
		c.Ints = make([]int64, len(d.IntData.GetData()))
		for i, v := range d.IntData.GetData() {
			c.Ints[i] = int64(v)
		}
		c.N = len(c.Ints)
	case *schemapb.ScalarField_LongData:
		if f.Type != schema.Int64 {
			return mismatch()
		}
		c.Ints, c.N = d.LongData.GetData(), len(d.LongData.GetData())
	case *schemapb.ScalarField_FloatData:
		if f.Type != schema.Float {
			return mismatch()
		}
		c.Floats, c.N = d.FloatData.GetData(), len(d.FloatData.GetData())
	case *schemapb.ScalarField_DoubleData:
		if f.Type != schema.Double {
			return mismatch()
		}
		c.Doubles, c.N = d.DoubleData.GetData(), len(d.DoubleData.GetData())
	case *schemapb.ScalarField_StringData:
		if f.Type != schema.VarChar {
			return mismatch()
		}
		c.Strings, c.N = d.StringData.GetData(), len(d.StringData.GetData())
	case *schemapb.ScalarField_JsonData:
		if f.Type != schema.JSON {
			return mismatch()
		}
		c.Bytes, c.N = d.JsonData.GetData(), len(d.JsonData.GetData())
	case *schemapb.ScalarField_ArrayData:
		if f.Type != schema.Array {
			return mismatch()
		}
		return readArrays(f, c, d.ArrayData)
	default:
		return mismatch()
	}
	return nil
}

func readArrays(f *schema.Field, c *schema.Column, a *schemapb.ArrayArray) error {
	elem := schema.Field{Name: f.Name, Type: f.Elem}
	c.Arrays = make([]schema.Column, len(a.GetData()))
	for i, row := range a.GetData() {
		inner := schema.Column{Type: f.Elem}
		if err := readScalars(&elem, &inner, row); err != nil {
			return err
		}
		c.Arrays[i] = inner
	}
	c.N = len(c.Arrays)
	return nil
}

// publicColumn is a column in the API's form. Scalars are full length with validity flags, of vectors only those that
// there are.
func publicColumn(f *schema.Field, c *schema.Column) *schemapb.FieldData {
	out := &schemapb.FieldData{Type: schemapb.DataType(f.Type), FieldName: f.Name, FieldId: f.ID, IsDynamic: f.Dynamic}
	if f.Nullable && !f.Dynamic {
		out.ValidData = make([]bool, c.N)
		for i := range out.ValidData {
			out.ValidData[i] = !c.IsNull(i)
		}
	}
	if f.Type.IsDense() {
		out.Field = &schemapb.FieldData_Vectors{Vectors: publicVectors(f, c)}
		return out
	}
	out.Field = &schemapb.FieldData_Scalars{Scalars: publicScalars(f.Type, f.Elem, c)}
	return out
}

func publicScalars(t, elem schema.Type, c *schema.Column) *schemapb.ScalarField {
	switch {
	case t == schema.Bool:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_BoolData{BoolData: &schemapb.BoolArray{Data: c.Bools}}}
	case t == schema.Int64:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: c.Ints}}}
	case t.IsInt():
		small := make([]int32, len(c.Ints))
		for i, v := range c.Ints {
			small[i] = int32(v)
		}
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: small}}}
	case t == schema.Float:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_FloatData{FloatData: &schemapb.FloatArray{Data: c.Floats}}}
	case t == schema.Double:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_DoubleData{DoubleData: &schemapb.DoubleArray{Data: c.Doubles}}}
	case t == schema.VarChar:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: c.Strings}}}
	case t == schema.JSON:
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_JsonData{JsonData: &schemapb.JSONArray{Data: documents(c, "")}}}
	}
	rows := make([]*schemapb.ScalarField, len(c.Arrays))
	for i := range c.Arrays {
		rows[i] = publicScalars(elem, 0, &c.Arrays[i])
	}
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_ArrayData{
		ArrayData: &schemapb.ArrayArray{Data: rows, ElementType: schemapb.DataType(elem)},
	}}
}

// documents returns a JSON column's rows with missing in the place of those that there are not.
func documents(c *schema.Column, missing string) [][]byte {
	out := make([][]byte, len(c.Bytes))
	for i, doc := range c.Bytes {
		out[i] = doc
		if len(doc) == 0 {
			out[i] = []byte(missing)
		}
	}
	return out
}
