package kernel

import "unsafe"

// Codes is a block of integer codes: row r is Data[r*Stride:(r+1)*Stride]. Stride is a multiple of 64.
type Codes struct {
	Data   []byte
	Stride int
}

// Rows returns the number of code rows.
func (c Codes) Rows() int { return len(c.Data) / c.Stride }

// Row returns the code of row r.
func (c Codes) Row(r uint32) []byte { return c.Data[int(r)*c.Stride : (int(r)+1)*c.Stride] }

// SQ8 stores w[id] + bias - 2*<q, code of id> in out[i] for each id of ids. q has c.Stride bytes. A nil w counts as zero.
// The ids must be below c.Rows() (and len(w)); they are not checked.
func (s Set) SQ8(q []int8, c Codes, ids []uint32, w []int32, bias int32, out []int32) {
	_ = q[:c.Stride]
	s.table().sq8.codes(q, c, ids, w, bias, out)
}

// SQ8Range is SQ8 for the n rows from first on.
func (s Set) SQ8Range(q []int8, c Codes, first, n int, w []int32, bias int32, out []int32) {
	_ = q[:c.Stride]
	s.table().sq8.codeRange(q, c, first, n, w, bias, out)
}

// U4Stride returns the bytes that one row of 4-bit codes of dim dimensions takes: 64 for each 128 dimensions begun.
func U4Stride(dim int) int { return (dim + 127) / 128 * 64 }

// PackU4 packs 4-bit codes, one per byte of codes, into dst, which has U4Stride(len(codes)) bytes: byte j of the 64 bytes
// for dimensions 128*b to 128*b+127 holds dimension 128*b+j in its low half and 128*b+64+j in its high half.
func PackU4(dst, codes []byte) {
	clear(dst[:U4Stride(len(codes))])
	for i, c := range codes {
		dst[i/128*64+i%64] |= c & 15 << (i % 128 / 64 * 4)
	}
}

// UnpackU4 is the reverse of PackU4 for the first len(codes) dimensions.
func UnpackU4(codes, packed []byte) {
	for i := range codes {
		codes[i] = packed[i/128*64+i%64] >> (i % 128 / 64 * 4) & 15
	}
}

// U4 stores w[id] + bias - 2*<q, code of id> in out[i] for each id of ids. The codes are 4-bit numbers from 0 to 15 as
// PackU4 lays them out; q has 2*c.Stride bytes in the order of the dimensions, zero behind the last one. Ids as in SQ8.
func (s Set) U4(q []int8, c Codes, ids []uint32, w []int32, bias int32, out []int32) {
	_ = q[:2*c.Stride]
	s.table().u4.codes(q, c, ids, w, bias, out)
}

// U4Range is U4 for the n rows from first on.
func (s Set) U4Range(q []int8, c Codes, first, n int, w []int32, bias int32, out []int32) {
	_ = q[:2*c.Stride]
	s.table().u4.codeRange(q, c, first, n, w, bias, out)
}

func (k kernelFunc) codes(q []int8, c Codes, ids []uint32, w []int32, bias int32, out []int32) {
	n := len(ids)
	if n == 0 {
		return
	}
	_ = out[n-1]
	k.cut(&args{
		q: unsafe.Pointer(&q[0]), base: unsafe.Pointer(&c.Data[0]), stride: c.Stride, ids: &ids[0], n: n,
		dim: c.Stride, w: unsafe.SliceData(w), bias: bias, out: unsafe.Pointer(&out[0]),
	}, c.Stride, 4)
}

func (k kernelFunc) codeRange(q []int8, c Codes, first, n int, w []int32, bias int32, out []int32) {
	if n <= 0 {
		return
	}
	_, _ = out[n-1], c.Data[(first+n)*c.Stride-1]
	if w != nil {
		w = w[first : first+n]
	}
	k.cut(&args{
		q: unsafe.Pointer(&q[0]), base: unsafe.Pointer(&c.Data[first*c.Stride]), stride: c.Stride, n: n,
		dim: c.Stride, w: unsafe.SliceData(w), bias: bias, out: unsafe.Pointer(&out[0]),
	}, c.Stride, 4)
}

// Prefetch asks for the first lines cache lines of the code rows in ids.
func (s Set) Prefetch(c Codes, ids []uint32, lines int) {
	if len(ids) > 0 && len(c.Data) > 0 {
		a := args{base: unsafe.Pointer(&c.Data[0]), stride: c.Stride, ids: &ids[0], n: len(ids), dim: lines}
		s.table().prefetch.call(&a)
	}
}

// PrefetchAt asks for the cache lines at p.
func (s Set) PrefetchAt(p unsafe.Pointer, lines int) {
	a := args{base: p, n: 1, dim: lines}
	s.table().prefetch.call(&a)
}
