package kernel

import (
	"math"
	"unsafe"
)

// PQ4Block is the number of vectors in a block of 4-bit product-quantiser codes.
const PQ4Block = 32

// PQ4MaxSub is the largest number of sub-quantisers whose sums of bytes fit 16 bits: 257*255 = 65535.
const PQ4MaxSub = 257

// PackPQ4 lays out the 4-bit codes of vectors in blocks of 32 as PQ4Scan reads them. codes holds m bytes per vector, each
// below 16; dst has PQ4Bytes(len(codes)/m, m) bytes. Vectors that are missing in the last block have code 0.
//
// A block is m times 16 bytes; byte i of sub-quantiser j's 16 holds vector i's code in its low half and vector 16+i's in
// its high half.
func PackPQ4(dst, codes []byte, m int) {
	n := len(codes) / m
	clear(dst[:PQ4Bytes(n, m)])
	for v := range n {
		block := dst[v/PQ4Block*m*16:]
		shift := v % PQ4Block / 16 * 4
		for j, c := range codes[v*m : (v+1)*m] {
			block[j*16+v%16] |= c & 15 << shift
		}
	}
}

// PQ4Bytes returns the bytes that n vectors of m 4-bit codes take in blocks of 32.
func PQ4Bytes(n, m int) int { return (n + PQ4Block - 1) / PQ4Block * m * 16 }

// PQ4Scan stores the sum over j of lut[16*j+code j of vector v] in out[v] for each vector of blocks (PackPQ4). lut has 16*m
// bytes, out has 32 entries per block. m is at most PQ4MaxSub; above that, PQ4ScanWide.
//
// It serves 4-bit product quantisers and 1-bit codes alike: four bits of such a code are the code of one sub-quantiser whose
// table holds the sums over the subsets of four numbers.
func (s Set) PQ4Scan(lut, blocks []byte, m int, out []uint16) {
	if m > PQ4MaxSub {
		panic("kernel: sums of so many sub-quantisers do not fit 16 bits")
	}
	if n := pq4Blocks(lut, blocks, m, len(out)); n > 0 {
		a := pq4Args(lut, blocks, m, n)
		a.out = unsafe.Pointer(&out[0])
		s.table().pq4.cut(&a, 16*m, 2*PQ4Block)
	}
}

// PQ4ScanWide is PQ4Scan with 32-bit sums, for up to 1<<24 sub-quantisers.
func (s Set) PQ4ScanWide(lut, blocks []byte, m int, out []uint32) {
	if n := pq4Blocks(lut, blocks, m, len(out)); n > 0 {
		a := pq4Args(lut, blocks, m, n)
		a.out = unsafe.Pointer(&out[0])
		s.table().pq4Wide.cut(&a, 16*m, 4*PQ4Block)
	}
}

func pq4Args(lut, blocks []byte, m, n int) args {
	return args{q: unsafe.Pointer(&lut[0]), base: unsafe.Pointer(&blocks[0]), stride: 16 * m, dim: m, n: n}
}

// pq4Blocks returns the number of blocks after it checked the lengths.
func pq4Blocks(lut, blocks []byte, m, out int) int {
	if m <= 0 {
		panic("kernel: no sub-quantisers")
	}
	n := len(blocks) / (16 * m)
	if out < n*PQ4Block {
		panic("kernel: too few results for the blocks")
	}
	_ = lut[:16*m]
	return n
}

// PQ4TableL2 stores the squared Euclidean distances between the parts of q and the 16 centroids of each part's
// sub-quantiser in table[16*j+c]. A part is dims components, the number of parts is len(q)/dims. book holds dims*16 numbers
// per sub-quantiser: component d of centroid c at book[(j*dims+d)*16+c].
func (s Set) PQ4TableL2(q, book []float32, dims int, table []float32) {
	s.pq4Table(s.table().pq4TableL2, q, book, dims, table)
}

// PQ4TableIP is PQ4TableL2 for inner products.
func (s Set) PQ4TableIP(q, book []float32, dims int, table []float32) {
	s.pq4Table(s.table().pq4TableIP, q, book, dims, table)
}

func (s Set) pq4Table(k kernelFunc, q, book []float32, dims int, table []float32) {
	m := len(q) / dims
	if m == 0 {
		return
	}
	_, _ = book[m*dims*16-1], table[16*m-1]
	const part = 64 // sub-quantisers in a call: 64*16*dims numbers, 32 KiB where dims is 8
	for j := 0; j < m; j += part {
		k.call(&args{
			q: unsafe.Pointer(&q[j*dims]), base: unsafe.Pointer(&book[j*dims*16]), dim: dims, n: min(part, m-j),
			out: unsafe.Pointer(&table[16*j]),
		})
	}
}

// QuantiseTable turns a table of 16 distances for each sub-quantiser into bytes for PQ4Scan: lut[16*j+c] is
// round((table[16*j+c] - low[j]) / scale), where low[j] is sub-quantiser j's smallest entry and scale makes the widest
// sub-quantiser fill a byte. A sum d of PQ4Scan then stands for scale*d + bias, where bias is the sum of all low[j]. For
// similarities hand over negated numbers. Tables are finite.
func (s Set) QuantiseTable(lut []byte, table []float32) (scale, bias float32) {
	m := len(table) / 16
	if m == 0 {
		return 0, 0
	}
	_ = lut[16*m-1]
	var span [2]float32 // sum of the smallest, widest
	const part = callBytes / 64
	for j := 0; j < m; j += part {
		var x [2]float32
		s.table().tableSpan.call(&args{base: unsafe.Pointer(&table[16*j]), n: min(part, m-j), out: unsafe.Pointer(&x)})
		span[0], span[1] = span[0]+x[0], max(span[1], x[1])
	}
	inv := 255 / span[1]
	if inv > math.MaxFloat32 { // all entries of each table alike, or nearly
		inv = 0
	}
	for j := 0; j < m; j += part {
		s.table().tableBytes.call(&args{
			base: unsafe.Pointer(&table[16*j]), n: min(part, m-j), q: unsafe.Pointer(&inv), out: unsafe.Pointer(&lut[16*j]),
		})
	}
	return span[1] / 255, span[0]
}
