// Package kernelbench lists the kernels of a tier as functions that can be timed, for the benchmarks of package kernel and
// for programs that print ns per distance. The data of each fills about 256 KiB, so that it stays in the second cache level:
// what is timed is arithmetic, not memory.
package kernelbench

import (
	"fmt"
	"math/rand/v2"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Bench is one kernel at one dimension.
type Bench struct {
	Name        string // for example "f16/l2"
	Dim         int
	BytesPerRow float64
	// Run computes at least n distances, decoded rows or filtered entries and returns their number.
	Run func(n int) int
}

// dataBytes is the size of the data that a benchmark walks.
const dataBytes = 256 << 10

// perCall is the number of rows in one call of a kernel on lists.
const perCall = 64

// Dims are the dimensions that are timed.
func Dims() []int { return []int{128, 384, 768, 1536} }

// Benchmarks returns the benchmarks of set at each of Dims.
func Benchmarks(set kernel.Set) []Bench {
	var out []Bench
	for _, dim := range Dims() {
		b := &builder{s: set, dim: dim, r: rand.New(rand.NewPCG(uint64(dim), 1))}
		b.raw()
		b.codes()
		b.bits()
		b.scans()
		b.tile()
		out = append(out, b.out...)
	}
	return out
}

type builder struct {
	s   kernel.Set
	dim int
	r   *rand.Rand
	out []Bench
}

// add appends a benchmark whose call takes per rows of size bytes.
func (b *builder) add(name string, size float64, per int, call func(i int)) {
	b.out = append(b.out, Bench{Name: name, Dim: b.dim, BytesPerRow: size, Run: func(n int) int {
		done := 0
		for i := 0; done < n; i++ {
			call(i)
			done += per
		}
		return done
	}})
}

func (b *builder) bytes(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(b.r.Uint32())
	}
	return out
}

func (b *builder) floats(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(b.r.NormFloat64())
	}
	return out
}

// components returns n ordinary components: numbers that are subnormal or not finite would be slower.
func (b *builder) components(e kernel.Elem, n int) []byte {
	if e == kernel.F32 {
		return kernel.Bytes(b.floats(n))
	}
	out := b.bytes(e.RowBytes(n))
	for i := 1; i < len(out) && e != kernel.I8; i += 2 {
		out[i] = 0x3f - out[i]&0x81 // between 2^-2 and 2^2 in either format of 16 bits
	}
	return out
}

func (b *builder) signed(n int) []int8 {
	out := make([]int8, n)
	for i := range out {
		out[i] = int8(b.r.Uint32())
	}
	return out
}

// lists returns lists of row numbers below rows.
func (b *builder) lists(rows int) [][]uint32 {
	out := make([][]uint32, 16)
	for i := range out {
		for range perCall {
			out[i] = append(out[i], b.r.Uint32N(uint32(rows)))
		}
	}
	return out
}

func (b *builder) raw() {
	q := b.floats(b.dim)
	out, norm, buf := make([]float32, perCall), make([]float32, perCall), make([]float32, b.dim)
	for e := range kernel.Bit {
		size := e.RowBytes(b.dim)
		rows := dataBytes / size
		block := b.components(e, rows*b.dim)
		var lists [][][]byte
		for _, ids := range b.lists(rows) {
			var list [][]byte
			for _, id := range ids {
				list = append(list, block[int(id)*size:(int(id)+1)*size])
			}
			lists = append(lists, list)
		}
		name := [...]string{"f32", "f16", "bf16", "i8"}[e]
		b.add(name+"/l2", float64(size), perCall, func(i int) { b.s.RawL2(e, q, lists[i&15], out) })
		b.add(name+"/ip", float64(size), perCall, func(i int) { b.s.RawIP(e, q, lists[i&15], out) })
		b.add(name+"/ipnorm", float64(size), perCall, func(i int) { b.s.RawIPNorm(e, q, lists[i&15], out, norm) })
		if e != kernel.F32 {
			b.add(name+"/decode", float64(size), 1, func(i int) { b.s.Decode(e, lists[i&15][0], buf) })
		}
		if e == kernel.I8 {
			q8, out8 := b.signed(b.dim), make([]int32, perCall)
			b.add("i8/l2-exact", float64(size), perCall, func(i int) { b.s.I8L2(q8, lists[i&15], out8) })
			b.add("i8/ip-exact", float64(size), perCall, func(i int) { b.s.I8IP(q8, lists[i&15], out8) })
		}
	}
}

func (b *builder) codes() {
	stride := kernel.CodeStride(b.dim)
	c := kernel.Codes{Data: b.bytes(dataBytes / stride * stride), Stride: stride}
	q, w, out := b.signed(stride), make([]int32, c.Rows()), make([]int32, c.Rows())
	lists := b.lists(c.Rows())
	b.add("sq8/list", float64(stride), perCall, func(i int) { b.s.SQ8(q, c, lists[i&15], w, 0, out) })
	b.add("sq8/range", float64(stride), c.Rows(), func(int) { b.s.SQ8Range(q, c, 0, c.Rows(), w, 0, out) })
	stride4 := kernel.U4Stride(b.dim)
	c4 := kernel.Codes{Data: b.bytes(dataBytes / stride4 * stride4), Stride: stride4}
	q4, w4, out4 := b.signed(2*stride4), make([]int32, c4.Rows()), make([]int32, c4.Rows())
	lists4 := b.lists(c4.Rows())
	b.add("u4/list", float64(stride4), perCall, func(i int) { b.s.U4(q4, c4, lists4[i&15], w4, 0, out4) })
	b.add("u4/range", float64(stride4), c4.Rows(), func(int) { b.s.U4Range(q4, c4, 0, c4.Rows(), w4, 0, out4) })
}

func (b *builder) bits() {
	stride := (b.dim + 63) / 64 * 8
	rows := dataBytes / stride
	data := b.bytes(rows * stride)
	planes, out, out2 := make([]uint64, stride/2), make([]int32, rows), make([]uint32, rows)
	for i := range planes {
		planes[i] = b.r.Uint64()
	}
	and, q := make([]uint32, rows), b.bytes(stride)
	lists := b.lists(rows)
	size := float64(stride)
	b.add("bits4/list", size, perCall, func(i int) { b.s.Bits4(planes, data, stride, lists[i&15], out) })
	b.add("bits4/range", size, rows, func(int) { b.s.Bits4Range(planes, data, stride, out) })
	b.add("bin/hamming", size, rows, func(int) { b.s.HammingRange(q, data, stride, out2) })
	b.add("bin/andor", size, rows, func(int) { b.s.AndOrRange(q, data, stride, and, out2) })
}

// scans times fast scans with a sub-quantiser per 2 and per 4 dimensions, the quantiser of their tables, and filters, whose
// unit is an entry of which one in 50 is kept.
func (b *builder) scans() {
	for _, per := range []int{2, 4} {
		m := b.dim / per
		n := dataBytes / (16 * m)
		blocks, lut, rows := b.bytes(n*16*m), b.bytes(16*m), n*kernel.PQ4Block
		size := float64(m) / 2
		if m <= kernel.PQ4MaxSub {
			out := make([]uint16, rows)
			b.add(fmt.Sprintf("pq4/dims=%d", per), size, rows, func(int) { b.s.PQ4Scan(lut, blocks, m, out) })
		}
		wide := make([]uint32, rows)
		b.add(fmt.Sprintf("pq4wide/dims=%d", per), size, rows, func(int) { b.s.PQ4ScanWide(lut, blocks, m, wide) })
		if per == 2 {
			table := b.floats(16 * m)
			b.add("pq4/quantise-table", float64(64*m), 1, func(int) { b.s.QuantiseTable(lut, table) })
			q, book := b.floats(b.dim), b.floats(16*b.dim)
			b.add("pq4/table-l2", float64(64*b.dim), 1, func(int) { b.s.PQ4TableL2(q, book, per, table) })
		}
	}
	if b.dim != Dims()[0] {
		return
	}
	const n = 4096
	i32, f32, u16, ids := make([]int32, n), make([]float32, n), make([]uint16, n), make([]uint32, n)
	for i := range n {
		v := b.r.IntN(50000)
		i32[i], f32[i], u16[i], ids[i] = int32(v), float32(v), uint16(v), b.r.Uint32()
	}
	oi, of, ou, oid := make([]int32, n), make([]float32, n), make([]uint16, n), make([]uint32, n)
	b.add("filter/i32", 8, n, func(int) { b.s.Filter(i32, ids, 1000, oi, oid) })
	b.add("filter/f32", 8, n, func(int) { b.s.FilterBelow(f32, ids, 1000, of, oid) })
	b.add("filter/u16", 2, n, func(int) { b.s.FilterU16(u16, nil, 1000, ou, oid) })
}

// tile times the products of 64 by 64 rows; its unit is one product.
func (b *builder) tile() {
	const n = 64
	x, y, out := b.floats(n*b.dim), b.floats(n*b.dim), make([]float32, n*n)
	b.add("tile", float64(4*b.dim), n*n, func(int) { b.s.DotTile(x, y, b.dim, out) })
}
