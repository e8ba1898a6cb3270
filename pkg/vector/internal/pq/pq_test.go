package pq

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func train(t testing.TB, rows vector.Matrix, m, bits, workers int) *Quantiser {
	t.Helper()
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	q := &Quantiser{Set: set, Dim: rows.D, M: m, Bits: bits}
	q.Books = make([]float32, q.BookSize())
	if err := q.Train(t.Context(), rows, workers); err != nil {
		t.Fatal(err)
	}
	q.Prepare()
	return q
}

func squaredError(q *Quantiser, rows vector.Matrix, codes []byte) float64 {
	out := make([]float32, q.Dim)
	sum := 0.0
	for i := range rows.Len() {
		q.Decode(codes[i*q.M:(i+1)*q.M], out)
		for d, v := range rows.Vector(i) {
			sum += float64(v-out[d]) * float64(v-out[d])
		}
	}
	return sum / float64(rows.Len())
}

// TestError: more bits and more parts err less, and no other code of a part errs less than the chosen one.
func TestError(t *testing.T) {
	rows := sample.Clustered(1, 0, 3000, 12, 30)
	last := math.Inf(1)
	for _, c := range [][2]int{{2, 1}, {2, 4}, {4, 4}, {12, 4}, {12, 6}, {12, 8}} {
		q := train(t, rows, c[0], c[1], 2)
		codes := make([]byte, rows.Len()*q.M)
		q.NewEncoder().Encode(rows.Data, codes)
		err := squaredError(q, rows, codes)
		t.Logf("m %d bits %d: squared error %.5f", c[0], c[1], err)
		if err > 0.8*last {
			t.Errorf("m %d bits %d: squared error %.5f after %.5f", c[0], c[1], err, last)
		}
		last = err
		one := vector.Matrix{Data: rows.Vector(7), D: 12}
		code := slices.Clone(codes[7*q.M : 8*q.M])
		best := squaredError(q, one, code)
		for j := range code {
			for b := range q.K() {
				old := code[j]
				code[j] = byte(b)
				if got := squaredError(q, one, code); got < best*(1-1e-5) {
					t.Fatalf("part %d: code %d errs %g, %d errs %g", j, b, got, old, best)
				}
				code[j] = old
			}
		}
	}
}

// TestTable: sums of table entries are inner products with what codes stand for.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range [][3]int{{8, 8, 4}, {8, 4, 4}, {9, 3, 8}, {12, 2, 3}} {
		rows := sample.Clustered(2, 0, 500, c[0], 10)
		q := train(t, rows, c[1], c[2], 1)
		codes := make([]byte, 500*q.M)
		q.NewEncoder().Encode(rows.Data, codes)
		x, table, out := sample.Clustered(2, 1, 1, c[0], 10).Data, make([]float32, q.M*q.K()), make([]float32, c[0])
		q.Table(x, -2, table)
		i := r.IntN(500)
		code := codes[i*q.M : (i+1)*q.M]
		q.Decode(code, out)
		var want, got float64
		for d, v := range out {
			want -= 2 * float64(v) * float64(x[d])
		}
		for j, b := range code {
			got += float64(table[j*q.K()+int(b)])
		}
		if math.Abs(got-want) > 1e-4*math.Max(1, math.Abs(want)) {
			t.Fatalf("%v: %g, want %g", c, got, want)
		}
	}
}

// TestTurn: the error along the direction shrinks, that of all grows little.
func TestTurn(t *testing.T) {
	rows := sample.Clustered(3, 0, 2000, 16, 20)
	q := train(t, rows, 8, 4, 2)
	codes := make([]byte, 2000*q.M)
	e := q.NewEncoder()
	e.Encode(rows.Data, codes)
	before := squaredError(q, rows, codes)
	along := func() (sum float64) {
		out := make([]float32, 16)
		for i := range 2000 {
			q.Decode(codes[i*q.M:(i+1)*q.M], out)
			x := rows.Vector(i)
			var dot, norm float64
			for d := range x {
				dot += float64(x[d]-out[d]) * float64(x[d])
				norm += float64(x[d]) * float64(x[d])
			}
			sum += dot * dot / norm
		}
		return sum / 2000
	}
	first := along()
	for i := range 2000 {
		x := rows.Vector(i)
		dir := slices.Clone(x)
		n := float32(math.Sqrt(float64(q.Set.Dot(x, x))))
		for d := range dir {
			dir[d] /= n
		}
		e.Turn(x, dir, 8, codes[i*q.M:(i+1)*q.M])
	}
	t.Logf("along %.5f -> %.5f, all %.5f -> %.5f", first, along(), before, squaredError(q, rows, codes))
	if along() > first/3 || squaredError(q, rows, codes) > 1.6*before {
		t.Fatal("turned codes are no better")
	}
}

func TestWorkers(t *testing.T) {
	rows := sample.Clustered(4, 0, 1000, 12, 10)
	a, b := train(t, rows, 4, 8, 1), train(t, rows, 4, 8, 5)
	if !bytes.Equal(kernel.Bytes(a.Books), kernel.Bytes(b.Books)) {
		t.Fatal("two trainings differ")
	}
}

func TestFewRows(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		rows := sample.Clustered(5, 0, n, 4, 2)
		q := train(t, rows, 2, 8, 3)
		codes := make([]byte, n*2)
		q.NewEncoder().Encode(rows.Data, codes)
		if n > 0 {
			if e := squaredError(q, rows, codes); e > 1e-6 {
				t.Fatalf("%d rows: squared error %g", n, e)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		dim, m, bits int
		ok           bool
	}{{8, 4, 4, true}, {8, 3, 4, false}, {8, 0, 4, false}, {8, 4, 0, false}, {8, 4, 9, false}, {0, 1, 4, false}} {
		if (Check(c.dim, c.m, c.bits) == nil) != c.ok {
			t.Errorf("%+v", c)
		}
	}
}
