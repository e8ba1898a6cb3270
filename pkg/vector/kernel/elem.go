package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// Elem is how the components of raw vectors are stored, always little-endian.
type Elem uint8

// Kinds of components.
const (
	F32  Elem = iota // IEEE 754 single precision
	F16              // IEEE 754 half precision
	BF16             // the upper half of a single
	I8               // signed byte
	Bit              // packed bits, component i in bit i%8 of byte i/8; only binary kernels take them
)

func (e Elem) String() string {
	if e > Bit {
		return fmt.Sprintf("element %d", uint8(e))
	}
	return [...]string{"float32", "float16", "bfloat16", "int8", "bit"}[e]
}

// Valid reports whether e is one of the kinds above.
func (e Elem) Valid() bool { return e <= Bit }

// RowBytes returns the bytes of a row of dim components. Rows of bits are padded to whole bytes.
func (e Elem) RowBytes(dim int) int {
	switch e {
	case F32:
		return 4 * dim
	case F16, BF16:
		return 2 * dim
	case I8:
		return dim
	}
	return (dim + 7) / 8
}

// Floats views bytes as single-precision numbers without copying.
func Floats(b []byte) []float32 {
	if len(b) < 4 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
}

// Bytes views single-precision numbers as bytes without copying.
func Bytes(f []float32) []byte {
	if len(f) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), len(f)*4)
}

// Decode returns the components of rows stored as e, as single-precision numbers; exact for every kind. For F32 the
// result is row itself, else it uses buf when that is large enough.
func (s Set) Decode(e Elem, row []byte, buf []float32) []float32 {
	if e == F32 {
		return Floats(row)
	}
	n := len(row)
	if e != I8 {
		n /= 2
	}
	if cap(buf) < n {
		buf = make([]float32, n)
	}
	buf = buf[:n]
	size := e.RowBytes(1)
	for i := 0; i < n; i += callBytes / 4 {
		part := min(n-i, callBytes/4)
		a := args{base: unsafe.Pointer(&row[i*size]), dim: part, out: unsafe.Pointer(&buf[i])}
		s.table().decode[e].call(&a)
	}
	return buf
}

// component returns component i of a row.
func component(e Elem, row []byte, i int) float32 {
	switch e {
	case F32:
		return math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
	case F16:
		return halfToFloat(binary.LittleEndian.Uint16(row[2*i:]))
	case BF16:
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(row[2*i:])) << 16)
	}
	return float32(int8(row[i]))
}

func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: frac * 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
