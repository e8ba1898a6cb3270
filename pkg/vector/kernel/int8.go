package kernel

import "unsafe"

// The kernels below take queries and rows of signed bytes and are exact, as long as the result fits an int32: up to 33000
// dimensions for I8L2, twice that for I8IP.
const (
	i8L2 = iota
	i8IP
	i8IPNorm
	numI8
)

// I8L2 stores the squared Euclidean distance between q and rows[i], signed bytes both, in out[i].
func (s Set) I8L2(q []int8, rows [][]byte, out []int32) { s.i8Rows(i8L2, q, rows, out, nil) }

// I8IP stores the inner product of q and rows[i], signed bytes both, in out[i].
func (s Set) I8IP(q []int8, rows [][]byte, out []int32) { s.i8Rows(i8IP, q, rows, out, nil) }

// I8IPNorm stores the inner product of q and rows[i] in ip[i] and the squared length of rows[i] in norm2[i].
func (s Set) I8IPNorm(q []int8, rows [][]byte, ip, norm2 []int32) {
	s.i8Rows(i8IPNorm, q, rows, ip, norm2[:len(rows)])
}

// I8BlockL2 is I8L2 over the first len(out) rows of a row-major block.
func (s Set) I8BlockL2(q []int8, block []byte, out []int32) { s.i8Block(i8L2, q, block, out, nil) }

// I8BlockIP is I8IP over the first len(out) rows of a row-major block.
func (s Set) I8BlockIP(q []int8, block []byte, out []int32) { s.i8Block(i8IP, q, block, out, nil) }

// I8BlockIPNorm is I8IPNorm over the first len(ip) rows of a row-major block.
func (s Set) I8BlockIPNorm(q []int8, block []byte, ip, norm2 []int32) {
	s.i8Block(i8IPNorm, q, block, ip, norm2[:len(ip)])
}

func (s Set) i8Rows(o int, q []int8, rows [][]byte, out, out2 []int32) {
	for _, row := range rows {
		_ = row[:len(q)]
	}
	if n := len(rows); n > 0 {
		s.i8(o, q, args{list: &rows[0], n: n}, out[:n], out2)
	}
}

func (s Set) i8Block(o int, q []int8, block []byte, out, out2 []int32) {
	if n := len(out); n > 0 {
		_ = block[:n*len(q)]
		s.i8(o, q, args{base: unsafe.Pointer(unsafe.SliceData(block)), stride: len(q), n: n}, out, out2)
	}
}

func (s Set) i8(o int, q []int8, a args, out, out2 []int32) {
	if len(q) == 0 {
		clear(out)
		clear(out2)
		return
	}
	a.q, a.dim, a.out = unsafe.Pointer(&q[0]), len(q), unsafe.Pointer(&out[0])
	if out2 != nil {
		a.out2 = unsafe.Pointer(&out2[0])
	}
	s.table().i8[o].cut(&a, len(q), 4)
}
