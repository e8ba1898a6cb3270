package flat

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestSameAnswers compares calls with many queries, chunks, filters and a shared scratch with calls of one query over one
// block, bit for bit.
func TestSameAnswers(t *testing.T) {
	scratch := &Scratch{}
	r := rand.New(rand.NewPCG(4, 4))
	for _, set := range kernel.Tiers() {
		for e := range kernel.Bit {
			for _, dim := range []int{4, 36, 260} {
				n := 60 + r.IntN(200)
				data := make([]byte, 4*((n*e.RowBytes(dim)+3)/4))
				fillRows(e, data, uint64(dim))
				data = data[:n*e.RowBytes(dim)]
				copy(data[e.RowBytes(dim)*(n/2):], data[:e.RowBytes(dim)*10]) // equal scores
				one := vector.Packed{Data: data, D: dim, E: e}
				cut := e.RowBytes(dim) * r.IntN(n)
				for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
					a := Scanner{Set: set, Metric: metric, Rows: one}
					b := Scanner{Set: set, Metric: metric, Rows: vector.NewChunks(e, dim, [][]byte{data[:cut], data[cut:]}, -1), Scratch: scratch}
					compare(t, a, b, sample.Share(uint64(n), n, r.Float64()))
				}
			}
		}
	}
}

func compare(t *testing.T, a, b Scanner, f *sample.Bits) {
	t.Helper()
	dim := a.Rows.Dim()
	queries := sample.Clustered(2, 1, tileQueries+tileFrom+1, dim, 3).Data
	copy(queries, a.Set.Decode(a.Rows.Elem(), a.Rows.Row(3), nil))
	clear(queries[dim : 2*dim])
	for _, k := range []int{0, 10, 1000} {
		for _, filter := range []vector.Filter{nil, f} {
			got, _, err := b.Search(t.Context(), queries, k, filter)
			if err != nil {
				t.Fatal(err)
			}
			for q := range got {
				query := queries[q*dim : (q+1)*dim]
				want, _, err := a.Search(t.Context(), query, k, filter)
				if err != nil || !slices.Equal(got[q], want[0]) {
					t.Fatalf("%s %s %s dim %d k %d query %d: %v, want %v %v", a.Set.Name(), a.Rows.Elem(), a.Metric, dim, k, q, got[q], want[0], err)
				}
				if len(want[0]) < 3 || k > 10 {
					continue
				}
				in, _, err := b.Range(t.Context(), query, Window{Radius: want[0][2].Score}, k, filter)
				for i := range in {
					if in[i] != want[0][i] {
						t.Fatalf("range: %v, want %v", in, want[0])
					}
				}
				if err != nil || len(in) > 2 {
					t.Fatal(in, err)
				}
			}
		}
	}
}

// TestNoNumbers scans rows with infinities, NaN and zeros: they must not hide ordinary rows.
func TestNoNumbers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	m := vector.Matrix{D: 2}
	for i := range 300 {
		m.Data = append(m.Data, float32(i%7), 1)
		switch i % 5 {
		case 0:
			m.Data[2*i] = nan
		case 1:
			m.Data[2*i] = inf
		case 2:
			m.Data[2*i], m.Data[2*i+1] = 0, 0
		}
	}
	for _, set := range kernel.Tiers() {
		for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
			s := Scanner{Set: set, Metric: metric, Rows: m}
			f := sample.Where(300, func(i int) bool { return i%5 > 2 })
			want, _, _ := s.Search(t.Context(), []float32{1, 2}, 5, f)
			if len(want[0]) != 5 {
				t.Fatal(want)
			}
			for i := 1; i < 5; i++ {
				if metric.Key(want[0][i-1].Score) > metric.Key(want[0][i].Score) {
					t.Fatalf("%s: not in order: %v", metric, want)
				}
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	m := sample.Clustered(2, 0, 2000, 32, 3)
	f := sample.Share(1, m.Len(), 0.1)
	for _, metric := range []vector.Metric{vector.L2, vector.Cosine} {
		s := scanner(t, metric, m)
		s.Scratch = &Scratch{}
		for _, nq := range []int{1, 3, 40} {
			for _, filter := range []vector.Filter{nil, f} {
				got := testing.AllocsPerRun(50, func() {
					if _, _, err := s.Search(t.Context(), m.Data[:nq*m.D], 10, filter); err != nil {
						t.Fatal(err)
					}
				})
				if got > float64(nq+1)+1 { // the hits; a collection may empty the scratch
					t.Errorf("%s, %d queries: %g allocations", metric, nq, got)
				}
			}
		}
	}
}

// countdown is a context that counts how often it is looked at and ends after some looks.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestLooks checks that scans of all forms look at the context at least once per two lookBytes, which take less than a
// millisecond, and end when it does.
func TestLooks(t *testing.T) {
	m := vector.Matrix{Data: make([]float32, 4<<20), D: 1024}
	for i := range m.Data {
		m.Data[i] = float32(i % 13)
	}
	for _, nq := range []int{1, 4, tileFrom, 100} {
		for _, filter := range []vector.Filter{nil, sample.Share(1, m.Len(), 0.2), sample.Share(1, m.Len(), 0.9)} {
			const many = 1 << 30
			c := &countdown{Context: t.Context(), left: many}
			_, stats, err := scanner(t, vector.Cosine, m).Search(c, m.Data[:nq*m.D], 10, filter)
			if err != nil {
				t.Fatal(err)
			}
			work := stats.Distances * 4 * m.D
			if nq >= tileFrom {
				work /= 4 // a product in a tile costs a fourth
			}
			if looks := many - c.left; looks < work/(2*lookBytes) {
				t.Errorf("%d queries, filter %v: %d looks for %d bytes", nq, filter != nil, looks, work)
			}
			c = &countdown{Context: t.Context(), left: 2}
			if _, _, err := scanner(t, vector.Cosine, m).Search(c, m.Data[:nq*m.D], 10, filter); !errors.Is(err, context.Canceled) || c.left != -1 {
				t.Fatal(err, c.left)
			}
		}
	}
}
