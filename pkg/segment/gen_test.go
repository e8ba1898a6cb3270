package segment

import (
	"fmt"
	"math/rand/v2"

	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector"
)

const testDim = 8

// Field ids of testSchema.
const (
	fPK = schema.FirstUserField + iota
	fVec
	fBool
	fI8
	fI16
	fI32
	fI64
	fFloat
	fDouble
	fText
	fJSON
	fTags
	fNums
	fOptVec
	fMeta
	fLate // not in testSchema: added by lateSchema
	fLateNull
	fHalf
	fBrain
	fBytes
	fBits
)

// testSchema has a field of every type.
func testSchema(pk schema.Type) *schema.Schema {
	s := goldenSchema(pk)
	s.Fields = append(s.Fields,
		schema.Field{ID: fHalf, Name: "half", Type: schema.Float16Vector, Dim: 5, Nullable: true},
		schema.Field{ID: fBrain, Name: "brain", Type: schema.BFloat16Vector, Dim: 4},
		schema.Field{ID: fBytes, Name: "bytes", Type: schema.Int8Vector, Dim: 7, Nullable: true},
		schema.Field{ID: fBits, Name: "bits", Type: schema.BinaryVector, Dim: 24})
	return s
}

// goldenSchema is that of the files in testdata.
func goldenSchema(pk schema.Type) *schema.Schema {
	return &schema.Schema{Version: 1, EnableDynamic: true, Fields: []schema.Field{
		{ID: fPK, Name: "id", Type: pk, PrimaryKey: true, MaxLength: 64},
		{ID: fVec, Name: "vec", Type: schema.FloatVector, Dim: testDim},
		{ID: fBool, Name: "flag", Type: schema.Bool, Nullable: true},
		{ID: fI8, Name: "tiny", Type: schema.Int8},
		{ID: fI16, Name: "small", Type: schema.Int16, Nullable: true},
		{ID: fI32, Name: "medium", Type: schema.Int32},
		{ID: fI64, Name: "big", Type: schema.Int64, Nullable: true},
		{ID: fFloat, Name: "ratio", Type: schema.Float, Nullable: true},
		{ID: fDouble, Name: "weight", Type: schema.Double},
		{ID: fText, Name: "title", Type: schema.VarChar, Nullable: true, MaxLength: 256},
		{ID: fJSON, Name: "doc", Type: schema.JSON, Nullable: true},
		{ID: fTags, Name: "tags", Type: schema.Array, Elem: schema.VarChar, MaxCapacity: 8},
		{ID: fNums, Name: "nums", Type: schema.Array, Elem: schema.Int32, Nullable: true, MaxCapacity: 8},
		{ID: fOptVec, Name: "side", Type: schema.FloatVector, Dim: 3, Nullable: true},
		{ID: fMeta, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true},
	}}
}

// lateSchema adds fields to a schema.
func lateSchema(s *schema.Schema) *schema.Schema {
	s.Version = 2
	s.Fields = append(s.Fields,
		schema.Field{
			ID: fLate, Name: "late", Type: schema.Int32, Nullable: true,
			Default: &schema.Column{Type: schema.Int32, N: 1, Ints: []int64{7}},
		},
		schema.Field{ID: fLateNull, Name: "late_null", Type: schema.VarChar, Nullable: true, MaxLength: 16})
	return s
}

func fieldIDs(s *schema.Schema) []int64 {
	var ids []int64
	for i := range s.Fields {
		ids = append(ids, s.Fields[i].ID)
	}
	return ids
}

func keyString(k int) string { return fmt.Sprintf("key-%04d", k) }

// randomRow appends a row with the given key to every column of b.
func randomRow(r *rand.Rand, s *schema.Schema, b *schema.Batch, key int) {
	for i := range s.Fields {
		f := &s.Fields[i]
		c := b.Columns[i]
		if f.Nullable && r.IntN(4) == 0 {
			c.AppendNull()
			continue
		}
		one := randomValue(r, f, key)
		c.AppendFrom(one, 0)
	}
	b.N++
}

func randomValue(r *rand.Rand, f *schema.Field, key int) *schema.Column {
	c := schema.NewColumn(f)
	c.N = 1
	text := func() string { return fmt.Sprintf("w%d %x", r.IntN(40), r.Uint64()>>r.IntN(60)) }
	switch f.Type {
	case schema.Bool:
		c.Bools = []bool{r.IntN(2) == 0}
	case schema.Int8:
		c.Ints = []int64{int64(r.IntN(256) - 128)}
	case schema.Int16:
		c.Ints = []int64{int64(r.IntN(1<<16) - 1<<15)}
	case schema.Int32:
		c.Ints = []int64{int64(r.IntN(100))}
	case schema.Int64:
		c.Ints = []int64{r.Int64() - r.Int64()}
		if f.PrimaryKey {
			c.Ints[0] = int64(key)
		}
	case schema.Float:
		c.Floats = []float32{r.Float32()}
	case schema.Double:
		c.Doubles = []float64{r.NormFloat64()}
	case schema.VarChar:
		c.Strings = []string{text()}
		if f.PrimaryKey {
			c.Strings[0] = keyString(key)
		}
	case schema.JSON:
		c.Bytes = [][]byte{fmt.Appendf(nil, `{"n":%d,"s":%q}`, r.IntN(20), text())}
	case schema.Array:
		e := schema.Column{Type: f.Elem, N: r.IntN(4)}
		for range e.N {
			if f.Elem == schema.VarChar {
				e.Strings = append(e.Strings, text())
			} else {
				e.Ints = append(e.Ints, int64(r.IntN(10)))
			}
		}
		c.Arrays = []schema.Column{e}
	case schema.FloatVector:
		for range f.Dim {
			c.Vectors = append(c.Vectors, float32(r.NormFloat64()))
		}
	default:
		c.Packed = randomPacked(r, f)
	}
	return c
}

// randomPacked is a vector of a packed type: normally distributed numbers, or any bytes.
func randomPacked(r *rand.Rand, f *schema.Field) []byte {
	var out []byte
	switch f.Type {
	case schema.Float16Vector, schema.BFloat16Vector:
		elem, _ := index.ElemOf(f.Type)
		v := make([]float32, f.Dim)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		out = vector.Encode(elem, v, nil)
	default:
		for range f.Type.RowBytes(f.Dim) {
			out = append(out, byte(r.Uint32()))
		}
	}
	return out
}

func emptyBatch(s *schema.Schema) *schema.Batch {
	b := &schema.Batch{}
	for i := range s.Fields {
		b.Columns = append(b.Columns, schema.NewColumn(&s.Fields[i]))
	}
	return b
}

// randomRows returns n rows with keys below keys and ascending timestamps from ts+1.
func randomRows(r *rand.Rand, s *schema.Schema, n, keys int, ts uint64) Rows {
	out := Rows{Batch: emptyBatch(s)}
	for range n {
		ts += uint64(r.IntN(3))
		randomRow(r, s, out.Batch, r.IntN(keys))
		out.TS = append(out.TS, ts+1)
	}
	return out
}

// render shows a row's values of all columns.
func render(b *schema.Batch, i int) string {
	out := ""
	for _, c := range b.Columns {
		if c.IsNull(i) {
			out += "null|"
			continue
		}
		one := c.Slice(i, i+1)
		switch c.Type {
		case schema.Bool:
			out += fmt.Sprint(one.Bools)
		case schema.Float:
			out += fmt.Sprint(one.Floats)
		case schema.Double:
			out += fmt.Sprint(one.Doubles)
		case schema.VarChar:
			out += fmt.Sprintf("%q", one.Strings)
		case schema.JSON:
			out += string(one.Bytes[0])
		case schema.Array:
			out += fmt.Sprint(one.Arrays[0].N, one.Arrays[0].Ints, one.Arrays[0].Strings)
		case schema.FloatVector:
			out += fmt.Sprint(one.Vectors)
		case schema.Float16Vector, schema.BFloat16Vector, schema.Int8Vector, schema.BinaryVector:
			out += fmt.Sprintf("%x", one.Packed)
		default:
			out += fmt.Sprint(one.Ints)
		}
		out += "|"
	}
	return out
}
