package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// The encoding of batches and keys: little endian, length-prefixed, flat arrays. It is used in log records and
// between services; a version byte leads, and a decoder never trusts a length.
//
//	batch  = version u8, rows uvarint, columns uvarint, column...
//	column = field uvarint, type u8, elem u8, dim uvarint, flags u8, [validity bitmap], values
//	values = fixed-width array | (uvarint length, bytes)... | column... (arrays, without field and validity)
const codecVersion = 1

const flagValid = 1

// maxNesting bounds arrays in arrays, which no schema allows, when decoding foreign bytes.
const maxNesting = 2

// ErrMalformed: bytes are no batch or key list.
var ErrMalformed = errors.New("malformed column data")

// Encode appends the batch to dst.
func (b *Batch) Encode(dst []byte) []byte {
	dst = append(dst, codecVersion)
	dst = binary.AppendUvarint(dst, uint64(b.N))
	dst = binary.AppendUvarint(dst, uint64(len(b.Columns)))
	for _, c := range b.Columns {
		dst = c.encode(dst)
	}
	return dst
}

func (c *Column) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.Field))
	dst = append(dst, byte(c.Type), byte(c.Elem))
	dst = binary.AppendUvarint(dst, uint64(c.Dim))
	if c.Valid == nil {
		dst = append(dst, 0)
	} else {
		dst = appendBits(append(dst, flagValid), c.Valid)
	}
	switch {
	case c.Type == Bool:
		dst = appendBits(dst, c.Bools)
	case c.Type.IsInt():
		dst = append(dst, rawBytes(c.Ints)...)
	case c.Type == Float:
		dst = append(dst, rawBytes(c.Floats)...)
	case c.Type == Double:
		dst = append(dst, rawBytes(c.Doubles)...)
	case c.Type == VarChar:
		for _, s := range c.Strings {
			dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
		}
	case c.Type == JSON:
		for _, s := range c.Bytes {
			dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
		}
	case c.Type == Array:
		for i := range c.Arrays {
			dst = binary.AppendUvarint(dst, uint64(c.Arrays[i].N))
			dst = c.Arrays[i].encode(dst)
		}
	case c.Type == FloatVector:
		dst = append(dst, rawBytes(c.Vectors)...)
	case c.Type.IsPacked():
		dst = append(dst, c.Packed...)
	}
	return dst
}

// DecodeBatch reads what Encode wrote. The result shares no memory with src.
func DecodeBatch(src []byte) (*Batch, error) {
	d := decoder{src: src}
	if v := d.byte(); d.err == nil && v != codecVersion {
		return nil, fmt.Errorf("%w: version %d, this binary reads %d", ErrMalformed, v, codecVersion)
	}
	b := &Batch{N: d.count(math.MaxInt32)}
	n := d.count(len(src))
	for i := 0; i < n && d.err == nil; i++ {
		b.Columns = append(b.Columns, d.column(b.N, 0))
	}
	if d.err == nil && len(d.src) != 0 {
		d.fail("trailing bytes")
	}
	if d.err != nil {
		return nil, d.err
	}
	return b, nil
}

// Encode appends the keys to dst.
func (k Keys) Encode(dst []byte) []byte {
	c := Column{Type: Int64, N: len(k.Ints), Ints: k.Ints}
	if len(k.Strings) > 0 {
		c = Column{Type: VarChar, N: len(k.Strings), Strings: k.Strings}
	}
	return (&Batch{N: c.N, Columns: []*Column{&c}}).Encode(dst)
}

// DecodeKeys reads what Keys.Encode wrote; no bytes at all are no keys.
func DecodeKeys(src []byte) (Keys, error) {
	if len(src) == 0 {
		return Keys{}, nil
	}
	b, err := DecodeBatch(src)
	if err != nil {
		return Keys{}, err
	}
	if len(b.Columns) != 1 || (b.Columns[0].Type != Int64 && b.Columns[0].Type != VarChar) {
		return Keys{}, fmt.Errorf("%w: no key list", ErrMalformed)
	}
	return KeysOf(b.Columns[0]), nil
}

type decoder struct {
	src []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.src = nil
}

func (d *decoder) byte() byte {
	if len(d.src) == 0 {
		d.fail("cut short")
		return 0
	}
	v := d.src[0]
	d.src = d.src[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) count(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail("number out of range")
		return 0
	}
	return int(v)
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.src) {
		d.fail("cut short")
		return nil
	}
	v := d.src[:n]
	d.src = d.src[n:]
	return v
}

func (d *decoder) column(rows, depth int) *Column {
	c := &Column{N: rows}
	c.Field = int64(d.uvarint())
	c.Type, c.Elem = Type(d.byte()), Type(d.byte())
	c.Dim = d.count(1 << 20)
	if d.byte()&flagValid != 0 {
		c.Valid = d.bits(rows)
	}
	switch {
	case c.Type == Bool:
		c.Bools = d.bits(rows)
	case c.Type.IsInt():
		c.Ints = fixed[int64](d, rows)
	case c.Type == Float:
		c.Floats = fixed[float32](d, rows)
	case c.Type == Double:
		c.Doubles = fixed[float64](d, rows)
	case c.Type == VarChar:
		c.Strings = make([]string, 0, min(rows, len(d.src)))
		for i := 0; i < rows && d.err == nil; i++ {
			c.Strings = append(c.Strings, string(d.take(d.count(len(d.src)))))
		}
	case c.Type == JSON:
		c.Bytes = make([][]byte, 0, min(rows, len(d.src)))
		for i := 0; i < rows && d.err == nil; i++ {
			c.Bytes = append(c.Bytes, append([]byte(nil), d.take(d.count(len(d.src)))...))
		}
	case c.Type == Array && depth < maxNesting:
		c.Arrays = make([]Column, 0, min(rows, len(d.src)))
		for i := 0; i < rows && d.err == nil; i++ {
			c.Arrays = append(c.Arrays, *d.column(d.count(8*len(d.src)), depth+1))
		}
	case c.Type == FloatVector && c.Dim > 0:
		c.Vectors = fixed[float32](d, rows*c.Dim)
	case c.Type.IsPacked() && c.Dim > 0:
		c.Packed = append([]byte(nil), d.take(rows*c.Type.RowBytes(c.Dim))...)
	default:
		d.fail(fmt.Sprintf("unsupported type %d", c.Type))
	}
	return c
}

func (d *decoder) bits(n int) []bool {
	raw := d.take((n + 7) / 8)
	if d.err != nil {
		return nil
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = raw[i>>3]>>(i&7)&1 != 0
	}
	return out
}

func appendBits(dst []byte, bits []bool) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, (len(bits)+7)/8)...)
	for i, b := range bits {
		if b {
			dst[start+i>>3] |= 1 << (i & 7)
		}
	}
	return dst
}

type number interface{ ~int64 | ~float32 | ~float64 }

// fixed copies n little-endian numbers; Gyr runs on little-endian machines only (checked by a test).
func fixed[T number](d *decoder, n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if n < 0 || n > len(d.src)/size {
		d.fail("cut short")
		return nil
	}
	out := make([]T, n)
	copy(rawBytes(out), d.take(n*size))
	return out
}

// rawBytes views numbers as their bytes in memory.
func rawBytes[T number](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}
