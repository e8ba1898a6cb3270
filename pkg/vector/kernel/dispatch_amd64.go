//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// fast returns the tiers that this machine can run beside the generic one, slowest first.
func fast() []*table {
	var tiers []*table
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	avx2 := *generic()
	avx2.name = "avx2"
	avx2.raw[opL2][F32] = quads(l2x4AVX2)
	avx2.raw[opIP][F32] = quads(ipx4AVX2)
	avx2.sq8 = fours(sq8AVX2)
	avx2.tile = tileDots
	avx2.prefetch = prefetchRows
	tiers = append(tiers, &avx2)
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VNNI {
		avx512 := avx2
		avx512.name = "avx512"
		avx512.raw[opL2][F32] = quads(l2x4AVX512)
		avx512.raw[opIP][F32] = quads(ipx4AVX512)
		avx512.sq8 = fours(sq8AVX512)
		tiers = append(tiers, &avx512)
	}
	return tiers
}

// quads makes a kernel of one that takes four rows.
func quads(k func(q *float32, rows *[4]*float32, dim int, out *[4]float32)) kernelFunc {
	return func(a *args) {
		outs := unsafe.Slice((*float32)(a.out), a.n)
		var rows [4]*float32
		var out [4]float32
		for i := 0; i < a.n; i += 4 {
			for j := range rows {
				p, _ := a.row(min(i+j, a.n-1))
				rows[j] = (*float32)(p)
			}
			k((*float32)(a.q), &rows, a.dim, &out)
			copy(outs[i:], out[:])
		}
	}
}

// fours makes a kernel of one that takes multiples of four rows by id.
func fours(k func(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)) kernelFunc {
	return func(a *args) {
		q, codes, out := (*int8)(a.q), (*byte)(a.base), unsafe.Slice((*int32)(a.out), a.n)
		full := a.n &^ 3
		if full > 0 && a.ids != nil {
			k(q, codes, a.stride, a.ids, full, a.w, a.bias, &out[0])
		}
		if a.ids == nil {
			full = 0
		}
		for i := full; i < a.n; i += 4 {
			var ids [4]uint32
			var res [4]int32
			for j := range ids {
				ids[j] = uint32(min(i+j, a.n-1))
				if a.ids != nil {
					ids[j] = unsafe.Slice(a.ids, a.n)[ids[j]]
				}
			}
			k(q, codes, a.stride, &ids[0], 4, a.w, a.bias, &res[0])
			copy(out[i:], res[:])
		}
	}
}

func tileDots(a *args) {
	for i := range a.m {
		row := *a
		row.q, row.out = unsafe.Add(a.q, i*4*a.dim), unsafe.Add(a.out, i*4*a.step)
		quads(ipx4AVX2)(&row)
	}
}

func prefetchRows(a *args) {
	var zero uint32
	ids := a.ids
	if ids == nil {
		ids = &zero
	}
	prefetchLines(a.base, a.stride, ids, a.n, a.dim)
}

//go:noescape
func l2x4AVX512(q *float32, rows *[4]*float32, dim int, out *[4]float32)

//go:noescape
func ipx4AVX512(q *float32, rows *[4]*float32, dim int, out *[4]float32)

//go:noescape
func l2x4AVX2(q *float32, rows *[4]*float32, dim int, out *[4]float32)

//go:noescape
func ipx4AVX2(q *float32, rows *[4]*float32, dim int, out *[4]float32)

//go:noescape
func sq8AVX512(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)

//go:noescape
func sq8AVX2(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)

//go:noescape
func prefetchLines(p unsafe.Pointer, stride int, ids *uint32, n, lines int)
