package topk

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHeap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var h Heap
	for range 300 {
		n, k := r.IntN(60), r.IntN(20)
		h.Reset(k)
		var all []uint64
		for i := range n {
			p := Pack(r.Uint32N(10), uint32(i))
			if p < h.Bound() != h.Push(p) {
				t.Fatal("Bound and Push disagree")
			}
			all = append(all, p)
		}
		if h.Full() != (n >= k) || h.Len() != min(n, k) {
			t.Fatalf("%d of %d pairs, full %v", h.Len(), n, h.Full())
		}
		slices.Sort(all)
		if got := h.Sort(); !slices.Equal(got, all[:min(n, k)]) {
			t.Fatalf("k %d: %v, want %v", k, got, all)
		}
	}
	if p := Pack(7, 9); Key(p) != 7 || ID(p) != 9 {
		t.Fatal(p)
	}
}
