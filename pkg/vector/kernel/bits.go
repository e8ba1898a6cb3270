package kernel

import (
	"encoding/binary"
	"unsafe"
)

// Planes4 spreads a query of 4-bit numbers over bit planes for Bits4: bit i%64 of word i/64 of plane p is bit p of q[i].
// Each plane has stride/8 words, plane p starts at word p*stride/8; planes has stride/2 words.
func Planes4(planes []uint64, q []byte, stride int) {
	words := stride / 8
	clear(planes[:4*words])
	for i, v := range q {
		for p := range 4 {
			planes[p*words+i/64] |= uint64(v>>p&1) << (i % 64)
		}
	}
}

// Bits4 stores the inner product of a query of 4-bit numbers (Planes4) and the 1-bit code of row ids[i] in out[i]. A row is
// stride bytes, a multiple of 8, with dimension i in bit i%8 of byte i/8. The ids must name whole rows of codes; they are
// not checked.
func (s Set) Bits4(planes []uint64, codes []byte, stride int, ids []uint32, out []int32) {
	if n := len(ids); n > 0 {
		_ = out[n-1]
		s.bits4(planes, stride, args{base: unsafe.Pointer(&codes[0]), ids: &ids[0], n: n, out: unsafe.Pointer(&out[0])})
	}
}

// Bits4Range is Bits4 for the first len(out) rows of codes.
func (s Set) Bits4Range(planes []uint64, codes []byte, stride int, out []int32) {
	if n := len(out); n > 0 {
		_ = codes[n*stride-1]
		s.bits4(planes, stride, args{base: unsafe.Pointer(&codes[0]), n: n, out: unsafe.Pointer(&out[0])})
	}
}

func (s Set) bits4(planes []uint64, stride int, a args) {
	if stride <= 0 || stride%8 != 0 {
		panic("kernel: the stride of 1-bit codes is not a multiple of 8")
	}
	_ = planes[stride/2-1]
	a.q, a.stride, a.dim = unsafe.Pointer(&planes[0]), stride, stride
	s.table().bits4.cut(&a, stride, 4)
}

// Hamming stores the number of bits in which q and row ids[i] differ in out[i]. Row r is len(q) bytes from base[r*stride].
func (s Set) Hamming(q, base []byte, stride int, ids []uint32, out []uint32) {
	s.binaryList(s.table().hamming, q, base, stride, ids, out, nil)
}

// HammingRange is Hamming for the first len(out) rows of base.
func (s Set) HammingRange(q, base []byte, stride int, out []uint32) {
	s.binaryRange(s.table().hamming, q, base, stride, out, nil)
}

// HammingRows stores the number of bits in which q and rows[i] differ in out[i].
func (s Set) HammingRows(q []byte, rows [][]byte, out []uint32) {
	s.binaryRows(s.table().hamming, q, rows, out, nil)
}

// AndOr stores the number of bits set in both q and row ids[i] in and[i] and of those set in either in or[i]: what
// Jaccard's distance, 1 - and/or, and the tests for sub- and superstructure are made of. Row r is len(q) bytes from
// base[r*stride].
func (s Set) AndOr(q, base []byte, stride int, ids []uint32, and, or []uint32) {
	s.binaryList(s.table().andOr, q, base, stride, ids, and, or[:len(ids)])
}

// AndOrRange is AndOr for the first len(and) rows of base.
func (s Set) AndOrRange(q, base []byte, stride int, and, or []uint32) {
	s.binaryRange(s.table().andOr, q, base, stride, and, or[:len(and)])
}

// AndOrRows is AndOr for the rows in rows.
func (s Set) AndOrRows(q []byte, rows [][]byte, and, or []uint32) {
	s.binaryRows(s.table().andOr, q, rows, and, or[:len(rows)])
}

func (s Set) binaryList(k kernelFunc, q, base []byte, stride int, ids []uint32, out, out2 []uint32) {
	if n := len(ids); n > 0 {
		checkIDs(ids, (len(base)-len(q)+stride)/stride)
		s.binary(k, q, args{base: unsafe.Pointer(unsafe.SliceData(base)), stride: stride, ids: &ids[0], n: n}, out[:n], out2)
	}
}

func (s Set) binaryRange(k kernelFunc, q, base []byte, stride int, out, out2 []uint32) {
	if n := len(out); n > 0 {
		_ = base[:(n-1)*stride+len(q)]
		s.binary(k, q, args{base: unsafe.Pointer(unsafe.SliceData(base)), stride: stride, n: n}, out, out2)
	}
}

func (s Set) binaryRows(k kernelFunc, q []byte, rows [][]byte, out, out2 []uint32) {
	for _, row := range rows {
		_ = row[:len(q)]
	}
	if n := len(rows); n > 0 {
		s.binary(k, q, args{list: &rows[0], n: n}, out[:n], out2)
	}
}

func (s Set) binary(k kernelFunc, q []byte, a args, out, out2 []uint32) {
	if len(q) == 0 {
		clear(out)
		clear(out2)
		return
	}
	a.q, a.dim, a.out = unsafe.Pointer(&q[0]), len(q), unsafe.Pointer(&out[0])
	if out2 != nil {
		a.out2 = unsafe.Pointer(&out2[0])
	}
	k.cut(&a, len(q), 4)
}

// word returns the 8 bytes of b from i on, zero behind its end.
func word(b []byte, i int) uint64 {
	if len(b)-i >= 8 {
		return binary.LittleEndian.Uint64(b[i:])
	}
	var x uint64
	for j, v := range b[i:] {
		x |= uint64(v) << (8 * j)
	}
	return x
}
