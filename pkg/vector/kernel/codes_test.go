package kernel

import (
	"fmt"
	"math/bits"
	"testing"
)

// counts are the lengths of lists that tests try: all remainders of the widths that kernels work in.
var counts = []int{1, 2, 3, 4, 5, 7, 8, 11, 16, 33}

func TestCodesAgainstReference(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, dim := range []int{1, 63, 64, 65, 128, 200, 384, 500, 1024, 1536} {
			for kind := range 8 {
				n := counts[p.r.IntN(len(counts))]
				what := fmt.Sprintf("dim %d kind %d", dim, kind)
				checkCodes(p, what+" sq8", s.SQ8, s.SQ8Range, Set{}.SQ8, CodeStride(dim), CodeStride(dim), n, kind)
				checkCodes(p, what+" u4", s.U4, s.U4Range, Set{}.U4, U4Stride(dim), 2*U4Stride(dim), n, kind)
				p.check()
			}
		}
	})
}

type (
	listKernel  func(q []int8, c Codes, ids []uint32, w []int32, bias int32, out []int32)
	rangeKernel func(q []int8, c Codes, first, n int, w []int32, bias int32, out []int32)
)

func checkCodes(p *place, what string, list listKernel, span rangeKernel, ref listKernel, stride, qlen, n, kind int) {
	p.t.Helper()
	rows := n + 3
	c := Codes{Data: p.random(rows*stride, kind/2), Stride: stride}
	q := signed(p.random(qlen, kind))
	w := take[int32](p, rows)
	for i := range w {
		w[i] = int32(p.r.Uint32() >> 4)
	}
	bias := int32(p.r.Uint32()) >> 4
	ids, got, want := p.ids(n, rows), take[int32](p, n), make([]int32, n)
	for _, w := range [][]int32{w, nil} {
		ref(q, c, ids, w, bias, want)
		list(q, c, ids, w, bias, got)
		same(p.t, what, got, want)
		next := []uint32{}
		for i := range n {
			next = append(next, uint32(3+i))
		}
		ref(q, c, next, w, bias, want)
		span(q, c, 3, n, w, bias, got)
		same(p.t, what+" range", got, want)
	}
}

func TestU4ByHand(t *testing.T) {
	for _, dim := range []int{1, 64, 65, 127, 128, 129, 300} {
		codes, q := make([]byte, dim), make([]int8, 2*U4Stride(dim))
		var want int32
		for i := range codes {
			codes[i], q[i] = byte(i*7%16), int8(i*11%255-127)
			want += int32(codes[i]) * int32(q[i])
		}
		packed, back := make([]byte, U4Stride(dim)), make([]byte, dim)
		PackU4(packed, codes)
		UnpackU4(back, packed)
		same(t, "unpacked", back, codes)
		out := []int32{0}
		Set{}.U4(q, Codes{packed, len(packed)}, []uint32{0}, nil, 5, out)
		if out[0] != 5-2*want {
			t.Fatalf("dim %d: %d want %d", dim, out[0], 5-2*want)
		}
	}
}

func TestBits4(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, dim := range []int{1, 63, 64, 65, 128, 200, 384, 448, 512, 513, 1000, 1024, 1536, 4096} {
			for kind := range 4 {
				n := counts[p.r.IntN(len(counts))]
				stride := (dim + 63) / 64 * 8
				codes, q := p.random((n+2)*stride, kind), p.random(dim, kind)
				for i := range q {
					q[i] &= 15
				}
				planes := take[uint64](p, stride/2)
				Planes4(planes, q, stride)
				all := make([]int32, n+2)
				for r := range all {
					for i, v := range q {
						all[r] += int32(v) * int32(codes[r*stride+i/8]>>(i%8)&1)
					}
				}
				got, want := take[int32](p, n), make([]int32, n)
				s.Bits4Range(planes, codes, stride, got)
				same(t, fmt.Sprintf("range dim %d kind %d", dim, kind), got, all[:n])
				ids := p.ids(n, n+2)
				for i, id := range ids {
					want[i] = all[id]
				}
				s.Bits4(planes, codes, stride, ids, got)
				same(t, fmt.Sprintf("list dim %d kind %d", dim, kind), got, want)
				p.check()
			}
		}
	})
}

func TestBinary(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, size := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 192, 200, 1000, 4096} {
			for kind := range 4 {
				checkBinary(s, p, size, kind)
				p.check()
			}
		}
	})
}

func checkBinary(s Set, p *place, size, kind int) {
	p.t.Helper()
	n := counts[p.r.IntN(len(counts))]
	stride := size + p.r.IntN(3)
	base, q := p.random((n+1)*stride+size, kind), p.random(size, kind+p.r.IntN(2))
	ham, and, or := make([]uint32, n+2), make([]uint32, n+2), make([]uint32, n+2)
	var rows [][]byte
	for r := range ham {
		row := base[r*stride : r*stride+size]
		for i, b := range row {
			ham[r] += uint32(bits.OnesCount8(b ^ q[i]))
			and[r] += uint32(bits.OnesCount8(b & q[i]))
			or[r] += uint32(bits.OnesCount8(b | q[i]))
		}
		rows = append(rows, row)
	}
	what := fmt.Sprintf("size %d kind %d", size, kind)
	got, got2 := take[uint32](p, n), take[uint32](p, n)
	s.HammingRange(q, base, stride, got)
	same(p.t, what+" range", got, ham[:n])
	s.HammingRows(q, rows[1:n+1], got)
	same(p.t, what+" rows", got, ham[1:n+1])
	s.AndOrRange(q, base, stride, got, got2)
	same(p.t, what+" and", got, and[:n])
	same(p.t, what+" or", got2, or[:n])
	s.AndOrRows(q, rows[1:n+1], got, got2)
	same(p.t, what+" and of rows", got, and[1:n+1])
	same(p.t, what+" or of rows", got2, or[1:n+1])
	ids := p.ids(n, n+2)
	s.Hamming(q, base, stride, ids, got)
	s.AndOr(q, base, stride, ids, got2, take[uint32](p, n))
	for i, id := range ids {
		if got[i] != ham[id] || got2[i] != and[id] {
			p.t.Fatalf("%s: row %d by id: %d %d want %d %d", what, id, got[i], got2[i], ham[id], and[id])
		}
	}
}

func TestI8(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, dim := range append(dims(), 32768) {
			for kind := range 4 {
				checkI8(s, p, dim, kind)
				p.check()
			}
		}
	})
}

func checkI8(s Set, p *place, dim, kind int) {
	p.t.Helper()
	n := counts[p.r.IntN(len(counts))]
	block, q := p.random(n*dim, kind), signed(p.random(dim, kind+p.r.IntN(2)))
	var rows [][]byte
	l2, ip, norm := make([]int32, n), make([]int32, n), make([]int32, n)
	for r := range n {
		row := block[r*dim : (r+1)*dim]
		for i, c := range signed(row) {
			x, y := int32(q[i]), int32(c)
			l2[r] += (x - y) * (x - y)
			ip[r] += x * y
			norm[r] += y * y
		}
		rows = append(rows, row)
	}
	what := fmt.Sprintf("dim %d kind %d", dim, kind)
	got, got2 := take[int32](p, n), take[int32](p, n)
	s.I8BlockL2(q, block, got)
	same(p.t, what+" L2", got, l2)
	s.I8L2(q, rows, got)
	same(p.t, what+" L2 of rows", got, l2)
	s.I8BlockIP(q, block, got)
	same(p.t, what+" IP", got, ip)
	s.I8IP(q, rows, got)
	same(p.t, what+" IP of rows", got, ip)
	s.I8BlockIPNorm(q, block, got, got2)
	same(p.t, what+" IP with norm", got, ip)
	same(p.t, what+" norm", got2, norm)
	s.I8IPNorm(q, rows, got, got2)
	same(p.t, what+" norm of rows", got2, norm)
}
