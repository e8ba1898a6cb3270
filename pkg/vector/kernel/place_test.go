package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// place hands out memory for the arguments of kernels: before or behind a guard page, or on the heap at any alignment.
// Memory on the heap has a rim that check expects unchanged.
type place struct {
	t    *testing.T
	r    *rand.Rand
	kind int // 0 heap, 1 ends at a guard page, 2 begins behind one
	rims [][]byte
}

const rim = 64

// eachPlace runs fn in every tier and place.
func eachPlace(t *testing.T, fn func(s Set, p *place)) {
	eachTier(t, func(t *testing.T, s Set) {
		for kind := range 3 {
			p := &place{t: t, r: rand.New(rand.NewPCG(uint64(kind), 7)), kind: kind}
			fn(s, p)
			p.check()
		}
	})
}

// bytes returns size bytes at an address that is a multiple of align, where the size allows.
func (p *place) bytes(size, align int) []byte {
	if p.kind > 0 {
		return guarded(p.t, size, p.kind == 1)
	}
	mem := make([]byte, size+2*rim+64)
	for i := range mem {
		mem[i] = 0xa5
	}
	at := rim + p.r.IntN(64)
	at += -int(uintptr(unsafe.Pointer(&mem[at]))) & (align - 1)
	at = min(at, len(mem)-rim-size)
	at -= int(uintptr(unsafe.Pointer(unsafe.SliceData(mem[at:])))) & (align - 1)
	p.rims = append(p.rims, mem[:at], mem[at+size:])
	return mem[at : at+size : at+size]
}

func (p *place) check() {
	p.t.Helper()
	for _, rim := range p.rims {
		for _, b := range rim {
			if b != 0xa5 {
				p.t.Fatal("a kernel wrote outside its results")
			}
		}
	}
	p.rims = nil
}

func take[T any](p *place, n int) []T {
	var x T
	size := int(unsafe.Sizeof(x))
	b := p.bytes(n*size, size)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// random returns size bytes of one of four kinds: any, all zero, all ones, extremes of signed bytes.
func (p *place) random(size, kind int) []byte {
	b := p.bytes(size, 1)
	for i := range b {
		switch kind % 4 {
		case 0:
			b[i] = byte(p.r.Uint32())
		case 1:
			b[i] = 0
		case 2:
			b[i] = 0xff
		case 3:
			b[i] = [...]byte{0x80, 0x7f, 0x81}[p.r.IntN(3)]
		}
	}
	return b
}

func signed(b []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}

// ids returns n row numbers below rows, the last row among them.
func (p *place) ids(n, rows int) []uint32 {
	ids := take[uint32](p, n)
	for i := range ids {
		ids[i] = p.r.Uint32N(uint32(rows))
	}
	if n > 0 {
		ids[p.r.IntN(n)] = uint32(rows - 1)
	}
	return ids
}

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d results, want %d", what, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: result %d of %d is %v, want %v", what, i, len(got), got[i], want[i])
		}
	}
}
