//go:build !amd64 || purego

package kernel

import "unsafe"

func supported() []tier { return []tier{tierGeneric} }

func (s Set) l2x4(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	l2x4Generic(q, rows, dim, out)
}

func (s Set) ipx4(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	ipx4Generic(q, rows, dim, out)
}

func (s Set) dot(a, b *float32, dim int) float32 {
	return ipGeneric(unsafe.Slice(a, dim), unsafe.Slice(b, dim))
}

func (s Set) sq8(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32) {
	sq8Generic(q, codes, stride, ids, n, w, bias, out)
}

func (s Set) prefetch(unsafe.Pointer, int, *uint32, int, int) {}
