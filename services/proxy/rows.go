package proxy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// emptyDocument is the dynamic value of a row that has none.
var emptyDocument = []byte("{}")

// readRows turns the columns of a request into a batch with every field of the schema but a generated primary key,
// checked. given tells which fields the request held; with partial, those that it did not hold stay out.
func readRows(c *catalog.Collection, data []*schemapb.FieldData, rows int, partial bool) (*schema.Batch, error) {
	byField, err := sortData(c, data)
	if err != nil {
		return nil, err
	}
	out := &schema.Batch{N: rows}
	for i := range c.Schema.Fields {
		f := &c.Schema.Fields[i]
		d := byField[f.ID]
		if d == nil && (partial || f.PrimaryKey && f.AutoID) {
			continue
		}
		col, err := readField(c, f, d, rows)
		if err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, col)
	}
	return out, nil
}

func readField(c *catalog.Collection, f *schema.Field, d *schemapb.FieldData, rows int) (*schema.Column, error) {
	if d == nil {
		if f.Dynamic {
			return emptyDocuments(f, rows), nil
		}
		if col := absentColumn(f, rows); col != nil {
			return col, nil
		}
		return nil, errs.Invalid("fieldSchema(%s) has no corresponding fieldData pass in", f.Name)
	}
	d, err := storedForm(f, d, zoneOf(c))
	if err != nil {
		return nil, err
	}
	col, err := columnOf(f, d, rows)
	if err != nil {
		return nil, err
	}
	if f.Dynamic {
		return col, checkDynamic(c, f, col)
	}
	if f.Type == schema.JSON {
		col = fillDocuments(f, col)
	}
	return col, checkColumn(f, col)
}

// sortData finds the field of each column.
func sortData(c *catalog.Collection, data []*schemapb.FieldData) (map[int64]*schemapb.FieldData, error) {
	out := make(map[int64]*schemapb.FieldData, len(data))
	for _, d := range data {
		f, err := fieldOfData(c, d)
		if err != nil {
			return nil, err
		}
		if out[f.ID] != nil {
			return nil, errs.Invalid("duplicated column %s in the data", f.Name)
		}
		out[f.ID] = d
	}
	return out, nil
}

func fieldOfData(c *catalog.Collection, d *schemapb.FieldData) (*schema.Field, error) {
	if d == nil {
		return nil, errs.Invalid("a column of the data is empty")
	}
	if d.IsDynamic || d.FieldName == schema.DynamicFieldName {
		if f := c.Schema.DynamicField(); f != nil {
			return f, nil
		}
		return nil, errs.Invalid("without dynamic schema enabled, the field name cannot be set to %s", schema.DynamicFieldName)
	}
	f := c.Schema.Field(d.FieldName)
	if f == nil {
		return nil, errs.Invalid("fieldName %s not exist in collection schema of %s", d.FieldName, c.Name)
	}
	return f, nil
}

func emptyDocuments(f *schema.Field, rows int) *schema.Column {
	c := schema.NewColumn(f)
	c.N, c.Bytes = rows, make([][]byte, rows)
	for i := range c.Bytes {
		c.Bytes[i] = emptyDocument
	}
	return c
}

// fillDocuments gives a meaning to the empty documents that some SDKs send for a missing value: null, which in a field
// that is not nullable is the JSON value.
func fillDocuments(f *schema.Field, col *schema.Column) *schema.Column {
	if !slices.ContainsFunc(col.Bytes, func(doc []byte) bool { return len(doc) == 0 }) {
		return col
	}
	out := schema.NewColumn(f)
	for i, doc := range col.Bytes {
		switch {
		case col.IsNull(i) || len(doc) == 0 && f.Nullable:
			out.AppendNull()
		case len(doc) == 0:
			out.AppendFrom(&schema.Column{Type: schema.JSON, N: 1, Bytes: [][]byte{[]byte("null")}}, 0)
		default:
			out.AppendFrom(col, i)
		}
	}
	return out
}

// checkDynamic checks that each row is one JSON object whose keys are no declared fields. Rows without a value get an
// empty object.
func checkDynamic(c *catalog.Collection, f *schema.Field, col *schema.Column) error {
	col.Valid = nil
	for i, doc := range col.Bytes {
		if len(doc) == 0 || bytes.Equal(doc, emptyDocument) {
			col.Bytes[i] = emptyDocument
			continue
		}
		if len(doc) > maxDocumentBytes {
			return errs.Invalid("length of dynamic field exceeds max length, row number: %d, length: %d, max length: %d", i, len(doc), maxDocumentBytes)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(doc, &keys); err != nil || keys == nil {
			return errs.Invalid("the dynamic field of row %d is no JSON object: %s", i, clip(doc))
		}
		for k := range keys {
			if k == schema.DynamicFieldName {
				return errs.Invalid("cannot set json key to: %s", k)
			}
			if c.Schema.Field(k) != nil {
				return errs.Invalid("dynamic field name cannot include the static field name: %s", k)
			}
		}
	}
	return nil
}

// allowsGivenID reports whether rows may bring their own primary key although it is generated.
func allowsGivenID(c *catalog.Collection) bool {
	on, err := strconv.ParseBool(c.Properties["allow_insert_auto_id"])
	return err == nil && on
}

// withKeys puts a generated primary key column in front.
func withKeys(b *schema.Batch, pk *schema.Field, k schema.Keys) {
	b.Columns = append([]*schema.Column{keyColumn(pk, k)}, b.Columns...)
}
