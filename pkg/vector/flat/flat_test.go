package flat

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// plainRows hides Block, so that rows are gathered one by one.
type plainRows struct{ m vector.Matrix }

func (p plainRows) Len() int          { return p.m.Len() }
func (p plainRows) Dim() int          { return p.m.Dim() }
func (p plainRows) Elem() vector.Elem { return kernel.F32 }
func (p plainRows) Row(i int) []byte  { return p.m.Row(i) }

// fetchedRows are rows that do not lie in memory.
type fetchedRows struct{ plainRows }

func (f fetchedRows) Row(int) []byte { panic("the rows are not in memory") }

func (f fetchedRows) Fetch(_ context.Context, ids []uint32, dst []byte) error {
	for i, id := range ids {
		copy(dst[i*4*f.Dim():], f.m.Row(int(id)))
	}
	return nil
}

func scanner(t *testing.T, m vector.Metric, rows vector.Rows) Scanner {
	t.Helper()
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return Scanner{Set: set, Metric: m, Rows: rows}
}

// naive sorts all allowed rows by score and row.
func naive(s Scanner, query []float32, k int, f *sample.Bits) []vector.Hit {
	var hits []vector.Hit
	sc := vector.NewScorer(s.Set, s.Metric, kernel.F32, query)
	for i := range s.Rows.Len() {
		if f != nil && !f.Has(uint32(i)) {
			continue
		}
		var out [1]float32
		g := vector.NewGatherer(s.Rows)
		row, _ := g.Get(context.Background(), []uint32{uint32(i)})
		sc.Rows(row, out[:])
		hits = append(hits, vector.Hit{ID: uint32(i), Score: out[0]})
	}
	slices.SortStableFunc(hits, func(a, b vector.Hit) int {
		switch {
		case a.Score == b.Score:
			return 0
		case (a.Score < b.Score) == (s.Metric == vector.L2):
			return -1
		}
		return 1
	})
	return hits[:min(k, len(hits))]
}

func TestSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 63, 64, 65, 127, 128, 129, 1000} {
		for _, dim := range []int{1, 2, 7, 32} {
			m := sample.Clustered(uint64(n), 0, n, dim, 3)
			for i := range m.Data {
				if dim == 1 {
					m.Data[i] = float32(int(m.Data[i])) // many equal scores
				}
			}
			cut := r.IntN(n + 1)
			chunks := vector.NewChunks(kernel.F32, dim, [][]byte{kernel.Bytes(m.Data[:cut*dim]), kernel.Bytes(m.Data[cut*dim:])}, -1)
			queries := sample.Clustered(uint64(n), 1, 3, dim, 3).Data
			for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
				for _, rows := range []vector.Rows{m, plainRows{m}, fetchedRows{plainRows{m}}, chunks} {
					checkSearch(t, scanner(t, metric, rows), queries, sample.Share(uint64(n), n, 0.4))
				}
			}
		}
	}
}

func checkSearch(t *testing.T, s Scanner, queries []float32, f *sample.Bits) {
	t.Helper()
	dim := s.Rows.Dim()
	for _, k := range []int{0, 1, 10, 5000} {
		all, stats, err := s.Search(t.Context(), queries, k, nil)
		if err != nil || stats.Distances != 3*s.Rows.Len() {
			t.Fatal(stats, err)
		}
		some, _, err := s.Search(t.Context(), queries, k, f)
		if err != nil {
			t.Fatal(err)
		}
		for q := range 3 {
			query := queries[q*dim : (q+1)*dim]
			if want := naive(s, query, k, nil); !slices.Equal(all[q], want) {
				t.Fatalf("%s %d rows k %d: %v, want %v", s.Metric, s.Rows.Len(), k, all[q], want)
			}
			if want := naive(s, query, k, f); !slices.Equal(some[q], want) {
				t.Fatalf("%s %d rows k %d filtered: %v, want %v", s.Metric, s.Rows.Len(), k, some[q], want)
			}
		}
	}
}

func TestRange(t *testing.T) {
	m := sample.Clustered(2, 0, 500, 4, 3)
	query := sample.Clustered(2, 1, 1, 4, 3).Data
	f := sample.Share(3, 500, 0.5)
	for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
		s := scanner(t, metric, m)
		all := naive(s, query, 500, f)
		bound := all[20].Score
		got, _, err := s.Range(t.Context(), query, Window{Radius: all[70].Score, Bound: &bound}, 40, f)
		if err != nil || !slices.Equal(got, all[20:60]) {
			t.Fatalf("%s: %v %v", metric, got, err)
		}
		got, _, err = s.Range(t.Context(), query, Window{Radius: all[0].Score}, 40, f)
		if err != nil || len(got) != 0 {
			t.Fatalf("%s: the radius itself is outside: %v %v", metric, got, err)
		}
	}
}

func TestSearchErrors(t *testing.T) {
	s := scanner(t, vector.L2, sample.Clustered(2, 0, 500, 4, 3))
	if _, _, err := s.Search(t.Context(), make([]float32, 5), 1, nil); err == nil {
		t.Fatal("half a query accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Search(ctx, make([]float32, 4), 1, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// A set with room for more rows than there are, and one for fewer.
	wide := &sample.Bits{Set: []uint64{1, 0, 0, 0, 0, 0, 0, ^uint64(0), ^uint64(0)}}
	hits, _, err := s.Search(t.Context(), make([]float32, 4), 1000, wide)
	if err != nil || len(hits[0]) != 1+500-448 {
		t.Fatal(len(hits[0]), err)
	}
	hits, _, err = s.Search(t.Context(), make([]float32, 4), 1000, &sample.Bits{Set: []uint64{6}})
	if err != nil || len(hits[0]) != 2 {
		t.Fatal(len(hits[0]), err)
	}
}
