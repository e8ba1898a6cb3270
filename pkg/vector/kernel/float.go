package kernel

import "unsafe"

// quad is the unit of work of the float kernels: four rows, the last of a list repeated to fill it.
type quad struct {
	rows [4]*float32
	out  [4]float32
}

type op uint8

const (
	opL2 op = iota
	opIP
)

func (s Set) quad(o op, q *float32, dim int, w *quad) {
	if o == opL2 {
		s.l2x4(q, &w.rows, dim, &w.out)
		return
	}
	s.ipx4(q, &w.rows, dim, &w.out)
}

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
	return s.dot(&a[0], &b[0], len(a))
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
	rows := (len(base) - dim + stride) / stride
	var w quad
	for i := 0; i < n; i += 4 {
		for j := range w.rows {
			id := int(ids[min(i+j, n-1)])
			if id >= rows {
				panic("kernel: row id behind the last row")
			}
			w.rows[j] = &base[id*stride]
		}
		s.quad(o, &q[0], dim, &w)
		copy(out[i:], w.out[:])
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
	p := unsafe.Pointer(&base[0])
	var w quad
	for i := 0; i < n; i += 4 {
		for j := range w.rows {
			w.rows[j] = (*float32)(unsafe.Add(p, min(i+j, n-1)*stride*4))
		}
		s.quad(o, &q[0], dim, &w)
		copy(out[i:], w.out[:])
	}
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
	var w quad
	for i := 0; i < n; i += 4 {
		for j := range w.rows {
			w.rows[j] = &rows[min(i+j, n-1)][:dim][0]
		}
		s.quad(o, &q[0], dim, &w)
		copy(out[i:], w.out[:])
	}
}
