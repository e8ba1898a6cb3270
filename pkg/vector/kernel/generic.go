package kernel

import (
	"sync"
	"unsafe"
)

// generic returns the reference: plain Go that the other tiers are tested against.
var generic = sync.OnceValue(func() *table {
	t := &table{
		name: "generic",
		sq8:  sq8Generic, u4: u4Generic, bits4: bits4Generic,
		pq4: pq4Generic[uint16], pq4Wide: pq4Generic[uint32],
		hamming: hammingGeneric, andOr: andOrGeneric,
		filterI32:     filterGeneric(func(d, limit int32) bool { return d < limit }),
		filterLess:    filterGeneric(func(d, limit float32) bool { return d < limit }),
		filterGreater: filterGeneric(func(d, limit float32) bool { return d > limit }),
		filterU16:     filterGeneric(func(d, limit uint16) bool { return d < limit }),
		tile:          tileGeneric,
		prefetch:      func(*args) {},
		pq4TableL2:    pq4TableGeneric(opL2), pq4TableIP: pq4TableGeneric(opIP),
		tableSpan: tableSpanGeneric, tableBytes: tableBytesGeneric,
	}
	t.raw[opL2] = [Bit]kernelFunc{l2Rows, rawGeneric(opL2, F16), rawGeneric(opL2, BF16), rawGeneric(opL2, I8)}
	t.raw[opIP] = [Bit]kernelFunc{ipRows, rawGeneric(opIP, F16), rawGeneric(opIP, BF16), rawGeneric(opIP, I8)}
	for e := range Bit {
		t.raw[opIPNorm][e] = rawGeneric(opIPNorm, e)
		t.decode[e] = decodeGeneric(e)
	}
	t.block = t.raw
	for o := range t.i8 {
		t.i8[o] = i8Generic(o)
	}
	return t
})

func l2Rows(a *args) {
	q, out := unsafe.Slice((*float32)(a.q), a.dim), unsafe.Slice((*float32)(a.out), a.n)
	for i := range out {
		out[i] = l2Generic(q, Floats(a.bytes(i, 4*a.dim)))
	}
}

func ipRows(a *args) {
	q, out := unsafe.Slice((*float32)(a.q), a.dim), unsafe.Slice((*float32)(a.out), a.n)
	for i := range out {
		out[i] = ipGeneric(q, Floats(a.bytes(i, 4*a.dim)))
	}
}

func l2Generic(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		d0, d1, d2, d3 := a[i]-b[i], a[i+1]-b[i+1], a[i+2]-b[i+2], a[i+3]-b[i+3]
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(a); i++ {
		d := a[i] - b[i]
		s0 += d * d
	}
	return (s0 + s1) + (s2 + s3)
}

func ipGeneric(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func rawGeneric(o op, e Elem) kernelFunc {
	return func(a *args) {
		q, out := unsafe.Slice((*float32)(a.q), a.dim), unsafe.Slice((*float32)(a.out), a.n)
		for i := range out {
			var sum, norm float32
			row := a.bytes(i, e.RowBytes(a.dim))
			for j, x := range q {
				c := component(e, row, j)
				switch o {
				case opL2:
					sum += (x - c) * (x - c)
				case opIPNorm:
					norm += c * c
					fallthrough
				case opIP:
					sum += x * c
				}
			}
			out[i] = sum
			if o == opIPNorm {
				unsafe.Slice((*float32)(a.out2), a.n)[i] = norm
			}
		}
	}
}

func decodeGeneric(e Elem) kernelFunc {
	return func(a *args) {
		row := unsafe.Slice((*byte)(a.base), e.RowBytes(a.dim))
		for i := range unsafe.Slice((*float32)(a.out), a.dim) {
			unsafe.Slice((*float32)(a.out), a.dim)[i] = component(e, row, i)
		}
	}
}

func i8Generic(o int) kernelFunc {
	return func(a *args) {
		q, out := unsafe.Slice((*int8)(a.q), a.dim), unsafe.Slice((*int32)(a.out), a.n)
		for i := range out {
			var l2, ip, norm int32
			for j, c := range a.bytes(i, a.dim) {
				x, y := int32(q[j]), int32(int8(c))
				l2 += (x - y) * (x - y)
				ip += x * y
				norm += y * y
			}
			out[i] = ip
			switch o {
			case i8L2:
				out[i] = l2
			case i8IPNorm:
				unsafe.Slice((*int32)(a.out2), a.n)[i] = norm
			}
		}
	}
}

func tileGeneric(a *args) {
	size := a.dim * 4
	for i := range a.m {
		q := Floats(unsafe.Slice((*byte)(unsafe.Add(a.q, i*size)), size))
		out := unsafe.Slice((*float32)(unsafe.Add(a.out, i*a.step*4)), a.n)
		for j := range out {
			out[j] = ipGeneric(q, Floats(a.bytes(j, size)))
		}
	}
}
