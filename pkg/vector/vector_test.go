package vector

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func TestKeyOrder(t *testing.T) {
	inf := float32(math.Inf(1))
	scores := []float32{-inf, -1e30, -2, -1, -1e-40, 0, 1e-40, 1, 1.0000001, 2, 1e30, inf}
	for _, m := range []Metric{L2, IP, Cosine, Hamming, Jaccard} {
		var keys []uint32
		for _, s := range scores {
			if got := m.Score(m.Key(s)); got != s {
				t.Fatalf("%s: %g came back as %g", m, s, got)
			}
			keys = append(keys, m.Key(s))
		}
		if m.Greater() {
			slices.Reverse(keys)
		}
		for i := range keys[1:] {
			if keys[i] >= keys[i+1] {
				t.Fatalf("%s: keys %d and %d are out of order", m, i, i+1)
			}
		}
		negative := float32(math.Copysign(0, -1))
		if m.Key(0) != m.Key(negative) || math.Signbit(float64(m.Score(m.Key(negative)))) {
			t.Fatalf("%s: two zeros", m)
		}
	}
	if Metric(0).Dense() || Metric(4).Dense() || !Cosine.Dense() {
		t.Fatal("Dense")
	}
}

func TestScorer(t *testing.T) {
	rows := []float32{3, 4, 0, 0, -6, -8, 1, 0}
	query := []float32{0.6, 0.8}
	for m, want := range map[Metric][]float32{
		L2: {16, 1, 121, 0.8}, IP: {5, 0, -10, 0.6}, Cosine: {1, 0, -1, 0.6},
	} {
		for _, set := range kernel.Tiers() {
			s := NewScorer(set, m, kernel.F32, query)
			got := make([]float32, 4)
			s.Block(kernel.Bytes(rows), got)
			list := make([]float32, 4)
			s.Rows([][]byte{kernel.Bytes(rows[0:2]), kernel.Bytes(rows[2:4]), kernel.Bytes(rows[4:6]), kernel.Bytes(rows[6:8])}, list)
			if !slices.Equal(got, list) {
				t.Fatalf("%s: block %v, rows %v", m, got, list)
			}
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-6*math.Max(1, math.Abs(float64(want[i]))) {
					t.Fatalf("%s %s: %v, want %v", m, set.Name(), got, want)
				}
			}
		}
	}
	zero := NewScorer(kernel.Set{}, Cosine, kernel.F32, []float32{0, 0})
	out := []float32{9}
	zero.Block(kernel.Bytes([]float32{1, 2}), out)
	if out[0] != 0 {
		t.Fatalf("cosine with a zero query is %g", out[0])
	}
}

func TestChunks(t *testing.T) {
	data := []float32{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}
	for _, limit := range []int{-1, 0, 1, 3, 5, 9} {
		c := NewChunks(kernel.F32, 2, [][]byte{kernel.Bytes(data[:2]), nil, kernel.Bytes(data[2:8]), {}, kernel.Bytes(data[8:])}, limit)
		want := 5
		if limit >= 0 {
			want = min(limit, 5)
		}
		if c.Len() != want || c.Dim() != 2 {
			t.Fatalf("limit %d: %d rows", limit, c.Len())
		}
		for i := range want {
			if v := kernel.Floats(c.Row(i)); len(v) != 2 || v[0] != float32(i) || kernel.Floats(c.Block(i))[1] != float32(i) {
				t.Fatalf("limit %d row %d: %v", limit, i, v)
			}
		}
	}
	if n := NewChunks(kernel.F32, 3, nil, -1).Len(); n != 0 {
		t.Fatal(n)
	}
}

// fetched are rows that do not lie in memory.
type fetched struct {
	Packed
	err error
}

func (f fetched) Row(int) []byte { panic("the rows are not in memory") }

func (f fetched) Fetch(_ context.Context, ids []uint32, dst []byte) error {
	size := f.E.RowBytes(f.D)
	for i, id := range ids {
		copy(dst[i*size:], f.Packed.Row(int(id)))
	}
	return f.err
}

func TestGatherer(t *testing.T) {
	p := Packed{Data: []byte{1, 2, 3, 4, 5, 6}, D: 2, E: kernel.I8}
	for _, rows := range []Rows{p, fetched{Packed: p}} {
		g := NewGatherer(rows)
		for _, ids := range [][]uint32{{2, 0}, {1}, {}, {0, 1, 2}} {
			got, err := g.Get(t.Context(), ids)
			if err != nil || len(got) != len(ids) {
				t.Fatal(got, err)
			}
			for i, id := range ids {
				if !slices.Equal(got[i], p.Row(int(id))) {
					t.Fatalf("row %d is %v", id, got[i])
				}
			}
		}
		g.Reset()
	}
	away := errors.New("away")
	g := NewGatherer(fetched{p, away})
	if _, err := g.Get(t.Context(), []uint32{1}); !errors.Is(err, away) {
		t.Fatal(err)
	}
}

// TestElements scores rows of every kind of component against the same numbers as singles.
func TestElements(t *testing.T) {
	values := []float32{1, -2, 0.5, 96, -128, 127, 0, 3}
	query := []float32{0.25, 3, -1, 2}
	for e, data := range map[Elem][]byte{
		kernel.F16:  {0, 0x3c, 0, 0xc0, 0, 0x38, 0, 0x56, 0, 0xd8, 0xf0, 0x57, 0, 0, 0, 0x42},
		kernel.BF16: {0x80, 0x3f, 0, 0xc0, 0, 0x3f, 0xc0, 0x42, 0, 0xc3, 0xfe, 0x42, 0, 0, 0x40, 0x40},
		kernel.I8:   {1, 0xfe, 5, 96, 0x80, 127, 0, 3},
	} {
		want := slices.Clone(values)
		if e == kernel.I8 {
			want[2] = 5
		}
		rows := Packed{Data: data, D: 4, E: e}
		for _, set := range kernel.Tiers() {
			for i := range rows.Len() {
				if got := set.Decode(e, rows.Row(i), nil); !slices.Equal(got, want[4*i:4*i+4]) {
					t.Fatalf("%s: row %d is %v, want %v", e, i, got, want[4*i:4*i+4])
				}
			}
			for _, m := range []Metric{L2, IP, Cosine} {
				exact, typed := NewScorer(set, m, kernel.F32, query), NewScorer(set, m, e, query)
				var a, b, c [2]float32
				exact.Block(kernel.Bytes(want), a[:])
				typed.Block(data, b[:])
				typed.Rows([][]byte{rows.Row(0), rows.Row(1)}, c[:])
				for i := range a {
					if math.Abs(float64(a[i]-b[i])) > 1e-5*math.Abs(float64(a[i])) || b[i] != c[i] {
						t.Fatalf("%s %s %s: block %v, rows %v, want %v", set.Name(), e, m, b, c, a)
					}
				}
			}
		}
	}
}
