package vector

import (
	"math"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func TestKeyOrder(t *testing.T) {
	inf := float32(math.Inf(1))
	scores := []float32{-inf, -1e30, -2, -1, -1e-40, 0, 1e-40, 1, 1.0000001, 2, 1e30, inf}
	for _, m := range []Metric{L2, IP, Cosine} {
		var keys []uint32
		for _, s := range scores {
			if got := m.Score(m.Key(s)); got != s {
				t.Fatalf("%s: %g came back as %g", m, s, got)
			}
			keys = append(keys, m.Key(s))
		}
		if m != L2 {
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
	if Metric(0).Valid() || Metric(4).Valid() || !Cosine.Valid() {
		t.Fatal("Valid")
	}
}

func TestScorer(t *testing.T) {
	rows := []float32{3, 4, 0, 0, -6, -8, 1, 0}
	query := []float32{0.6, 0.8}
	for m, want := range map[Metric][]float32{
		L2: {16, 1, 121, 0.8}, IP: {5, 0, -10, 0.6}, Cosine: {1, 0, -1, 0.6},
	} {
		for _, set := range kernel.Tiers() {
			s := NewScorer(set, m, query)
			got := make([]float32, 4)
			s.Block(rows, got)
			list := make([]float32, 4)
			s.Rows([][]float32{rows[0:2], rows[2:4], rows[4:6], rows[6:8]}, list)
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
	zero := NewScorer(kernel.Set{}, Cosine, []float32{0, 0})
	out := []float32{9}
	zero.Block([]float32{1, 2}, out)
	if out[0] != 0 {
		t.Fatalf("cosine with a zero query is %g", out[0])
	}
}

func TestChunks(t *testing.T) {
	data := []float32{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}
	for _, limit := range []int{-1, 0, 1, 3, 5, 9} {
		c := NewChunks(2, [][]float32{data[:2], nil, data[2:8], {}, data[8:]}, limit)
		want := 5
		if limit >= 0 {
			want = min(limit, 5)
		}
		if c.Len() != want || c.Dim() != 2 {
			t.Fatalf("limit %d: %d rows", limit, c.Len())
		}
		for i := range want {
			if v := c.Vector(i); len(v) != 2 || v[0] != float32(i) || c.Block(i)[1] != float32(i) {
				t.Fatalf("limit %d row %d: %v", limit, i, v)
			}
		}
	}
	if n := NewChunks(3, nil, -1).Len(); n != 0 {
		t.Fatal(n)
	}
}
