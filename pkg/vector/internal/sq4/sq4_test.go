package sq4

import (
	"math"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/rotate"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestDistance: distances by codes are the exact ones up to a small share of the rows' mean squared offset, whatever the
// components' widths.
func TestDistance(t *testing.T) {
	const n, dim = 2000, 100
	rows := sample.Clustered(1, 0, n, dim, 30)
	for i := range n {
		row := rows.Vector(i)
		row[3] *= 10
		row[4] /= 1000
		row[5] = 7
	}
	turned := vector.Matrix{Data: make([]float32, n*dim), D: dim}
	for i := range n {
		rotate.New(dim).Apply(rows.Vector(i), turned.Vector(i))
	}
	rows = turned
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []bool{false, true} {
		q := Quantiser{Set: set, IP: ip, Mean: make([]float32, dim), Step: make([]float32, dim)}
		q.Train(rows)
		codes := kernel.Codes{Data: make([]byte, n*kernel.U4Stride(dim)), Stride: kernel.U4Stride(dim)}
		weight, code, ids, keys := make([]float32, n), make([]byte, dim), make([]uint32, n), make([]uint32, n)
		var offsets float64 // mean squared length of the rows' offsets
		for i := range n {
			weight[i] = q.Encode(rows.Vector(i), code)
			kernel.PackU4(codes.Row(uint32(i)), code)
			ids[i] = uint32(i)
			for d, v := range rows.Vector(i) {
				offsets += math.Pow(float64(v-q.Mean[d]), 2) / n
			}
		}
		var c Coded
		for i := range 50 {
			query := rows.Vector(i * 7)
			q.Query(query, &c)
			q.Measure(&c, codes, ids, weight, keys)
			var errors float64
			for j := range n {
				var exact float64
				for d, v := range rows.Vector(j) {
					if ip {
						exact -= float64(v) * float64(query[d])
					} else {
						exact += math.Pow(float64(v-query[d]), 2)
					}
				}
				errors += math.Pow(float64(c.Distance(keys[j]))-exact, 2) / n
			}
			if got := math.Sqrt(errors) / offsets; got > 0.1 {
				t.Errorf("ip %v query %d: error %.3f of the mean squared offset", ip, i, got)
			}
		}
	}
}

// TestConstant: components that never change do not count.
func TestConstant(t *testing.T) {
	rows := vector.Matrix{Data: []float32{1, 7, 2, 7, 4, 7}, D: 2}
	q := Quantiser{Mean: make([]float32, 2), Step: make([]float32, 2)}
	q.Train(rows)
	code := make([]byte, 2)
	for i := range 3 {
		q.Encode(rows.Vector(i), code)
		if got := q.Decode(1, code[1]); math.Abs(float64(got)-7) > 1e-6 {
			t.Fatalf("a constant component became %g", got)
		}
	}
}

func TestOddValues(t *testing.T) {
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float32{0, 1e30, 1e-30, -1e38, float32(math.Inf(1)), float32(math.NaN())} {
		rows := vector.Matrix{Data: []float32{v, 1, -v, 2}, D: 2}
		q := Quantiser{Set: set, Mean: make([]float32, 2), Step: make([]float32, 2)}
		q.Train(rows)
		code := make([]byte, 2)
		q.Encode(rows.Vector(0), code)
		packed := make([]byte, kernel.U4Stride(2))
		kernel.PackU4(packed, code)
		var c Coded
		q.Query(rows.Vector(1), &c)
		q.Measure(&c, kernel.Codes{Data: packed, Stride: len(packed)}, []uint32{0}, []float32{0}, make([]uint32, 1))
	}
}
