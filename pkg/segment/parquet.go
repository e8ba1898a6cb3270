package segment

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/gyr-db/gyr/pkg/schema"
)

// rows.parquet holds every row and every field under the field's own name, in schema order, then __timestamp (and
// __deleted). Scalars are zstd-compressed, nullable fields optional, VarChar a string, JSON a JSON string, arrays lists.
//
// A vector of float32 is a list<float>, which every reader of Parquet shows as numbers; vectors of other types, whose
// components are no type of every reader, are a FIXED_LEN_BYTE_ARRAY of the stored bytes. Both are uncompressed and
// PLAIN: pages end in the vectors of their rows, one after the other, so the file offset of a row's vector follows from the page's place, size and first row, all in the page index. The
// columns file repeats those places with a checksum each (see vectorPage), and nothing but that is needed to read
// vectors.
//
// Key-value metadata: gyr.format, gyr.schema (JSON), gyr.schema_version, gyr.primary_key, gyr.sorted_by.
const (
	parquetFormat = "1"
	parquetPage   = 1 << 20
	rowGroupBytes = 64 << 20
	maxRowGroup   = 128 << 10
	minRowGroup   = 1 << 10
	maxValues     = 4096     // values that are handed to a column's writer at once
	maxPacked     = 64 << 10 // bytes of vectors that are handed to a column's writer at once
)

// group is a Parquet group whose fields keep the order they are given in.
type group struct {
	parquet.Group
	order []string
}

func (g group) Fields() []parquet.Field {
	sorted := g.Group.Fields()
	byName := make(map[string]parquet.Field, len(sorted))
	for _, f := range sorted {
		byName[f.Name()] = f
	}
	out := make([]parquet.Field, len(g.order))
	for i, name := range g.order {
		out[i] = byName[name]
	}
	return out
}

func (g group) GoType() reflect.Type { return reflect.TypeFor[any]() }

func parquetSchema(s *schema.Schema, dead bool) (*parquet.Schema, error) {
	g := group{Group: parquet.Group{}}
	add := func(name string, n parquet.Node) {
		g.Group[name] = n
		g.order = append(g.order, name)
	}
	for i := range s.Fields {
		n, err := parquetNode(&s.Fields[i])
		if err != nil {
			return nil, err
		}
		add(s.Fields[i].Name, n)
	}
	stamp := parquet.Compressed(parquet.Uint(64), &parquet.Zstd)
	add(TimestampColumn, stamp)
	if dead {
		add(DeletedColumn, stamp)
	}
	if len(g.Group) != len(g.order) {
		return nil, fmt.Errorf("two fields of the schema have one name, or one is called %s or %s", TimestampColumn, DeletedColumn)
	}
	return parquet.NewSchema("rows", g), nil
}

func parquetNode(f *schema.Field) (parquet.Node, error) {
	var n parquet.Node
	switch f.Type {
	case schema.FloatVector:
		n = parquet.List(parquet.Compressed(parquet.Encoded(parquet.Leaf(parquet.FloatType), &parquet.Plain), &parquet.Uncompressed))
	case schema.Float16Vector, schema.BFloat16Vector, schema.Int8Vector, schema.BinaryVector:
		size := f.Type.RowBytes(f.Dim)
		n = parquet.Compressed(parquet.Encoded(parquet.Leaf(parquet.FixedLenByteArrayType(size)), &parquet.Plain), &parquet.Uncompressed)
	case schema.Array:
		elem, err := parquetScalar(f.Elem)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		n = parquet.List(elem)
	default:
		var err error
		if n, err = parquetScalar(f.Type); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	if f.Nullable {
		n = parquet.Optional(n)
	}
	return n, nil
}

func parquetScalar(t schema.Type) (parquet.Node, error) {
	var n parquet.Node
	switch t {
	case schema.Bool:
		n = parquet.Leaf(parquet.BooleanType)
	case schema.Int8, schema.Int16, schema.Int32, schema.Int64:
		n = parquet.Int(8 * intWidth(t))
	case schema.Float:
		n = parquet.Leaf(parquet.FloatType)
	case schema.Double:
		n = parquet.Leaf(parquet.DoubleType)
	case schema.VarChar:
		n = parquet.String()
	case schema.JSON:
		n = parquet.JSON()
	default:
		return nil, fmt.Errorf("type %s cannot be stored", t)
	}
	return parquet.Compressed(n, &parquet.Zstd), nil
}

// parquetWriter writes row groups column by column.
type parquetWriter struct {
	//lint:ignore SA1019 columns are written one by one; the writer that replaces this one takes rows of a Go type
	w      *parquet.Writer
	values []parquet.Value // scratch
}

func newParquetWriter(out io.Writer, s *schema.Schema, dead bool) (*parquetWriter, error) {
	ps, err := parquetSchema(s, dead)
	if err != nil {
		return nil, err
	}
	js, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	pk := s.PrimaryKey().Name
	opts := []parquet.WriterOption{
		ps,
		parquet.CreatedBy("gyr", parquetFormat, "segment"),
		parquet.PageBufferSize(parquetPage),
		parquet.DataPageVersion(1),
		parquet.DataPageStatistics(false),
		parquet.KeyValueMetadata("gyr.format", parquetFormat),
		parquet.KeyValueMetadata("gyr.schema", string(js)),
		parquet.KeyValueMetadata("gyr.schema_version", strconv.Itoa(int(s.Version))),
		parquet.KeyValueMetadata("gyr.primary_key", pk),
		parquet.KeyValueMetadata("gyr.sorted_by", pk+","+TimestampColumn),
	}
	for _, f := range s.VectorFields() {
		path := []string{f.Name}
		if f.Type == schema.FloatVector {
			path = append(path, "list", "element")
		}
		opts = append(opts, parquet.SkipPageBounds(path...))
	}
	return &parquetWriter{w: parquet.NewWriter(out, opts...)}, nil
}

// column writes a piece of the i-th column of the file. c has the field's type; nullable says whether it is optional.
func (p *parquetWriter) column(i int, c *schema.Column, nullable bool) error {
	cw := p.w.ColumnWriters()[i]
	base := 0
	if nullable {
		base = 1
	}
	limit := maxValues
	if c.Type.IsPacked() { // a page is only ended between two calls
		limit = max(1, maxPacked/c.Type.RowBytes(c.Dim))
	}
	for r := 0; r < c.N; r++ {
		p.values = p.appendRow(p.values, c, r, i, base)
		if len(p.values) >= limit || r == c.N-1 {
			if _, err := cw.WriteRowValues(p.values); err != nil {
				return fmt.Errorf("parquet column %d: %w", i, err)
			}
			if isText(c.Type) || c.Type.IsPacked() {
				clear(p.values) // they point into the caller's memory
			}
			p.values = p.values[:0]
		}
	}
	return nil
}

// appendRow appends the values of one row. base is the definition level of a value that is there and is no list.
func (p *parquetWriter) appendRow(dst []parquet.Value, c *schema.Column, r, col, base int) []parquet.Value {
	list := c.Type == schema.Array
	if base > 0 && c.IsNull(r) {
		return append(dst, parquet.NullValue().Level(0, 0, col))
	}
	switch {
	case c.Type.IsPacked():
		dst = append(dst, parquet.FixedLenByteArrayValue(c.PackedRow(r)).Level(0, base, col))
	case c.Type == schema.FloatVector:
		for j, x := range c.Vector(r) {
			dst = append(dst, parquet.FloatValue(x).Level(min(j, 1), base+1, col))
		}
	case c.Type == schema.Array && c.Arrays[r].N == 0:
		return append(dst, parquet.NullValue().Level(0, base, col))
	case list:
		a := &c.Arrays[r]
		for j := 0; j < a.N; j++ {
			dst = append(dst, scalarValue(a, j).Level(min(j, 1), base+1, col))
		}
	default:
		dst = append(dst, scalarValue(c, r).Level(0, base, col))
	}
	return dst
}

func scalarValue(c *schema.Column, i int) parquet.Value {
	switch c.Type {
	case schema.Bool:
		return parquet.BooleanValue(c.Bools[i])
	case schema.Int64:
		return parquet.Int64Value(c.Ints[i])
	case schema.Float:
		return parquet.FloatValue(c.Floats[i])
	case schema.Double:
		return parquet.DoubleValue(c.Doubles[i])
	case schema.VarChar:
		return parquet.ByteArrayValue([]byte(c.Strings[i]))
	case schema.JSON:
		return parquet.ByteArrayValue(c.Bytes[i])
	}
	return parquet.Int32Value(int32(c.Ints[i]))
}

// stamps writes a piece of a timestamp column.
func (p *parquetWriter) stamps(i int, ts []uint64) error {
	ints := make([]int64, len(ts))
	for j, v := range ts {
		ints[j] = int64(v)
	}
	return p.column(i, &schema.Column{Type: schema.Int64, N: len(ints), Ints: ints}, false)
}

func (p *parquetWriter) endRowGroup() error { return p.w.Flush() }

func (p *parquetWriter) close() error { return p.w.Close() }

// vectorPage says where the vectors of some consecutive rows lie in rows.parquet: Values vectors (rows without one take
// no room) at Offset. The page ends where the next one's FirstRow is.
type vectorPage struct {
	FirstRow uint32
	Values   uint32
	Offset   uint64
	CRC      uint32
}

const vectorPageSize = 20

// vectorPages finds the pages of one vector column in a finished file and checksums them. valid tells which rows have a
// vector (nil: all).
func vectorPages(file io.ReaderAt, size int64, column, rowBytes int, valid []bool) ([]vectorPage, error) {
	pf, err := parquet.OpenFile(file, size)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	var out []vectorPage
	buf := make([]byte, 0, parquetPage+parquetPage/4)
	first := int64(0)
	for _, rg := range pf.RowGroups() {
		idx, err := rg.ColumnChunks()[column].OffsetIndex()
		if err != nil {
			return nil, fmt.Errorf("page index: %w", err)
		}
		for i := range idx.NumPages() {
			lo, hi := first+idx.FirstRowIndex(i), first+rg.NumRows()
			if i+1 < idx.NumPages() {
				hi = first + idx.FirstRowIndex(i+1)
			}
			pg := vectorPage{FirstRow: uint32(lo), Values: uint32(countValid(valid, lo, hi))}
			n := int64(pg.Values) * int64(rowBytes)
			pg.Offset = uint64(idx.Offset(i) + idx.CompressedPageSize(i) - n)
			buf = append(buf[:0], make([]byte, n)...)
			if _, err := file.ReadAt(buf, int64(pg.Offset)); err != nil {
				return nil, fmt.Errorf("read back: %w", err)
			}
			pg.CRC = checksum(buf)
			out = append(out, pg)
		}
		first += rg.NumRows()
	}
	return out, nil
}

func countValid(valid []bool, lo, hi int64) int {
	if valid == nil {
		return int(hi - lo)
	}
	n := 0
	for _, v := range valid[lo:hi] {
		if v {
			n++
		}
	}
	return n
}
