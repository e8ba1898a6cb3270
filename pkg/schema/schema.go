// Package schema defines collections' schemas and the columnar batches in which rows travel through Gyr.
//
// It knows no network and no Milvus protobuf; the proxy translates at its edge. Type numbers equal those of the
// Milvus API so that nothing needs a mapping table.
package schema

// Type is a field's data type, numbered as in the Milvus API.
type Type int32

// Data types.
const (
	Bool         Type = 1
	Int8         Type = 2
	Int16        Type = 3
	Int32        Type = 4
	Int64        Type = 5
	Float        Type = 10
	Double       Type = 11
	VarChar      Type = 21
	Array        Type = 22
	JSON         Type = 23
	Geometry     Type = 24 // as a Form only
	Timestamptz  Type = 26 // as a Form only
	BinaryVector Type = 100
	FloatVector  Type = 101

	Float16Vector  Type = 102
	BFloat16Vector Type = 103
	Int8Vector     Type = 105
)

// IsInt reports whether t is one of the integer types (held in Column.Ints).
func (t Type) IsInt() bool { return t >= Int8 && t <= Int64 }

// IsVector reports whether t is a vector type.
func (t Type) IsVector() bool { return t >= BinaryVector && t < 200 }

// IsPacked reports whether t is one of the vector types whose rows are kept as bytes (held in Column.Packed).
func (t Type) IsPacked() bool {
	return t == BinaryVector || t == Float16Vector || t == BFloat16Vector || t == Int8Vector
}

// IsDense reports whether t is a vector type that Columns hold, all rows of equal length.
func (t Type) IsDense() bool { return t == FloatVector || t.IsPacked() }

// RowBytes returns the bytes of one stored vector of dim components: little-endian numbers, or bits, component i in bit
// i%8 of byte i/8. It is 0 for types that are not dense.
func (t Type) RowBytes(dim int) int {
	switch t {
	case FloatVector:
		return 4 * dim
	case Float16Vector, BFloat16Vector:
		return 2 * dim
	case Int8Vector:
		return dim
	case BinaryVector:
		return (dim + 7) / 8
	}
	return 0
}

var typeNames = map[Type]string{
	Bool: "Bool", Int8: "Int8", Int16: "Int16", Int32: "Int32", Int64: "Int64", Float: "Float", Double: "Double",
	VarChar: "VarChar", Array: "Array", JSON: "JSON", Geometry: "Geometry", Timestamptz: "Timestamptz",
	BinaryVector: "BinaryVector", FloatVector: "FloatVector", Float16Vector: "Float16Vector", BFloat16Vector: "BFloat16Vector",
	Int8Vector: "Int8Vector",
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "Unknown"
}

// System fields. User fields are numbered from FirstUserField up, in schema order.
const (
	RowIDField     int64 = 0
	TimestampField int64 = 1
	FirstUserField int64 = 100
)

// DynamicFieldName is the hidden JSON field that holds undeclared keys.
const DynamicFieldName = "$meta"

// KV is an ordered key-value pair, as users give type and index parameters.
type KV struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// Field describes one field. Dim, MaxLength (bytes) and MaxCapacity are parsed out of TypeParams, which keeps what
// the user gave.
type Field struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	Description  string `json:"description,omitempty"`
	Type         Type   `json:"type"`
	Form         Type   `json:"form,omitempty"` // the type that users see where it isn't Type, see Shown
	Elem         Type   `json:"elem,omitempty"` // element type of an Array
	PrimaryKey   bool   `json:"primary_key,omitempty"`
	AutoID       bool   `json:"auto_id,omitempty"`
	PartitionKey bool   `json:"partition_key,omitempty"`
	Nullable     bool   `json:"nullable,omitempty"`
	Dynamic      bool   `json:"dynamic,omitempty"` // the hidden $meta field
	Dim          int    `json:"dim,omitempty"`
	MaxLength    int    `json:"max_length,omitempty"`
	MaxCapacity  int    `json:"max_capacity,omitempty"`
	TypeParams   []KV   `json:"type_params,omitempty"`
	// Default is a one-row column with the default value; nil when there is none.
	Default *Column `json:"default,omitempty"`
}

// Shown is the type that users see. A Timestamptz is kept as Int64, microseconds since 1970 in UTC, a Geometry as VarChar,
// its WKT: only the proxy knows the difference.
func (f *Field) Shown() Type {
	if f.Form != 0 {
		return f.Form
	}
	return f.Type
}

// Schema is an ordered list of fields. With EnableDynamic it holds the hidden $meta field as its last one.
// Version grows by one with every change.
type Schema struct {
	Version       int32   `json:"version"`
	EnableDynamic bool    `json:"enable_dynamic,omitempty"`
	Fields        []Field `json:"fields"`
}

// Field returns the field of that name, or nil.
func (s *Schema) Field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// FieldByID returns the field with that id, or nil.
func (s *Schema) FieldByID(id int64) *Field {
	for i := range s.Fields {
		if s.Fields[i].ID == id {
			return &s.Fields[i]
		}
	}
	return nil
}

// PrimaryKey returns the primary key field. Every valid schema has one, Int64 or VarChar.
func (s *Schema) PrimaryKey() *Field {
	for i := range s.Fields {
		if s.Fields[i].PrimaryKey {
			return &s.Fields[i]
		}
	}
	return nil
}

// DynamicField returns the hidden $meta field, or nil.
func (s *Schema) DynamicField() *Field {
	for i := range s.Fields {
		if s.Fields[i].Dynamic {
			return &s.Fields[i]
		}
	}
	return nil
}

// VectorFields returns the vector fields in schema order.
func (s *Schema) VectorFields() []*Field {
	var out []*Field
	for i := range s.Fields {
		if s.Fields[i].Type.IsVector() {
			out = append(out, &s.Fields[i])
		}
	}
	return out
}
