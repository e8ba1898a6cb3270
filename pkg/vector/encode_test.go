package vector

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// nearest is the stored number closest to x, an even one of two: found by trying all 2^16.
func nearest(values []float64, x float64) uint16 {
	best := 0
	for i, v := range values {
		d, b := math.Abs(v-x), math.Abs(values[best]-x)
		if d < b || d == b && i&1 == 0 && best&1 == 1 {
			best = i
		}
	}
	return uint16(best)
}

// TestEncode: stored numbers come back as they were, and others become the nearest stored one.
func TestEncode(t *testing.T) {
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Elem{kernel.F16, kernel.BF16} {
		values := make([]float64, 1<<16)
		for i := range values {
			raw := binary.LittleEndian.AppendUint16(nil, uint16(i))
			x := set.Decode(e, raw, nil)[0]
			values[i] = float64(x)
			got := binary.LittleEndian.Uint16(Encode(e, []float32{x}, nil))
			switch {
			case math.IsNaN(values[i]):
				back := set.Decode(e, Encode(e, []float32{x}, nil), nil)[0]
				if back == back {
					t.Fatalf("%s: %04x is no number, but becomes %g", e, i, back)
				}
				values[i] = math.Inf(-1) // never the nearest of what follows
			case got != uint16(i):
				t.Fatalf("%s: %04x becomes %04x", e, i, got)
			}
		}
		limit := 65504.0
		if e == kernel.BF16 {
			limit = math.MaxFloat32 / (1 + 1.0/256)
		}
		for i := range values {
			if math.IsInf(values[i], 0) {
				values[i] = math.Inf(1)
			}
		}
		r := rand.New(rand.NewPCG(3, 4))
		for range 400 {
			x := float32(math.Ldexp(r.Float64()*2-1, r.IntN(45)-28))
			if i := r.IntN(1 << 15); r.IntN(3) == 0 && values[i+1] < limit { // a tie
				x = float32((values[i] + values[i+1]) / 2)
			}
			if math.Abs(float64(x)) > limit {
				continue
			}
			got := binary.LittleEndian.Uint16(Encode(e, []float32{x}, nil))
			if want := nearest(values, float64(x)); values[got] != values[want] {
				t.Fatalf("%s: %g becomes %g, the nearest is %g", e, x, values[got], values[want])
			}
		}
		if got := Encode(kernel.F16, []float32{65519, 65520, -70000, 3e38}, nil); string(got) != "\xff\x7b\x00\x7c\x00\xfc\x00\x7c" {
			t.Fatalf("numbers beyond half precision become % x", got)
		}
	}
}
