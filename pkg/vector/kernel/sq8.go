package kernel

import "unsafe"

// Codes is a block of integer codes: row r is Data[r*Stride:(r+1)*Stride]. Stride is a multiple of 64.
type Codes struct {
	Data   []byte
	Stride int
}

// Rows returns the number of code rows.
func (c Codes) Rows() int { return len(c.Data) / c.Stride }

// Row returns the code of row r.
func (c Codes) Row(r uint32) []byte { return c.Data[int(r)*c.Stride : (int(r)+1)*c.Stride] }

// SQ8 stores w[id] + bias - 2*<q, code of id> in out[i] for each id of ids. q has c.Stride bytes. A nil w counts as zero.
// The ids must be below c.Rows() (and len(w)); they are not checked.
func (s Set) SQ8(q []int8, c Codes, ids []uint32, w []int32, bias int32, out []int32) {
	n := len(ids)
	if n == 0 {
		return
	}
	_, _ = q[c.Stride-1], out[n-1]
	var wp *int32
	if len(w) > 0 {
		wp = &w[0]
	}
	if full := n &^ 3; full > 0 {
		s.sq8(&q[0], &c.Data[0], c.Stride, &ids[0], full, wp, bias, &out[0])
	}
	if n&3 == 0 {
		return
	}
	var tail [4]uint32
	var res [4]int32
	for j := range tail {
		tail[j] = ids[min(n&^3+j, n-1)]
	}
	s.sq8(&q[0], &c.Data[0], c.Stride, &tail[0], 4, wp, bias, &res[0])
	copy(out[n&^3:n], res[:])
}

// Prefetch asks for the first lines cache lines of the code rows in ids.
func (s Set) Prefetch(c Codes, ids []uint32, lines int) {
	if len(ids) > 0 && len(c.Data) > 0 {
		s.prefetch(unsafe.Pointer(&c.Data[0]), c.Stride, &ids[0], len(ids), lines)
	}
}

// PrefetchAt asks for the cache lines at p.
func (s Set) PrefetchAt(p unsafe.Pointer, lines int) {
	var zero uint32
	s.prefetch(p, 0, &zero, 1, lines)
}
