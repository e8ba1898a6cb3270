package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// rawRow writes components of one of five kinds: ordinary, extreme, tiny ones, zero, subnormal ones.
func rawRow(p *place, e Elem, row []byte, kind int) {
	for i := 0; i < len(row)/max(1, e.RowBytes(1)); i++ {
		x := float32(p.r.NormFloat64())
		switch e {
		case F32:
			x *= [...]float32{1, 1e15, 1e-15, 0, 1e-39}[kind]
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(x))
		case F16:
			h := uint16(p.r.IntN(2)<<15) | [...]uint16{uint16(p.r.IntN(0x4500)), 0x7bff, 0x0400, 0, uint16(p.r.IntN(0x400))}[kind]
			binary.LittleEndian.PutUint16(row[2*i:], h)
		case BF16:
			x *= [...]float32{1, 1e15, 1e-15, 0, 1e-39}[kind]
			binary.LittleEndian.PutUint16(row[2*i:], uint16(math.Float32bits(x)>>16))
		case I8:
			row[i] = [...]byte{byte(p.r.Uint32()), 0x80, 0x7f, 0, 1}[kind]
		}
	}
}

func TestRaw(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for e := range Bit {
			for _, dim := range dims() {
				kind := p.r.IntN(5)
				if dim%8 == 0 {
					kind = 0
				}
				checkRaw(s, p, e, dim, kind)
				p.check()
			}
		}
	})
}

func checkRaw(s Set, p *place, e Elem, dim, kind int) {
	p.t.Helper()
	n, size := counts[p.r.IntN(len(counts))], e.RowBytes(dim)
	block, q := p.bytes(n*size, e.RowBytes(1)), take[float32](p, dim)
	fill(p.r, kind%2, q)
	rawRow(p, e, block, kind)
	l2, ip, ip2, norm := take[float32](p, n), take[float32](p, n), take[float32](p, n), take[float32](p, n)
	s.RawBlockL2(e, q, block, l2)
	s.RawBlockIP(e, q, block, ip)
	s.RawBlockIPNorm(e, q, block, ip2, norm)
	var rows [][]byte
	buf := take[float32](p, dim)
	what := fmt.Sprintf("%v kind %d ", e, kind)
	for i := range n {
		row := block[i*size : (i+1)*size]
		rows = append(rows, row)
		x := s.Decode(e, row, buf)
		for j, v := range x {
			if want := component(e, row, j); v != want {
				p.t.Fatalf("%sdim %d: component %d is %g, not %g", what, dim, j, v, want)
			}
		}
		wl2, wip, terms := ref(q, x)
		wn, _, _ := ref(make([]float32, dim), x)
		tiny := 1e-36 // below it products of single-precision numbers lose digits
		checkClose(p.t, what+"L2", l2[i], wl2, wl2+tiny, dim)
		checkClose(p.t, what+"IP", ip[i], wip, terms+tiny, dim)
		checkClose(p.t, what+"IP with norm", ip2[i], wip, terms+tiny, dim)
		checkClose(p.t, what+"norm", norm[i], wn, wn+tiny, dim)
		checkClose(p.t, what+"norm alone", s.RawNorm2(e, row), wn, wn+tiny, dim)
	}
	got, got2 := take[float32](p, n), take[float32](p, n)
	s.RawL2(e, q, rows, got)
	same(p.t, what+"L2 of rows", got, l2)
	s.RawIP(e, q, rows, got)
	same(p.t, what+"IP of rows", got, ip)
	s.RawIPNorm(e, q, rows, got, got2)
	same(p.t, what+"IP of rows with norm", got, ip2)
	same(p.t, what+"norm of rows", got2, norm)
}

// TestDecodeAll decodes every number of 16 and of 8 bits, infinities and subnormal numbers among them.
func TestDecodeAll(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		all := make([]byte, 2<<16)
		for i := range 1 << 16 {
			binary.LittleEndian.PutUint16(all[2*i:], uint16(i))
		}
		for _, e := range []Elem{F16, BF16, I8} {
			for i, got := range s.Decode(e, all, nil) {
				want := component(e, all, i)
				if got != want && !(math.IsNaN(float64(got)) && math.IsNaN(float64(want))) {
					t.Fatalf("%v number %d is %g, want %g", e, i, got, want)
				}
			}
		}
	})
}

// TestInfinities checks that what is not finite stays so and does not spread to other rows.
func TestInfinities(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		for _, dim := range []int{3, 8, 17, 64, 100} {
			q, block := make([]float32, dim), make([]float32, 6*dim)
			for i := range q {
				q[i] = 1
			}
			block[2*dim+dim-1] = float32(math.Inf(1))
			block[3*dim] = float32(math.NaN())
			l2, ip := make([]float32, 6), make([]float32, 6)
			s.RawBlockL2(F32, q, Bytes(block), l2)
			s.RawBlockIP(F32, q, Bytes(block), ip)
			for i, want := range []float64{float64(dim), float64(dim), math.Inf(1), math.NaN(), float64(dim), float64(dim)} {
				if got := float64(l2[i]); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
					t.Fatalf("dim %d: L2 of row %d is %g, want %g", dim, i, got, want)
				}
			}
			if !math.IsInf(float64(ip[2]), 1) || !math.IsNaN(float64(ip[3])) || ip[4] != 0 {
				t.Fatalf("dim %d: inner products %v", dim, ip)
			}
		}
	})
}

func TestDotTile(t *testing.T) {
	eachPlace(t, func(s Set, p *place) {
		for _, dim := range append(dims()[:40], 96, 100, 384, 1000) {
			na, nb := 1+p.r.IntN(11), 1+p.r.IntN(13)
			a, b := take[float32](p, na*dim), take[float32](p, nb*dim)
			kind := p.r.IntN(2)
			fill(p.r, kind, a)
			fill(p.r, kind, b)
			out := take[float32](p, na*nb)
			s.DotTile(a, b, dim, out)
			for i := range na {
				for j := range nb {
					_, want, terms := ref(a[i*dim:(i+1)*dim], b[j*dim:(j+1)*dim])
					checkClose(t, fmt.Sprintf("tile %dx%d at %d,%d", na, nb, i, j), out[i*nb+j], want, terms, dim)
				}
			}
			p.check()
		}
	})
}

// TestLongLists crosses the places where lists are cut into calls.
func TestLongLists(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		const dim = 40
		n := 3*rowsPerCall(4*dim) + 5
		q, base := make([]float32, dim), make([]float32, n*dim)
		for i := range q {
			q[i] = float32(i)
		}
		var rows [][]byte
		ids, want := make([]uint32, n), make([]float32, n)
		for i := range n {
			base[i*dim+i%dim] = 1
			ids[i] = uint32(i)
			rows = append(rows, Bytes(base[i*dim:(i+1)*dim]))
			want[i] = float32(i % dim)
		}
		got, norm := make([]float32, n), make([]float32, n)
		s.IPRange(q, base, dim, got)
		same(t, "range", got, want)
		s.IP(q, base, dim, ids, got)
		same(t, "list", got, want)
		s.RawIPNorm(F32, q, rows, got, norm)
		same(t, "rows", got, want)
		for _, x := range norm {
			if x != 1 {
				t.Fatalf("norm %g", x)
			}
		}
		c := Codes{Data: make([]byte, 5*callBytes), Stride: 64}
		w, out := make([]int32, c.Rows()), make([]int32, c.Rows()-1)
		for i := range w {
			w[i] = int32(i)
		}
		s.SQ8Range(make([]int8, 64), c, 1, len(out), w, 0, out)
		same(t, "codes", out, w[1:])
	})
}
