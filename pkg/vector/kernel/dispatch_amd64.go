//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

func supported() []tier {
	tiers := []tier{tierGeneric}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		tiers = append(tiers, tierAVX2)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VNNI {
		tiers = append(tiers, tierAVX512)
	}
	return tiers
}

// The switches below are direct calls on purpose: arguments of a call through a function pointer escape to the heap.

func (s Set) l2x4(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	switch s.tier {
	case tierAVX512:
		l2x4AVX512(q, rows, dim, out)
	case tierAVX2:
		l2x4AVX2(q, rows, dim, out)
	default:
		l2x4Generic(q, rows, dim, out)
	}
}

func (s Set) ipx4(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	switch s.tier {
	case tierAVX512:
		ipx4AVX512(q, rows, dim, out)
	case tierAVX2:
		ipx4AVX2(q, rows, dim, out)
	default:
		ipx4Generic(q, rows, dim, out)
	}
}

func (s Set) dot(a, b *float32, dim int) float32 {
	if s.tier == tierGeneric {
		return ipGeneric(unsafe.Slice(a, dim), unsafe.Slice(b, dim))
	}
	return dotAVX2(a, b, dim)
}

func (s Set) sq8(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32) {
	switch s.tier {
	case tierAVX512:
		sq8AVX512(q, codes, stride, ids, n, w, bias, out)
	case tierAVX2:
		sq8AVX2(q, codes, stride, ids, n, w, bias, out)
	default:
		sq8Generic(q, codes, stride, ids, n, w, bias, out)
	}
}

func (s Set) prefetch(p unsafe.Pointer, stride int, ids *uint32, n, lines int) {
	if s.tier != tierGeneric {
		prefetchLines(p, stride, ids, n, lines)
	}
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
func dotAVX2(a, b *float32, dim int) float32

//go:noescape
func sq8AVX512(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)

//go:noescape
func sq8AVX2(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)

//go:noescape
func prefetchLines(p unsafe.Pointer, stride int, ids *uint32, n, lines int)
