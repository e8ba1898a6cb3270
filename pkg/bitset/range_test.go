package bitset

import (
	"slices"
	"testing"
)

func TestAddRange(t *testing.T) {
	const n = 200
	for lo := range n {
		for hi := lo; hi <= n; hi += 1 + (lo+hi)%5 {
			got, want := New(n), New(n)
			got.AddRange(lo, hi)
			for i := lo; i < hi; i++ {
				want.Add(i)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d to %d: %x, want %x", lo, hi, got, want)
			}
		}
	}
}
