package kernel

import "unsafe"

// from returns a kernel that leaves rows of less than dim components, or bytes, to slow: kernels without masks load the last
// register of a row whole.
func from(dim int, fast, slow kernelFunc) kernelFunc {
	return func(a *args) {
		if a.dim < dim {
			slow(a)
			return
		}
		fast(a)
	}
}

// whole returns a kernel that has fast filter multiples of size entries and slow the rest. Nothing is below zero, which the
// 256-bit comparison of 16-bit numbers cannot say.
func whole(size, bytes int, fast, slow kernelFunc) kernelFunc {
	return func(a *args) {
		n := a.n &^ (size - 1)
		if n == 0 || bytes == 2 && a.bias == 0 {
			slow(a)
			return
		}
		rest := *a
		a.n = n
		fast(a)
		if n == rest.n {
			return
		}
		rest.n -= n
		rest.first += uint32(n)
		rest.base, rest.out = unsafe.Add(rest.base, n*bytes), unsafe.Add(rest.out, a.found*bytes)
		rest.out2 = unsafe.Add(rest.out2, a.found*4)
		if rest.ids != nil {
			rest.ids = (*uint32)(unsafe.Add(unsafe.Pointer(rest.ids), n*4))
		}
		slow.call(&rest)
		a.found += rest.found
	}
}

// pairs returns a kernel of up to four rows from one of up to two.
func pairs(k kernelFunc) kernelFunc {
	return func(a *args) {
		rest := *a
		a.m = min(a.m, 2)
		k(a)
		if rest.m > 2 {
			rest.m -= 2
			rest.q, rest.out = unsafe.Add(rest.q, 2*rest.stride), unsafe.Add(rest.out, 2*4*rest.step)
			k.call(&rest)
		}
	}
}

// pq4InGroups returns a kernel with 32-bit sums from one with 16-bit sums, which it has scan 256 sub-quantisers at a time.
func pq4InGroups(k kernelFunc) kernelFunc {
	return func(a *args) {
		const group, blocks = 256, 8
		var sums [blocks * PQ4Block]uint16
		part := *a
		part.out = unsafe.Pointer(&sums)
		for i := 0; i < a.n; i += blocks {
			part.n = min(blocks, a.n-i)
			out := unsafe.Slice((*uint32)(unsafe.Add(a.out, i*PQ4Block*4)), part.n*PQ4Block)
			clear(out)
			for j := 0; j < a.dim; j += group {
				part.dim = min(group, a.dim-j)
				part.q, part.base = unsafe.Add(a.q, 16*j), unsafe.Add(a.base, i*a.stride+16*j)
				k.call(&part)
				for v, sum := range sums[:len(out)] {
					out[v] += uint32(sum)
				}
			}
		}
	}
}
