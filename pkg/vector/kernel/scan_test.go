package kernel

import (
	"fmt"
	"math"
	"testing"
)

func TestPQ4(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, m := range []int{1, 2, 3, 4, 5, 8, 15, 16, 17, 64, 96, 192, 255, 256, 257, 300, 1000} {
			for kind := range 4 {
				checkPQ4(s, p, m, kind)
				p.check()
			}
		}
	})
}

func checkPQ4(s Set, p *place, m, kind int) {
	p.t.Helper()
	n := []int{1, 31, 32, 33, 100}[p.r.IntN(5)]
	codes := make([]byte, n*m)
	for i := range codes {
		codes[i] = byte(p.r.IntN(16))
	}
	blocks, lut := p.bytes(PQ4Bytes(n, m), 1), p.random(16*m, kind)
	PackPQ4(blocks, codes, m)
	all := (n + 31) / 32 * 32
	wide := take[uint32](p, all)
	s.PQ4ScanWide(lut, blocks, m, wide)
	narrow := take[uint16](p, all)
	if m <= PQ4MaxSub {
		s.PQ4Scan(lut, blocks, m, narrow)
	}
	for v := range all {
		var want uint32
		for j := range m {
			c := byte(0)
			if v < n {
				c = codes[v*m+j]
			}
			want += uint32(lut[16*j+int(c)])
		}
		if wide[v] != want || m <= PQ4MaxSub && uint32(narrow[v]) != want {
			p.t.Fatalf("m %d kind %d vector %d: %d %d want %d", m, kind, v, wide[v], narrow[v], want)
		}
	}
}

func TestPQ4RefusesOverflow(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("16-bit sums of 258 bytes were accepted")
		}
	}()
	Set{}.PQ4Scan(make([]byte, 258*16), make([]byte, 258*16), 258, make([]uint16, 32))
}

func TestQuantiseTable(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, m := range []int{1, 2, 3, 8, 33, 192} {
			for kind := range 3 {
				table := take[float32](p, 16*m)
				fill(p.r, kind, table)
				lut, want := p.bytes(16*m, 1), make([]byte, 16*m)
				scale, bias := s.QuantiseTable(lut, table)
				wantScale, wantBias := Set{}.QuantiseTable(want, table)
				same(t, fmt.Sprintf("m %d kind %d", m, kind), lut, want)
				if scale != wantScale || bias != wantBias {
					t.Fatalf("scale %g bias %g want %g %g", scale, bias, wantScale, wantBias)
				}
				if kind == 0 {
					checkQuantised(t, lut, table, scale, bias)
				}
				p.check()
			}
		}
	})
}

func TestPQ4Table(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, dims := range []int{1, 2, 4, 8, 13} {
			for _, m := range []int{1, 2, 63, 64, 65, 200} {
				q, book, table := take[float32](p, m*dims), take[float32](p, 16*m*dims), take[float32](p, 16*m)
				fill(p.r, 0, q)
				fill(p.r, 0, book)
				for _, l2 := range []bool{true, false} {
					if l2 {
						s.PQ4TableL2(q, book, dims, table)
					} else {
						s.PQ4TableIP(q, book, dims, table)
					}
					for i, got := range table {
						j, c := i/16, i%16
						centroid := make([]float32, dims)
						for d := range dims {
							centroid[d] = book[(j*dims+d)*16+c]
						}
						wantL2, want, terms := ref(q[j*dims:(j+1)*dims], centroid)
						if l2 {
							want, terms = wantL2, wantL2
						}
						checkClose(t, fmt.Sprintf("entry %d of %d", i, 16*m), got, want, terms, dims)
					}
				}
				p.check()
			}
		}
	})
}

// checkQuantised adds up one column and compares the sum that the bytes stand for.
func checkQuantised(t *testing.T, lut []byte, table []float32, scale, bias float32) {
	t.Helper()
	for c := range 16 {
		var bytes, exact float64
		for j := 0; j < len(table); j += 16 {
			bytes += float64(lut[j+c])
			exact += float64(table[j+c])
		}
		m := float64(len(table) / 16)
		if got := bytes*float64(scale) + float64(bias); math.Abs(got-exact) > m*(float64(scale)*0.51+1e-5) {
			t.Fatalf("column %d stands for %g, not %g", c, got, exact)
		}
	}
}

func TestFilter(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for n := range 70 {
			for share := range 4 {
				checkFilter(s, p, n, share)
			}
			p.check()
		}
		checkFilter(s, p, 3*callBytes/8+5, 1)
	})
}

func checkFilter(s Set, p *place, n, share int) {
	p.t.Helper()
	span := []int{1, 10, 1 << 16, 1 << 16}[share]
	i32, f32, u16 := take[int32](p, n), take[float32](p, n), take[uint16](p, n)
	for i := range n {
		v := p.r.IntN(span)
		i32[i], f32[i], u16[i] = int32(v-span/2), float32(v-span/2), uint16(v)
	}
	if n > 2 && share > 0 {
		i32[0], i32[1] = math.MinInt32, math.MaxInt32
		f32[0], f32[1], f32[2] = float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))
	}
	limit := []int{0, -4, -span/2 + span/50, span/2 + 1}[share]
	for _, ids := range [][]uint32{nil, p.ids(n, 1<<30)} {
		oid := take[uint32](p, n)
		od := take[int32](p, n)
		k := s.Filter(i32, ids, int32(limit), od, oid)
		wantKept(p.t, "int32", i32, ids, func(x int32) bool { return x < int32(limit) }, od[:k], oid[:k])
		of := take[float32](p, n)
		k = s.FilterBelow(f32, ids, float32(limit), of, oid)
		wantKept(p.t, "below", f32, ids, func(x float32) bool { return x < float32(limit) }, of[:k], oid[:k])
		k = s.FilterAbove(f32, ids, float32(limit), of, oid)
		wantKept(p.t, "above", f32, ids, func(x float32) bool { return x > float32(limit) }, of[:k], oid[:k])
		ou, below := take[uint16](p, n), uint16(min(limit+span/2, 65535))
		k = s.FilterU16(u16, ids, below, ou, oid)
		wantKept(p.t, "uint16", u16, ids, func(x uint16) bool { return x < below }, ou[:k], oid[:k])
	}
}

func wantKept[T comparable](t *testing.T, what string, dist []T, ids []uint32, keep func(T) bool, outD []T, outID []uint32) {
	t.Helper()
	var d []T
	var id []uint32
	for i, x := range dist {
		if !keep(x) {
			continue
		}
		d = append(d, x)
		if ids == nil {
			id = append(id, uint32(i))
		} else {
			id = append(id, ids[i])
		}
	}
	same(t, what, outD, d)
	same(t, what+" ids", outID, id)
}
