package kernel

import "unsafe"

func l2x4Generic(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	qs := unsafe.Slice(q, dim)
	for j, p := range rows {
		out[j] = l2Generic(qs, unsafe.Slice(p, dim))
	}
}

func ipx4Generic(q *float32, rows *[4]*float32, dim int, out *[4]float32) {
	qs := unsafe.Slice(q, dim)
	for j, p := range rows {
		out[j] = ipGeneric(qs, unsafe.Slice(p, dim))
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

func sq8Generic(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32) {
	qs := unsafe.Slice(q, stride)
	outs := unsafe.Slice(out, n)
	for i, id := range unsafe.Slice(ids, n) {
		row := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(codes), int(id)*stride)), stride)
		d := bias - 2*dotCode(qs, row)
		if w != nil {
			d += *(*int32)(unsafe.Add(unsafe.Pointer(w), int(id)*4))
		}
		outs[i] = d
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
