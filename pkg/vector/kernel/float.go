package kernel

import "unsafe"

// op is what the kernels on raw vectors compute.
type op uint8

const (
	opL2     op = iota // squared Euclidean distance
	opIP               // inner product
	opIPNorm           // inner product, and the squared length of the row
	numOps
)

// L2 stores the squared Euclidean distance between q and row ids[i] of base in out[i]. Row r starts at base[r*stride].
func (s Set) L2(q, base []float32, stride int, ids []uint32, out []float32) {
	s.list(opL2, q, base, stride, ids, out)
}

// IP stores the inner product of q and row ids[i] of base in out[i]. Row r starts at base[r*stride].
func (s Set) IP(q, base []float32, stride int, ids []uint32, out []float32) {
	s.list(opIP, q, base, stride, ids, out)
}

// L2Range stores the squared Euclidean distances between q and the first len(out) rows of base.
func (s Set) L2Range(q, base []float32, stride int, out []float32) {
	s.block(opL2, q, base, stride, out)
}

// IPRange stores the inner products of q and the first len(out) rows of base.
func (s Set) IPRange(q, base []float32, stride int, out []float32) {
	s.block(opIP, q, base, stride, out)
}

// L2Rows stores the squared Euclidean distance between q and rows[i] in out[i].
func (s Set) L2Rows(q []float32, rows [][]float32, out []float32) { s.gather(opL2, q, rows, out) }

// IPRows stores the inner product of q and rows[i] in out[i].
func (s Set) IPRows(q []float32, rows [][]float32, out []float32) { s.gather(opIP, q, rows, out) }

// Dot returns the inner product of two vectors of the same length.
func (s Set) Dot(a, b []float32) float32 {
	b = b[:len(a)]
	if len(a) == 0 {
		return 0
	}
	var out float32
	s.run(opIP, F32, a, args{base: unsafe.Pointer(&b[0]), n: 1}, unsafe.Slice(&out, 1), nil)
	return out
}

// run fills in what all kernels on raw vectors need and calls the one for o and e.
func (s Set) run(o op, e Elem, q []float32, a args, out, out2 []float32) {
	a.q, a.dim = unsafe.Pointer(&q[0]), len(q)
	a.out = unsafe.Pointer(&out[0])
	if out2 != nil {
		a.out2 = unsafe.Pointer(&out2[0])
	}
	s.table().raw[o][e].cut(&a, e.RowBytes(len(q)), 4)
}

// runBlock is run for rows that follow each other from base.
func (s Set) runBlock(o op, e Elem, q []float32, a args, out, out2 []float32) {
	a.q, a.dim, a.stride = unsafe.Pointer(&q[0]), len(q), e.RowBytes(len(q))
	a.out = unsafe.Pointer(&out[0])
	if out2 != nil {
		a.out2 = unsafe.Pointer(&out2[0])
	}
	s.table().block[o][e].cut(&a, a.stride, 4)
}

func (s Set) list(o op, q, base []float32, stride int, ids []uint32, out []float32) {
	n, dim := len(ids), len(q)
	if n == 0 {
		return
	}
	out = out[:n]
	if dim == 0 {
		clear(out)
		return
	}
	checkIDs(ids, (len(base)-dim+stride)/stride)
	s.run(o, F32, q, args{base: unsafe.Pointer(&base[0]), stride: 4 * stride, ids: &ids[0], n: n}, out, nil)
}

// checkIDs panics when a row of ids is not below rows.
func checkIDs(ids []uint32, rows int) {
	var top uint32
	for _, id := range ids {
		top = max(top, id)
	}
	if int64(top) >= int64(rows) {
		panic("kernel: row id behind the last row")
	}
}

func (s Set) block(o op, q, base []float32, stride int, out []float32) {
	n, dim := len(out), len(q)
	if n == 0 {
		return
	}
	if dim == 0 {
		clear(out)
		return
	}
	_ = base[(n-1)*stride+dim-1]
	s.run(o, F32, q, args{base: unsafe.Pointer(&base[0]), stride: 4 * stride, n: n}, out, nil)
}

func (s Set) gather(o op, q []float32, rows [][]float32, out []float32) {
	n, dim := len(rows), len(q)
	if n == 0 {
		return
	}
	out = out[:n]
	if dim == 0 {
		clear(out)
		return
	}
	for _, row := range rows {
		_ = row[dim-1]
	}
	s.run(o, F32, q, args{list: (*[]byte)(unsafe.Pointer(&rows[0])), n: n}, out, nil)
}
