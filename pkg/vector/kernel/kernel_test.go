package kernel

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

func dims() []int {
	var ds []int
	for d := 1; d <= 70; d++ {
		ds = append(ds, d)
	}
	return append(ds, 96, 100, 127, 128, 129, 384, 768, 960, 1000, 1536, 3072)
}

func eachTier(t *testing.T, fn func(t *testing.T, s Set)) {
	for _, s := range Tiers() {
		t.Run(s.Name(), func(t *testing.T) { fn(t, s) })
	}
}

// fill writes values of several kinds: ordinary, huge and tiny ones, constants.
func fill(r *rand.Rand, kind int, xs []float32) {
	for i := range xs {
		switch kind {
		case 0:
			xs[i] = float32(r.NormFloat64())
		case 1:
			xs[i] = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(24)-12)))
		default:
			xs[i] = 1e9
		}
	}
}

// checkClose compares with float64 arithmetic; the allowance grows with the magnitude of the terms.
func checkClose(t *testing.T, what string, got float32, want, terms float64, dim int) {
	t.Helper()
	if diff := math.Abs(float64(got) - want); diff > terms*1.2e-7*(4+float64(dim)/4) || math.IsNaN(float64(got)) {
		t.Fatalf("%s dim %d: got %g want %g", what, dim, got, want)
	}
}

func ref(q, row []float32) (l2, ip, ipTerms float64) {
	for i := range q {
		d := float64(q[i]) - float64(row[i])
		p := float64(q[i]) * float64(row[i])
		l2 += d * d
		ip += p
		ipTerms += math.Abs(p)
	}
	return l2, ip, ipTerms
}

func TestFloat(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, dim := range dims() {
			for kind := range 3 {
				const n = 11
				stride := dim + r.IntN(3)
				base := make([]float32, (n-1)*stride+dim)
				q := make([]float32, dim)
				fill(r, kind, base)
				fill(r, kind, q)
				checkFloat(t, s, q, base, stride, n)
			}
		}
	})
}

func checkFloat(t *testing.T, s Set, q, base []float32, stride, n int) {
	t.Helper()
	dim := len(q)
	l2, ip := make([]float32, n), make([]float32, n)
	s.L2Range(q, base, stride, l2)
	s.IPRange(q, base, stride, ip)
	var ids []uint32
	var rows [][]float32
	for i := range n {
		row := base[i*stride : i*stride+dim]
		wl2, wip, terms := ref(q, row)
		checkClose(t, "L2", l2[i], wl2, wl2, dim)
		checkClose(t, "IP", ip[i], wip, terms, dim)
		checkClose(t, "Dot", s.Dot(q, row), wip, terms, dim)
		ids = append(ids, uint32(n-1-i))
		rows = append(rows, row)
	}
	got := make([]float32, n)
	for count := range n + 1 {
		s.L2(q, base, stride, ids[:count], got)
		for i, id := range ids[:count] {
			if got[i] != l2[id] {
				t.Fatalf("dim %d: L2 of row %d depends on its place", dim, id)
			}
		}
		s.IPRows(q, rows[:count], got)
		for i := range count {
			if got[i] != ip[i] {
				t.Fatalf("dim %d: IP of row %d depends on its place", dim, i)
			}
		}
	}
	s.IP(q, base, stride, ids, got)
	for i, id := range ids {
		if got[i] != ip[id] {
			t.Fatalf("IP list differs at %d", i)
		}
	}
	s.L2Rows(q, rows, got)
	for i := range rows {
		if got[i] != l2[i] {
			t.Fatalf("L2 rows differs at %d", i)
		}
	}
}

func TestSQ8(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, dim := range append(dims(), 32768) {
			for kind := range 3 {
				checkSQ8(t, s, r, dim, kind)
			}
		}
	})
}

func code(r *rand.Rand, kind int) int32 {
	switch kind {
	case 0:
		return int32(r.IntN(255) - 127)
	case 1:
		return int32(r.IntN(2)*254 - 127)
	}
	return 127
}

func checkSQ8(t *testing.T, s Set, r *rand.Rand, dim, kind int) {
	t.Helper()
	const n = 9
	c := Codes{Stride: CodeStride(dim)}
	c.Data = make([]byte, n*c.Stride)
	q := make([]int8, c.Stride)
	var qq, qsum int32
	for i := range dim {
		v := code(r, kind)
		if kind == 2 {
			v = -v
		}
		q[i] = int8(v)
		qq += v * v
		qsum += v
	}
	w := make([]int32, n)
	want, wantIP := make([]int32, n), make([]int32, n)
	for i := range n {
		row := c.Row(uint32(i))
		for j := range row {
			row[j] = byte(r.IntN(256)) // what lies behind the last dimension must not matter
		}
		for j := range dim {
			v := code(r, kind)
			row[j] = byte(v + 128)
			w[i] += v * v
			d := v - int32(q[j])
			want[i] += d * d
			wantIP[i] -= 2 * v * int32(q[j])
		}
	}
	ids := []uint32{8, 0, 3, 3, 1, 7, 2, 6, 5}
	out := make([]int32, n+1)
	for count := range n + 1 {
		out[count] = 42
		s.SQ8(q, c, ids[:count], w, qq+256*qsum, out)
		for i, id := range ids[:count] {
			if out[i] != want[id] {
				t.Fatalf("dim %d kind %d: L2 %d want %d", dim, kind, out[i], want[id])
			}
		}
		if out[count] != 42 {
			t.Fatal("wrote behind the end")
		}
		s.SQ8(q, c, ids[:count], nil, 256*qsum, out)
		for i, id := range ids[:count] {
			if out[i] != wantIP[id] {
				t.Fatalf("dim %d kind %d: IP %d want %d", dim, kind, out[i], wantIP[id])
			}
		}
	}
	s.Prefetch(c, ids, c.Stride/64)
}

func TestOutOfRange(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		defer func() {
			if recover() == nil {
				t.Fatal("a row id behind the end was accepted")
			}
		}()
		s.L2(make([]float32, 4), make([]float32, 12), 4, []uint32{3}, make([]float32, 1))
	})
}

func TestNew(t *testing.T) {
	if _, err := New("nonsense"); err == nil {
		t.Fatal("unknown tier accepted")
	}
	for _, s := range Tiers() {
		if got, err := New(s.Name()); err != nil || got != s {
			t.Fatalf("New(%s) = %v, %v", s.Name(), got, err)
		}
	}
	if name := os.Getenv(EnvTier); name != "" {
		if s, err := Default(); err == nil && s.Name() != name {
			t.Fatalf("Default is %s, not %s", s.Name(), name)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	eachTier(t, func(t *testing.T, s Set) {
		for _, dim := range []int{4, 64} {
			for name, call := range allCalls(s, dim) {
				if n := testing.AllocsPerRun(20, call); n != 0 {
					t.Errorf("%s at %d dimensions: %v allocations", name, dim, n)
				}
			}
		}
	})
}

// allCalls returns a call of each kernel with buffers on its stack, which must stay there.
func allCalls(s Set, dim int) map[string]func() {
	base := make([]float32, 64*8)
	block := Bytes(base)
	c := Codes{Data: block, Stride: 64}
	return map[string]func(){
		"floats": func() {
			var q [64]float32
			var out, norm [7]float32
			ids := [...]uint32{1, 2, 3, 4, 5, 6, 7}
			s.L2(q[:dim], base, 64, ids[:], out[:])
			s.IPRange(q[:dim], base, 64, out[:])
			s.RawBlockIPNorm(F16, q[:dim], block, out[:], norm[:])
			s.DotTile(q[:dim], q[:dim], dim, out[:])
			s.RawNorm2(BF16, block[:dim*2])
		},
		"rows": func() {
			rows := [...][]byte{block, block[256:], block[512:]}
			var q [64]float32
			var q8 [64]int8
			var qb [64]byte
			var out, norm [3]float32
			var o8 [3]int32
			var ob, ob2 [3]uint32
			s.RawIPNorm(F32, q[:dim], rows[:], out[:], norm[:])
			s.I8L2(q8[:dim], rows[:], o8[:])
			s.HammingRows(qb[:dim], rows[:], ob[:])
			s.AndOrRows(qb[:dim], rows[:], ob[:], ob2[:])
		},
		"codes": func() {
			var q [128]int8
			var planes [32]uint64
			var w [8]int32
			var out [3]int32
			ids := [...]uint32{0, 5, 7}
			s.SQ8(q[:], c, ids[:], w[:], 0, out[:])
			s.SQ8Range(q[:], c, 1, 3, nil, 0, out[:])
			s.U4(q[:], c, ids[:], w[:], 0, out[:])
			s.Bits4(planes[:], block, 64, ids[:], out[:])
			s.Prefetch(c, ids[:], 1)
		},
		"scans": func() {
			var lut, blocks [48]byte
			var narrow, ou [32]uint16
			var wide, oid [32]uint32
			var table, of [48]float32
			var oi, di [32]int32
			s.PQ4Scan(lut[:], blocks[:], 3, narrow[:])
			s.PQ4ScanWide(lut[:], blocks[:], 3, wide[:])
			s.PQ4TableL2(base[:3], base[:48], 1, table[:])
			s.QuantiseTable(lut[:], table[:])
			s.Filter(di[:dim%33], nil, 1, oi[:], oid[:])
			s.FilterBelow(table[:17], wide[:], 1, of[:], oid[:])
			s.FilterU16(narrow[:], nil, 7, ou[:], oid[:])
		},
	}
}
