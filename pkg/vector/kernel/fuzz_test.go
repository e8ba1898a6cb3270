package kernel

import (
	"bytes"
	"testing"
)

// FuzzBinary compares all tiers with the reference on any row and query.
func FuzzBinary(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{3, 2, 1})
	f.Add(bytes.Repeat([]byte{0xff}, 130), bytes.Repeat([]byte{0x80}, 130))
	f.Fuzz(func(t *testing.T, q, row []byte) {
		n := min(len(q), len(row))
		q, row = q[:n:n], row[:n:n]
		for _, s := range Tiers() {
			var ham, and, or, wantHam, wantAnd, wantOr [1]uint32
			s.HammingRange(q, row, n, ham[:])
			Set{}.HammingRange(q, row, n, wantHam[:])
			s.AndOrRange(q, row, n, and[:], or[:])
			Set{}.AndOrRange(q, row, n, wantAnd[:], wantOr[:])
			var i8, wantI8 [1]int32
			s.I8BlockL2(signed(q), row, i8[:])
			Set{}.I8BlockL2(signed(q), row, wantI8[:])
			if ham != wantHam || and != wantAnd || or != wantOr || i8 != wantI8 {
				t.Fatalf("%s, %d bytes: %v %v %v %v want %v %v %v %v", s.Name(), n, ham, and, or, i8, wantHam, wantAnd, wantOr, wantI8)
			}
		}
	})
}

// FuzzPQ4 compares the sums of all tiers on any blocks and tables.
func FuzzPQ4(f *testing.F) {
	f.Add([]byte("a table of some bytes, and blocks"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, sub uint8) {
		m := int(sub)%16 + 1
		if len(data) < 32*m {
			return
		}
		lut, blocks := data[:16*m], data[16*m:len(data)/(16*m)*16*m]
		n := len(blocks) / (16 * m) * PQ4Block
		want, got, narrow := make([]uint32, n), make([]uint32, n), make([]uint16, n)
		Set{}.PQ4ScanWide(lut, blocks, m, want)
		for _, s := range Tiers() {
			s.PQ4ScanWide(lut, blocks, m, got)
			same(t, s.Name(), got, want)
			s.PQ4Scan(lut, blocks, m, narrow)
			for i, x := range narrow {
				if uint32(x) != want[i] {
					t.Fatalf("%s: vector %d of %d: %d want %d", s.Name(), i, n, x, want[i])
				}
			}
		}
	})
}
