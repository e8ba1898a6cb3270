package schema

import "fmt"

// Column holds one field's values for N rows. Exactly one of the value slices is used, by Type; it has N entries
// (Vectors: N*Dim; Packed: N*Type.RowBytes(Dim)), with a zero value where Valid is false.
type Column struct {
	Field int64  `json:"field"`
	Type  Type   `json:"type"`
	Elem  Type   `json:"elem,omitempty"`
	Dim   int    `json:"dim,omitempty"`
	N     int    `json:"n"`
	Valid []bool `json:"valid,omitempty"` // nil: every row is valid

	Bools   []bool    `json:"bools,omitempty"`
	Ints    []int64   `json:"ints,omitempty"` // Int8 to Int64
	Floats  []float32 `json:"floats,omitempty"`
	Doubles []float64 `json:"doubles,omitempty"`
	Strings []string  `json:"strings,omitempty"` // VarChar
	Bytes   [][]byte  `json:"bytes,omitempty"`   // JSON, one document per row
	Arrays  []Column  `json:"arrays,omitempty"`  // Array: per row a column of type Elem
	Vectors []float32 `json:"vectors,omitempty"` // FloatVector, row-major
	Packed  []byte    `json:"packed,omitempty"`  // the other vector types, rows as stored, see Type.RowBytes
}

// NewColumn returns an empty column for f.
func NewColumn(f *Field) *Column {
	return &Column{Field: f.ID, Type: f.Type, Elem: f.Elem, Dim: f.Dim}
}

// IsNull reports whether row i holds no value.
func (c *Column) IsNull(i int) bool { return c.Valid != nil && !c.Valid[i] }

// Vector returns row i of a FloatVector column without copying.
func (c *Column) Vector(i int) []float32 { return c.Vectors[i*c.Dim : (i+1)*c.Dim : (i+1)*c.Dim] }

// PackedRow returns row i of a column of a packed type without copying.
func (c *Column) PackedRow(i int) []byte {
	size := c.Type.RowBytes(c.Dim)
	return c.Packed[i*size : (i+1)*size : (i+1)*size]
}

// VectorBytes returns all rows of a column of vectors as stored, one behind the other, without copying.
func (c *Column) VectorBytes() []byte {
	if c.Type == FloatVector {
		return rawBytes(c.Vectors)
	}
	return c.Packed
}

// VectorRow returns row i of a column of vectors as stored, without copying.
func (c *Column) VectorRow(i int) []byte {
	size := c.Type.RowBytes(c.Dim)
	return c.VectorBytes()[i*size : (i+1)*size : (i+1)*size]
}

// AppendFrom appends row i of src, a column of the same field.
func (c *Column) AppendFrom(src *Column, i int) {
	null := src.IsNull(i)
	if null && c.Valid == nil {
		c.Valid = make([]bool, c.N, c.N+1)
		for j := range c.Valid {
			c.Valid[j] = true
		}
	}
	if c.Valid != nil {
		c.Valid = append(c.Valid, !null)
	}
	switch {
	case c.Type == Bool:
		c.Bools = append(c.Bools, src.Bools[i])
	case c.Type.IsInt():
		c.Ints = append(c.Ints, src.Ints[i])
	case c.Type == Float:
		c.Floats = append(c.Floats, src.Floats[i])
	case c.Type == Double:
		c.Doubles = append(c.Doubles, src.Doubles[i])
	case c.Type == VarChar:
		c.Strings = append(c.Strings, src.Strings[i])
	case c.Type == JSON:
		c.Bytes = append(c.Bytes, src.Bytes[i])
	case c.Type == Array:
		c.Arrays = append(c.Arrays, src.Arrays[i])
	case c.Type == FloatVector:
		c.Vectors = append(c.Vectors, src.Vector(i)...)
	case c.Type.IsPacked():
		c.Packed = append(c.Packed, src.PackedRow(i)...)
	}
	c.N++
}

// AppendNull appends a row without a value.
func (c *Column) AppendNull() {
	zero := Column{Type: c.Type, Elem: c.Elem, Dim: c.Dim, N: 1, Valid: []bool{false}}
	switch {
	case c.Type == Bool:
		zero.Bools = []bool{false}
	case c.Type.IsInt():
		zero.Ints = []int64{0}
	case c.Type == Float:
		zero.Floats = []float32{0}
	case c.Type == Double:
		zero.Doubles = []float64{0}
	case c.Type == VarChar:
		zero.Strings = []string{""}
	case c.Type == JSON:
		zero.Bytes = [][]byte{nil}
	case c.Type == Array:
		zero.Arrays = []Column{{Type: c.Elem}}
	case c.Type == FloatVector:
		zero.Vectors = make([]float32, c.Dim)
	case c.Type.IsPacked():
		zero.Packed = make([]byte, c.Type.RowBytes(c.Dim))
	}
	c.AppendFrom(&zero, 0)
}

// Slice returns rows [lo, hi) as a column that shares memory with c.
func (c *Column) Slice(lo, hi int) *Column {
	out := &Column{Field: c.Field, Type: c.Type, Elem: c.Elem, Dim: c.Dim, N: hi - lo}
	if c.Valid != nil {
		out.Valid = c.Valid[lo:hi:hi]
	}
	switch {
	case c.Type == Bool:
		out.Bools = c.Bools[lo:hi:hi]
	case c.Type.IsInt():
		out.Ints = c.Ints[lo:hi:hi]
	case c.Type == Float:
		out.Floats = c.Floats[lo:hi:hi]
	case c.Type == Double:
		out.Doubles = c.Doubles[lo:hi:hi]
	case c.Type == VarChar:
		out.Strings = c.Strings[lo:hi:hi]
	case c.Type == JSON:
		out.Bytes = c.Bytes[lo:hi:hi]
	case c.Type == Array:
		out.Arrays = c.Arrays[lo:hi:hi]
	case c.Type == FloatVector:
		out.Vectors = c.Vectors[lo*c.Dim : hi*c.Dim : hi*c.Dim]
	case c.Type.IsPacked():
		size := c.Type.RowBytes(c.Dim)
		out.Packed = c.Packed[lo*size : hi*size : hi*size]
	}
	return out
}

// Gather returns the given rows, in that order, as a new column.
func (c *Column) Gather(rows []int) *Column {
	out := &Column{Field: c.Field, Type: c.Type, Elem: c.Elem, Dim: c.Dim}
	for _, r := range rows {
		out.AppendFrom(c, r)
	}
	return out
}

// Check verifies that the slices agree with N, Type and Dim. Decoders call it; nothing else needs to.
func (c *Column) Check() error {
	n := -1
	switch {
	case c.Type == Bool:
		n = len(c.Bools)
	case c.Type.IsInt():
		n = len(c.Ints)
	case c.Type == Float:
		n = len(c.Floats)
	case c.Type == Double:
		n = len(c.Doubles)
	case c.Type == VarChar:
		n = len(c.Strings)
	case c.Type == JSON:
		n = len(c.Bytes)
	case c.Type == Array:
		n = len(c.Arrays)
	case c.Type == FloatVector:
		if c.Dim <= 0 || len(c.Vectors)%c.Dim != 0 {
			return fmt.Errorf("field %d: %d floats are no vectors of dimension %d", c.Field, len(c.Vectors), c.Dim)
		}
		n = len(c.Vectors) / c.Dim
	case c.Type.IsPacked():
		size := c.Type.RowBytes(c.Dim)
		if size <= 0 || len(c.Packed)%size != 0 {
			return fmt.Errorf("field %d: %d bytes are no vectors of type %s and dimension %d", c.Field, len(c.Packed), c.Type, c.Dim)
		}
		n = len(c.Packed) / size
	default:
		return fmt.Errorf("field %d: unsupported type %d", c.Field, c.Type)
	}
	if n != c.N || (c.Valid != nil && len(c.Valid) != c.N) {
		return fmt.Errorf("field %d: %d values and %d validity flags for %d rows", c.Field, n, len(c.Valid), c.N)
	}
	return nil
}

// Batch is a set of columns with the same number of rows.
type Batch struct {
	N       int
	Columns []*Column
}

// Column returns the column of a field, or nil.
func (b *Batch) Column(field int64) *Column {
	for _, c := range b.Columns {
		if c.Field == field {
			return c
		}
	}
	return nil
}

// Gather returns the given rows, in that order, as a new batch.
func (b *Batch) Gather(rows []int) *Batch {
	out := &Batch{N: len(rows), Columns: make([]*Column, len(b.Columns))}
	for i, c := range b.Columns {
		out.Columns[i] = c.Gather(rows)
	}
	return out
}

// Keys is a list of primary keys, all Int64 or all VarChar.
type Keys struct {
	Ints    []int64
	Strings []string
}

// Len returns the number of keys.
func (k Keys) Len() int { return len(k.Ints) + len(k.Strings) }

// KeysOf returns a primary key column's values, sharing memory.
func KeysOf(c *Column) Keys { return Keys{Ints: c.Ints, Strings: c.Strings} }
