package segment

import (
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/schema"
)

// textBlock is the raw size of a zstd block of strings, JSON or arrays.
const textBlock = 16 << 10

// fileMeta is the JSON in secMeta.
type fileMeta struct {
	Schema  schema.Schema `json:"schema"`
	Columns []columnMeta  `json:"columns"`
	Paths   []pathMeta    `json:"paths,omitempty"`
}

// columnMeta describes a column of the file. Min and Max bound the values that are there: integers and booleans as 8 bytes two's
// complement, floats as 8 bytes of a double, little endian; strings as they are, but only up to boundLen bytes (a
// longer Max is left out, a longer Min cut). They are absent when no row has a value, and for floats when one is NaN.
type columnMeta struct {
	Field int64       `json:"field"`
	Type  schema.Type `json:"type"`
	Elem  schema.Type `json:"elem,omitempty"`
	Dim   int         `json:"dim,omitempty"`
	Nulls int         `json:"nulls,omitempty"`
	Min   []byte      `json:"min,omitempty"`
	Max   []byte      `json:"max,omitempty"`
	Rows  int         `json:"rows,omitempty"` // 0: as many as the file
	Index *indexMeta  `json:"index,omitempty"`
	Few   [][]byte    `json:"few,omitempty"` // all distinct values, ascending, as Min is written; absent when there are many
}

// rows is the number of values of the column.
func (m *columnMeta) rows(f *columnsFile) int {
	if m.Rows > 0 {
		return m.Rows
	}
	return f.rows
}

const boundLen = 128

// columnEncoder takes a column piece by piece and writes its sections.
type columnEncoder struct {
	meta   columnMeta
	values []byte
	bools  bitWriter
	valid  bitWriter
	text   textEncoder
	bounds bounds
	few    *fewValues // nil where nobody asks for an index
}

func newColumnEncoder(f *schema.Field, z *zstd.Encoder) *columnEncoder {
	return &columnEncoder{
		meta: columnMeta{Field: f.ID, Type: f.Type, Elem: f.Elem, Dim: f.Dim},
		text: textEncoder{zstd: z},
	}
}

func (e *columnEncoder) add(c *schema.Column) {
	for i := 0; i < c.N; i++ {
		null := c.IsNull(i)
		e.valid.add(!null)
		if null {
			e.meta.Nulls++
		} else {
			e.bounds.add(c, i)
		}
	}
	if e.few != nil {
		e.few.add(c)
	}
	switch {
	case c.Type == schema.Bool:
		for _, b := range c.Bools {
			e.bools.add(b)
		}
	case c.Type.IsInt():
		e.values = appendNarrow(e.values, c.Ints, intWidth(c.Type))
	case c.Type == schema.Float:
		e.values = append(e.values, bytesOf(c.Floats)...)
	case c.Type == schema.Double:
		e.values = append(e.values, bytesOf(c.Doubles)...)
	case c.Type == schema.VarChar:
		for _, s := range c.Strings {
			e.text.add([]byte(s))
		}
	case c.Type == schema.JSON:
		for _, b := range c.Bytes {
			e.text.add(b)
		}
	case c.Type == schema.Array:
		for i := range c.Arrays {
			e.text.add(encodeElements(nil, &c.Arrays[i]))
		}
	}
}

func (e *columnEncoder) finish(out *container) error {
	id := e.meta.Field
	e.meta.Min, e.meta.Max = e.bounds.encode()
	if e.meta.Nulls > 0 {
		if err := out.add(secValidity, id, e.valid.bytes); err != nil {
			return err
		}
	}
	switch t := e.meta.Type; {
	case t.IsVector():
		return nil
	case t == schema.Bool:
		return out.add(secValues, id, e.bools.bytes)
	case isText(t):
		return e.text.finish(out, id)
	}
	return out.add(secValues, id, e.values)
}

// isText reports whether a type's values are kept as bytes of any length.
func isText(t schema.Type) bool { return t == schema.VarChar || t == schema.JSON || t == schema.Array }

func intWidth(t schema.Type) int {
	switch t {
	case schema.Int8:
		return 1
	case schema.Int16:
		return 2
	case schema.Int32:
		return 4
	}
	return 8
}

// textEncoder packs values of any length into zstd blocks of equal raw size.
type textEncoder struct {
	zstd    *zstd.Encoder
	raw     []byte // not yet compressed
	total   uint64
	offsets []uint64 // where each value begins
	blocks  []byte
	index   []uint64 // where each block begins
}

func (t *textEncoder) add(v []byte) {
	t.offsets = append(t.offsets, t.total)
	t.total += uint64(len(v))
	t.raw = append(t.raw, v...)
	for len(t.raw) >= textBlock {
		t.cut(textBlock)
	}
}

func (t *textEncoder) cut(n int) {
	t.index = append(t.index, uint64(len(t.blocks)))
	t.blocks = t.zstd.EncodeAll(t.raw[:n], t.blocks)
	t.raw = append(t.raw[:0], t.raw[n:]...)
}

func (t *textEncoder) finish(out *container, field int64) error {
	if len(t.raw) > 0 {
		t.cut(len(t.raw))
	}
	t.offsets, t.index = append(t.offsets, t.total), append(t.index, uint64(len(t.blocks)))
	if err := out.add(secOffsets, field, bytesOf(t.offsets)); err != nil {
		return err
	}
	if err := out.add(secBlockIndex, field, bytesOf(t.index)); err != nil {
		return err
	}
	return out.add(secBlocks, field, t.blocks)
}

// written returns the finished text for reading.
func (e *columnEncoder) written(rows int, z *zstd.Decoder) *text {
	t := &text{name: ColumnsName, meta: &e.meta, zstd: z, offsets: e.text.offsets, index: e.text.index, blocks: e.text.blocks}
	if e.meta.Nulls > 0 {
		t.valid = unpackBits(e.valid.bytes, rows)
	}
	return t
}

// encodeElements appends an array's elements: fixed width values, a byte per boolean, or length-prefixed strings.
func encodeElements(dst []byte, c *schema.Column) []byte {
	switch {
	case c.Type == schema.Bool:
		for _, b := range c.Bools {
			if b {
				dst = append(dst, 1)
			} else {
				dst = append(dst, 0)
			}
		}
	case c.Type.IsInt():
		dst = appendNarrow(dst, c.Ints, intWidth(c.Type))
	case c.Type == schema.Float:
		dst = append(dst, bytesOf(c.Floats)...)
	case c.Type == schema.Double:
		dst = append(dst, bytesOf(c.Doubles)...)
	case c.Type == schema.VarChar:
		for _, s := range c.Strings {
			dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
		}
	}
	return dst
}

// bounds are the least and greatest value of a column.
type bounds struct {
	kind       schema.Type // 0 until the first value
	minI, maxI int64
	minF, maxF float64
	minS, maxS string
	nan        bool
}

func (b *bounds) add(c *schema.Column, i int) {
	first := b.kind == 0
	switch {
	case c.Type.IsInt(), c.Type == schema.Bool:
		var v int64
		if c.Type == schema.Bool {
			v = int64(b2i(c.Bools[i]))
		} else {
			v = c.Ints[i]
		}
		if first {
			b.minI, b.maxI = v, v
		}
		b.minI, b.maxI = min(b.minI, v), max(b.maxI, v)
	case c.Type == schema.Float || c.Type == schema.Double:
		var v float64
		if c.Type == schema.Float {
			v = float64(c.Floats[i])
		} else {
			v = c.Doubles[i]
		}
		if first {
			b.minF, b.maxF = v, v
		}
		b.minF, b.maxF = min(b.minF, v), max(b.maxF, v)
		b.nan = b.nan || math.IsNaN(v)
	case c.Type == schema.VarChar:
		v := c.Strings[i]
		if first {
			b.minS, b.maxS = v, v
		}
		b.minS, b.maxS = min(b.minS, v), max(b.maxS, v)
	default:
		return
	}
	b.kind = c.Type
}

func (b *bounds) encode() (lo, hi []byte) {
	le := binary.LittleEndian
	switch {
	case b.kind.IsInt(), b.kind == schema.Bool:
		return le.AppendUint64(nil, uint64(b.minI)), le.AppendUint64(nil, uint64(b.maxI))
	case b.kind == schema.VarChar:
		lo = []byte(b.minS)[:min(len(b.minS), boundLen)]
		if len(b.maxS) <= boundLen {
			hi = []byte(b.maxS)
		}
		return lo, hi
	case b.kind != 0 && !b.nan:
		return le.AppendUint64(nil, math.Float64bits(b.minF)), le.AppendUint64(nil, math.Float64bits(b.maxF))
	}
	return nil, nil
}

func (m *fileMeta) encode() ([]byte, error) { return json.Marshal(m) }
