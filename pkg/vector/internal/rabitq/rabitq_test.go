package rabitq

import (
	"math"
	"math/rand/v2"
	"testing"
)

func vectors(r *rand.Rand, n, dim int) [][]float32 {
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, dim)
		for d := range out[i] {
			out[i][d] = float32(r.NormFloat64())
			if d%16 == 0 {
				out[i][d] *= 10 // few dimensions dominate
			}
		}
	}
	return out
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// TestRotation: lengths and angles stay, and what lay in one dimension is spread over all.
func TestRotation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, dim := range []int{1, 2, 3, 4, 5, 8, 12, 31, 100, 128, 384, 768, 1000} {
		rot := NewRotation(dim)
		v := vectors(r, 2, dim)
		a, b := make([]float32, Bits(dim)), make([]float32, Bits(dim))
		rot.Turn(v[0], a)
		rot.Turn(v[1], b)
		if x, y := dot(a, b), dot(v[0], v[1]); math.Abs(x-y) > 1e-4*math.Sqrt(dot(a, a)*dot(b, b)) {
			t.Fatalf("dim %d: product %g, want %g", dim, x, y)
		}
		if dim < 128 {
			continue
		}
		for _, at := range []int{0, 1, dim / 2, dim - 1} {
			one := make([]float32, dim)
			one[at] = 1
			rot.Turn(one, a)
			fourth, most := 0.0, 0.0
			for _, x := range a {
				fourth += math.Pow(float64(x), 4) * float64(dim)
				most = max(most, math.Abs(float64(x)))
			}
			if fourth > 8 || most > 10/math.Sqrt(float64(dim)) {
				t.Errorf("dim %d: dimension %d is spread badly: %.1f, %.3f", dim, at, fourth, most)
			}
		}
	}
}

// TestEstimate: estimates have no bias, and errors the spread that is told.
func TestEstimate(t *testing.T) {
	const n, dim = 2000, 100
	r := rand.New(rand.NewPCG(2, 2))
	rot := NewRotation(dim)
	v := vectors(r, n, dim)
	q := vectors(r, 1, dim)[0]
	turnedQ, turned := make([]float32, Bits(dim)), make([]float32, Bits(dim))
	rot.Turn(q, turnedQ)
	table := make([]float32, 16*Nibbles(dim))
	Table(turnedQ, table)
	length := math.Sqrt(dot(q, q))
	nibbles := make([]byte, Nibbles(dim))
	var bias, squares float64
	beyond := 0
	for i := range v {
		rot.Turn(v[i], turned)
		c := Encode(turned, nibbles)
		product := float64(Product(nibbles, turnedQ))
		sum := 0.0
		for j, b := range nibbles {
			sum -= float64(table[16*j+int(b)])
		}
		if math.Abs(sum-product) > 1e-3*length {
			t.Fatalf("the table gives %g, want %g", sum, product)
		}
		z := (float64(c.Factor)*product - dot(v[i], q)) / (float64(c.Factor) * float64(c.Spread) * length)
		bias += z / n
		squares += z * z / n
		if math.Abs(z) > Deviations {
			beyond++
		}
	}
	t.Logf("bias %.3f, standard deviation %.3f, %d of %d beyond the bound", bias, math.Sqrt(squares), beyond, n)
	if math.Abs(bias) > 0.1 || squares < 0.7 || squares > 1.4 || beyond > n/20 {
		t.Fatal("errors are not as told")
	}
}

func TestOdd(t *testing.T) {
	nibbles := make([]byte, 2)
	if c := Encode(make([]float32, 8), nibbles); c.Factor != 0 || c.Spread != 0 {
		t.Fatal(c)
	}
	inf := float32(math.Inf(1))
	if c := Encode([]float32{inf, 0, 0, 0, 0, 0, 0, 0}, nibbles); !math.IsNaN(float64(c.Factor)) && !math.IsInf(float64(c.Factor), 0) {
		t.Fatal(c)
	}
}

func TestCoarsen(t *testing.T) {
	for bits := 1; bits <= 8; bits++ {
		x := []float32{-1, -0.3, 0.1, 0.2, 0.9, 1}
		y := append([]float32(nil), x...)
		Coarsen(y, bits)
		values := map[float32]bool{}
		for i := range y {
			if e := math.Abs(float64(x[i] - y[i])); e > 1/float64(int(1)<<bits-1)+1e-6 {
				t.Fatalf("%d bits: %g became %g", bits, x[i], y[i])
			}
			values[y[i]] = true
		}
		if len(values) > 1<<bits {
			t.Fatalf("%d bits: %v", bits, y)
		}
	}
	x := []float32{3, 3}
	Coarsen(x, 4)
	if x[0] != 3 {
		t.Fatal(x)
	}
}

func BenchmarkTurn(b *testing.B) {
	x := vectors(rand.New(rand.NewPCG(3, 3)), 1, 384)[0]
	out := make([]float32, 384)
	r := NewRotation(384)
	for b.Loop() {
		r.Turn(x, out)
	}
}
