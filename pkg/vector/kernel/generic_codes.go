package kernel

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

func sq8Generic(a *args) {
	q, out := unsafe.Slice((*int8)(a.q), a.dim), unsafe.Slice((*int32)(a.out), a.n)
	for i := range out {
		p, w := a.row(i)
		out[i] = w + a.bias - 2*dotCode(q, unsafe.Slice((*byte)(p), a.dim))
	}
}

func dotCode(q []int8, row []byte) int32 {
	row = row[:len(q)]
	var s0, s1 int32
	for i := 0; i+2 <= len(q); i += 2 {
		s0 += int32(q[i]) * int32(row[i])
		s1 += int32(q[i+1]) * int32(row[i+1])
	}
	return s0 + s1
}

func u4Generic(a *args) {
	q, out := unsafe.Slice((*int8)(a.q), 2*a.dim), unsafe.Slice((*int32)(a.out), a.n)
	for i := range out {
		p, w := a.row(i)
		var sum int32
		for j, c := range unsafe.Slice((*byte)(p), a.dim) {
			at := j/64*128 + j%64
			sum += int32(q[at])*int32(c&15) + int32(q[at+64])*int32(c>>4)
		}
		out[i] = w + a.bias - 2*sum
	}
}

func bits4Generic(a *args) {
	words := a.dim / 8
	q, out := unsafe.Slice((*uint64)(a.q), 4*words), unsafe.Slice((*int32)(a.out), a.n)
	for i := range out {
		var sum int
		row := a.bytes(i, a.dim)
		for j := range words {
			c := binary.LittleEndian.Uint64(row[8*j:])
			sum += bits.OnesCount64(q[j]&c) + 2*bits.OnesCount64(q[words+j]&c) +
				4*bits.OnesCount64(q[2*words+j]&c) + 8*bits.OnesCount64(q[3*words+j]&c)
		}
		out[i] = int32(sum)
	}
}

func hammingGeneric(a *args) {
	q, out := unsafe.Slice((*byte)(a.q), a.dim), unsafe.Slice((*uint32)(a.out), a.n)
	for i := range out {
		row, sum := a.bytes(i, a.dim), 0
		for j := 0; j < a.dim; j += 8 {
			sum += bits.OnesCount64(word(q, j) ^ word(row, j))
		}
		out[i] = uint32(sum)
	}
}

func andOrGeneric(a *args) {
	q, and, or := unsafe.Slice((*byte)(a.q), a.dim), unsafe.Slice((*uint32)(a.out), a.n), unsafe.Slice((*uint32)(a.out2), a.n)
	for i := range and {
		row, both, either := a.bytes(i, a.dim), 0, 0
		for j := 0; j < a.dim; j += 8 {
			x, y := word(q, j), word(row, j)
			both += bits.OnesCount64(x & y)
			either += bits.OnesCount64(x | y)
		}
		and[i], or[i] = uint32(both), uint32(either)
	}
}

func pq4Generic[T uint16 | uint32](a *args) {
	lut, out := unsafe.Slice((*byte)(a.q), 16*a.dim), unsafe.Slice((*T)(a.out), PQ4Block*a.n)
	clear(out)
	for i := range a.n {
		block, sums := a.bytes(i, 16*a.dim), out[i*PQ4Block:(i+1)*PQ4Block]
		for j := 0; j < len(block); j += 16 {
			row := (*[16]byte)(lut[j:])
			for v, c := range block[j : j+16] {
				sums[v] += T(row[c&15])
				sums[v+16] += T(row[c>>4])
			}
		}
	}
}

func pq4TableGeneric(o op) kernelFunc {
	return func(a *args) {
		q, book := unsafe.Slice((*float32)(a.q), a.n*a.dim), unsafe.Slice((*float32)(a.base), a.n*a.dim*16)
		table := unsafe.Slice((*float32)(a.out), 16*a.n)
		clear(table)
		for i, x := range q {
			row := table[i/a.dim*16:][:16]
			for c, y := range book[16*i : 16*i+16] {
				if o == opL2 {
					row[c] += (x - y) * (x - y)
				} else {
					row[c] += x * y
				}
			}
		}
	}
}

// tableSpanGeneric stores the sum of the smallest entries of the tables of 16 and the largest difference within one.
func tableSpanGeneric(a *args) {
	table, out := unsafe.Slice((*float32)(a.base), 16*a.n), (*[2]float32)(a.out)
	*out = [2]float32{}
	for j := 0; j < len(table); j += 16 {
		low, high := lowHigh(table[j : j+16])
		out[0] += low
		out[1] = max(out[1], high-low)
	}
}

func lowHigh(xs []float32) (low, high float32) {
	low, high = xs[0], xs[0]
	for _, x := range xs[1:] {
		low, high = min(low, x), max(high, x)
	}
	return low, high
}

// tableBytesGeneric rounds (x-low)*inv, where low is the smallest of each 16, to the nearest byte, ties to even as the
// machine's conversion does.
func tableBytesGeneric(a *args) {
	table, out := unsafe.Slice((*float32)(a.base), 16*a.n), unsafe.Slice((*byte)(a.out), 16*a.n)
	inv := *(*float32)(a.q)
	for j := 0; j < len(table); j += 16 {
		low, _ := lowHigh(table[j : j+16])
		for c, x := range table[j : j+16] {
			d := (x - low) * inv
			out[j+c] = byte(min(255, math.RoundToEven(float64(d))))
		}
	}
}

func filterGeneric[T int32 | float32 | uint16](keep func(d, limit T) bool) kernelFunc {
	return func(a *args) {
		limit := *(*T)(unsafe.Pointer(&a.bias)) // the lower half for 16 bits: little-endian
		dist, outD := unsafe.Slice((*T)(a.base), a.n), unsafe.Slice((*T)(a.out), a.n)
		outID := unsafe.Slice((*uint32)(a.out2), a.n)
		n := 0
		for i, d := range dist {
			if !keep(d, limit) {
				continue
			}
			outD[n], outID[n] = d, a.first+uint32(i)
			if a.ids != nil {
				outID[n] = unsafe.Slice(a.ids, a.n)[i]
			}
			n++
		}
		a.found = n
	}
}
