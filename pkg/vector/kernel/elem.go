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
	for i := range buf {
		buf[i] = component(e, row, i)
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

// RawL2 stores the squared Euclidean distance between q and rows[i], stored as e, in out[i].
func (s Set) RawL2(e Elem, q []float32, rows [][]byte, out []float32) { s.raw(opL2, e, q, rows, out) }

// RawIP stores the inner product of q and rows[i], stored as e, in out[i].
func (s Set) RawIP(e Elem, q []float32, rows [][]byte, out []float32) { s.raw(opIP, e, q, rows, out) }

// RawBlockL2 is RawL2 over the first len(out) rows of a row-major block.
func (s Set) RawBlockL2(e Elem, q []float32, block []byte, out []float32) {
	s.rawBlock(opL2, e, q, block, out)
}

// RawBlockIP is RawIP over the first len(out) rows of a row-major block.
func (s Set) RawBlockIP(e Elem, q []float32, block []byte, out []float32) {
	s.rawBlock(opIP, e, q, block, out)
}

// RawNorm2 returns the squared length of a row stored as e.
func (s Set) RawNorm2(e Elem, row []byte) float32 {
	if e == F32 {
		f := Floats(row)
		return s.Dot(f, f)
	}
	n := len(row)
	if e != I8 {
		n /= 2
	}
	var sum float32
	for i := range n {
		c := component(e, row, i)
		sum += c * c
	}
	return sum
}

func (s Set) raw(o op, e Elem, q []float32, rows [][]byte, out []float32) {
	n, size := len(rows), e.RowBytes(len(q))
	if n == 0 {
		return
	}
	out = out[:n]
	if len(q) == 0 {
		clear(out)
		return
	}
	if e != F32 {
		for i, row := range rows {
			out[i] = rawPair(o, e, q, row[:size])
		}
		return
	}
	var w quad
	for i := 0; i < n; i += 4 {
		for j := range w.rows {
			w.rows[j] = (*float32)(unsafe.Pointer(&rows[min(i+j, n-1)][:size][0]))
		}
		s.quad(o, &q[0], len(q), &w)
		copy(out[i:], w.out[:])
	}
}

func (s Set) rawBlock(o op, e Elem, q []float32, block []byte, out []float32) {
	size := e.RowBytes(len(q))
	if e == F32 {
		s.block(o, q, Floats(block[:len(out)*size]), len(q), out)
		return
	}
	for i := range out {
		out[i] = rawPair(o, e, q, block[i*size:(i+1)*size])
	}
}

func rawPair(o op, e Elem, q []float32, row []byte) float32 {
	var sum float32
	for i, x := range q {
		c := component(e, row, i)
		if o == opL2 {
			d := x - c
			sum += d * d
		} else {
			sum += x * c
		}
	}
	return sum
}
