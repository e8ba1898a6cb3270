package segment

import (
	"context"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/schema"
)

// decodeColumn reads a whole column that is no vector.
func (f *columnsFile) decodeColumn(ctx context.Context, m *columnMeta, z *zstd.Decoder) (*schema.Column, error) {
	c := &schema.Column{Field: m.Field, Type: m.Type, Elem: m.Elem, Dim: m.Dim, N: m.rows(f)}
	var err error
	if c.Valid, err = f.validity(ctx, m); err != nil {
		return nil, err
	}
	if isText(m.Type) {
		t, err := f.openText(ctx, m, z)
		if err != nil {
			return nil, err
		}
		return c, t.fill(c)
	}
	n := m.rows(f)
	size := n * intWidth(m.Type)
	switch m.Type {
	case schema.Bool:
		size = (n + 7) / 8
	case schema.Float:
		size = n * 4
	}
	raw, err := f.exact(ctx, secValues, m.Field, size)
	if err != nil {
		return nil, err
	}
	if !setNumbers(c, raw) {
		return nil, corrupt(f.name, "field %d has the unknown type %d", m.Field, m.Type)
	}
	return c, nil
}

// setNumbers sets a column's values from their bytes in a file.
func setNumbers(c *schema.Column, raw []byte) bool {
	switch c.Type {
	case schema.Bool:
		c.Bools = unpackBits(raw, c.N)
	case schema.Int8:
		c.Ints = widen[int8](raw)
	case schema.Int16:
		c.Ints = widen[int16](raw)
	case schema.Int32:
		c.Ints = widen[int32](raw)
	case schema.Int64:
		c.Ints = wordsOf[int64](raw)
	case schema.Float:
		c.Floats = wordsOf[float32](raw)
	case schema.Double:
		c.Doubles = wordsOf[float64](raw)
	default:
		return false
	}
	return true
}

func (f *columnsFile) validity(ctx context.Context, m *columnMeta) ([]bool, error) {
	if m.Nulls == 0 {
		return nil, nil
	}
	n := m.rows(f)
	raw, err := f.exact(ctx, secValidity, m.Field, (n+7)/8)
	if err != nil {
		return nil, err
	}
	return unpackBits(raw, n), nil
}

// text is a column of values of any length, kept compressed. Values of single rows are read block by block.
type text struct {
	name    string
	meta    *columnMeta
	zstd    *zstd.Decoder
	valid   []bool
	offsets []uint64 // rows+1
	index   []uint64 // blocks+1
	blocks  []byte
}

func (f *columnsFile) openText(ctx context.Context, m *columnMeta, z *zstd.Decoder) (*text, error) {
	t := &text{name: f.name, meta: m, zstd: z}
	var err error
	if t.valid, err = f.validity(ctx, m); err != nil {
		return nil, err
	}
	n := m.rows(f)
	raw, err := f.exact(ctx, secOffsets, m.Field, 8*(n+1))
	if err != nil {
		return nil, err
	}
	t.offsets = wordsOf[uint64](raw)
	total := t.offsets[n]
	if total > 1<<40 {
		return nil, corrupt(f.name, "field %d: text of %d bytes", m.Field, total)
	}
	blocks := int((total + textBlock - 1) / textBlock)
	if raw, err = f.exact(ctx, secBlockIndex, m.Field, 8*(blocks+1)); err != nil {
		return nil, err
	}
	t.index = wordsOf[uint64](raw)
	if t.blocks, err = f.exact(ctx, secBlocks, m.Field, int(t.index[blocks])); err != nil {
		return nil, err
	}
	if !ascending(t.offsets) || !ascending(t.index) {
		return nil, corrupt(f.name, "field %d: offsets do not ascend", m.Field)
	}
	return t, nil
}

func ascending(v []uint64) bool {
	for i := 1; i < len(v); i++ {
		if v[i] < v[i-1] {
			return false
		}
	}
	return v[0] == 0
}

func (t *text) bytes() int64 { return int64(8*len(t.offsets) + 8*len(t.index) + len(t.blocks)) }

// block appends the raw text of a block. The decoder's bound on memory counts what lies in its destination before, so
// it gets the free part only.
func (t *text) block(dst []byte, b int) ([]byte, error) {
	want := min(textBlock, int(t.offsets[len(t.offsets)-1])-b*textBlock)
	dst = slices.Grow(dst, want)
	got, err := t.zstd.DecodeAll(t.blocks[t.index[b]:t.index[b+1]], dst[len(dst):])
	if err != nil || len(got) != want {
		return nil, corrupt(t.name, "field %d, block %d: %v, %d bytes instead of %d", t.meta.Field, b, err, len(got), want)
	}
	return append(dst, got...), nil // in place, unless the decoder took memory of its own
}

// each calls fn with the bytes of every row that has a value, in order. They are valid during the call.
func (t *text) each(rows int, fn func(row int, v []byte)) error {
	var have []byte // raw text from byte `from` on
	from, next := uint64(0), 0
	for i := range rows {
		if t.valid != nil && !t.valid[i] {
			continue
		}
		lo, hi := t.offsets[i], t.offsets[i+1]
		for from+uint64(len(have)) < hi {
			if drop := min(max(lo, from)-from, uint64(len(have))); drop > 0 {
				have, from = append(have[:0], have[drop:]...), from+drop
			}
			var err error
			if have, err = t.block(have, next); err != nil {
				return err
			}
			next++
		}
		fn(i, have[lo-from:hi-from])
	}
	return nil
}

// fill decodes every row into c. Values share one allocation.
func (t *text) fill(c *schema.Column) error {
	var all []byte
	for b := 0; b+1 < len(t.index); b++ {
		var err error
		if all, err = t.block(all, b); err != nil {
			return err
		}
	}
	return t.spread(c, c.N, func(i int) ([]byte, bool) { return all[t.offsets[i]:t.offsets[i+1]], c.IsNull(i) })
}

// gather returns single rows as a column.
func (t *text) gather(rows []uint32) (*schema.Column, error) {
	c := &schema.Column{Field: t.meta.Field, Type: t.meta.Type, Elem: t.meta.Elem, N: len(rows)}
	if t.valid != nil {
		c.Valid = make([]bool, len(rows))
		for i, r := range rows {
			c.Valid[i] = t.valid[r]
		}
	}
	var all []byte
	ends := make([]int, 0, len(rows))
	raw, at := []byte(nil), -1 // the block that was decoded last
	for _, r := range rows {
		for lo, hi := t.offsets[r], t.offsets[r+1]; lo < hi; {
			b := int(lo / textBlock)
			if b != at {
				var err error
				if raw, err = t.block(raw[:0], b); err != nil {
					return nil, err
				}
				at = b
			}
			part := raw[lo-uint64(b)*textBlock : min(hi-uint64(b)*textBlock, uint64(len(raw)))]
			all = append(all, part...)
			lo += uint64(len(part))
		}
		ends = append(ends, len(all))
	}
	start := 0
	return c, t.spread(c, len(rows), func(i int) ([]byte, bool) {
		v := all[start:ends[i]]
		start = ends[i]
		return v, c.IsNull(i)
	})
}

// spread sets a column's n values from their bytes, which it takes over.
func (t *text) spread(c *schema.Column, n int, value func(i int) (v []byte, null bool)) error {
	switch t.meta.Type {
	case schema.VarChar:
		c.Strings = make([]string, n)
	case schema.JSON:
		c.Bytes = make([][]byte, n)
	default:
		c.Arrays = make([]schema.Column, n)
	}
	for i := range n {
		v, null := value(i)
		switch {
		case t.meta.Type == schema.VarChar:
			c.Strings[i] = unsafe.String(unsafe.SliceData(v), len(v))
		case t.meta.Type == schema.JSON && !null:
			c.Bytes[i] = v[:len(v):len(v)]
		case t.meta.Type == schema.Array:
			a, ok := decodeElements(t.meta.Elem, v)
			if !ok {
				return corrupt(t.name, "field %d: bad array", t.meta.Field)
			}
			c.Arrays[i] = a
		}
	}
	return nil
}

func decodeElements(elem schema.Type, raw []byte) (c schema.Column, ok bool) {
	c.Type = elem
	width := 0
	switch {
	case elem == schema.Bool:
		c.N = len(raw)
		for _, b := range raw {
			c.Bools = append(c.Bools, b != 0)
		}
		return c, true
	case elem == schema.VarChar:
		for len(raw) > 0 {
			n, used := binary.Uvarint(raw)
			if used <= 0 || n > uint64(len(raw)-used) {
				return c, false
			}
			c.Strings = append(c.Strings, string(raw[used:used+int(n)]))
			raw = raw[used+int(n):]
			c.N++
		}
		return c, true
	case elem == schema.Float:
		width = 4
	case elem == schema.Double || elem.IsInt():
		width = intWidth(elem)
	default:
		return c, len(raw) == 0
	}
	if len(raw)%width != 0 {
		return c, false
	}
	c.N = len(raw) / width
	switch {
	case elem == schema.Float:
		c.Floats = wordsOf[float32](raw)
	case elem == schema.Double:
		c.Doubles = wordsOf[float64](raw)
	case width == 1:
		c.Ints = widen[int8](raw)
	case width == 2:
		c.Ints = widen[int16](raw)
	case width == 4:
		c.Ints = widen[int32](raw)
	default:
		c.Ints = wordsOf[int64](raw)
	}
	return c, true
}
