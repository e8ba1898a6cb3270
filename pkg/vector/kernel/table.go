package kernel

import "unsafe"

// args is what every kernel is handed: one pointer to one of these, so that assembly names its fields (go_asm.h) and a call
// through a table costs what a direct call costs.
//
// Rows are named in one of three ways: list holds slices of them; else ids holds their numbers from base, stride bytes
// apart; else they follow each other from base.
type args struct {
	q      unsafe.Pointer // query
	base   unsafe.Pointer // first row
	stride int            // bytes from row to row
	ids    *uint32
	list   *[]byte
	n      int // rows
	dim    int // components of a row, or bytes where components are smaller than bytes
	out    unsafe.Pointer
	out2   unsafe.Pointer
	w      *int32 // one number per row, or nil
	bias   int32
	first  uint32 // number of the first row of a list without ids
	m      int    // queries of a tile
	step   int    // results from query to query of a tile
	found  int    // entries that a filter kept
}

type kernelFunc func(*args)

// table is one tier: the fastest function of each kernel that the tier's instructions allow.
type table struct {
	name string
	raw  [numOps][Bit]kernelFunc // by op and Elem
	// block is raw, with the same results, for rows that follow each other in a long scan: it asks memory for those ahead.
	block [numOps][Bit]kernelFunc
	// decode turns dim components at base into floats at out, by Elem; F32 has none.
	decode [Bit]kernelFunc

	sq8, u4, bits4         kernelFunc
	pq4, pq4Wide           kernelFunc
	hamming, andOr         kernelFunc
	filterI32              kernelFunc
	filterLess             kernelFunc
	filterGreater          kernelFunc
	filterU16              kernelFunc
	tile                   kernelFunc
	prefetch               kernelFunc
	i8                     [numI8]kernelFunc
	pq4TableL2, pq4TableIP kernelFunc
	tableSpan, tableBytes  kernelFunc
}

// call runs k. No kernel keeps any of the pointers in a.
func (k kernelFunc) call(a *args) { k(hide(a)) }

// hide returns a so that the compiler's escape analysis loses sight of it: through a function pointer, or stored in what a
// pointer leads to, every query and result buffer of every caller would else move to the heap.
func hide(a *args) *args {
	p := uintptr(unsafe.Pointer(a))
	return *(**args)(unsafe.Pointer(&p))
}

// callBytes is how many bytes one call of a kernel reads, about; longer work is cut, because a goroutine inside assembly
// cannot be stopped, and a garbage collection waits for it. At 5 GB/s, slow memory, this is 25 us.
const callBytes = 128 << 10

// rowsPerCall returns the rows of size bytes that one call takes, a multiple of 32.
func rowsPerCall(size int) int { return max(32, callBytes/max(size, 1)&^31) }

// cut calls k for the rows of a, at most rowsPerCall at a time. outSize is the bytes per row in out and out2.
func (k kernelFunc) cut(a *args, rowSize, outSize int) {
	hidden, limit := hide(a), rowsPerCall(rowSize)
	for n := a.n; n > limit; n -= limit {
		hidden.n = limit
		k(hidden)
		hidden.skip(limit, outSize)
		hidden.n = n - limit
	}
	k(hidden)
}

func (a *args) skip(n, outSize int) {
	switch {
	case a.list != nil:
		a.list = (*[]byte)(unsafe.Add(unsafe.Pointer(a.list), n*int(unsafe.Sizeof([]byte{}))))
	case a.ids != nil:
		a.ids = (*uint32)(unsafe.Add(unsafe.Pointer(a.ids), n*4))
	default:
		a.base = unsafe.Add(a.base, n*a.stride)
		a.first += uint32(n)
		if a.w != nil {
			a.w = (*int32)(unsafe.Add(unsafe.Pointer(a.w), n*4))
		}
	}
	a.out = unsafe.Add(a.out, n*outSize)
	if a.out2 != nil {
		a.out2 = unsafe.Add(a.out2, n*outSize)
	}
}

// row returns the first byte of row i and its entry of w.
func (a *args) row(i int) (p unsafe.Pointer, w int32) {
	switch {
	case a.list != nil:
		return unsafe.Pointer(unsafe.SliceData(unsafe.Slice(a.list, a.n)[i])), 0
	case a.ids != nil:
		i = int(unsafe.Slice(a.ids, a.n)[i])
	}
	if a.w != nil {
		w = *(*int32)(unsafe.Add(unsafe.Pointer(a.w), i*4))
	}
	return unsafe.Add(a.base, i*a.stride), w
}

// bytes returns row i as bytes.
func (a *args) bytes(i, size int) []byte {
	p, _ := a.row(i)
	return unsafe.Slice((*byte)(p), size)
}
