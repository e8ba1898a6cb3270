package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func testSet(t testing.TB) kernel.Set {
	t.Helper()
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// clustered returns n rows near one of a number of centres; a bit is set with probability density there, and every row
// differs from its centre in some bits.
func clustered(seed, part uint64, n, dim, centres int, density float64) vector.Packed {
	r := rand.New(rand.NewPCG(seed, 1))
	base := make([]byte, centres*dim/8)
	for i := range base {
		for b := range 8 {
			if r.Float64() < density {
				base[i] |= 1 << b
			}
		}
	}
	r = rand.New(rand.NewPCG(seed, part+2))
	size := dim / 8
	data := make([]byte, 0, n*size)
	for range n {
		c := r.IntN(centres)
		row := append([]byte(nil), base[c*size:(c+1)*size]...)
		for i := range row {
			for b := range 8 {
				if r.Float64() < 0.1*min(1, 2*density) {
					row[i] ^= 1 << b
				}
			}
		}
		data = append(data, row...)
	}
	return vector.Packed{Data: data, D: dim, E: kernel.Bit}
}

// measure is a score by its definition.
func measure(m vector.Metric, row, query []byte) float64 {
	var and, or, xor, rowOnly, queryOnly int
	for i, x := range row {
		and += bits.OnesCount8(x & query[i])
		or += bits.OnesCount8(x | query[i])
		xor += bits.OnesCount8(x ^ query[i])
		rowOnly += bits.OnesCount8(x &^ query[i])
		queryOnly += bits.OnesCount8(query[i] &^ x)
	}
	switch m {
	case vector.Hamming:
		return float64(xor)
	case vector.Jaccard:
		if or == 0 {
			return 1
		}
		return float64(float32(or-and) / float32(or))
	case vector.Substructure:
		return min(1, float64(queryOnly))
	}
	return min(1, float64(rowOnly))
}

// exact is what a search shall find.
func exact(m vector.Metric, rows vector.Packed, query []byte, k int, f *sample.Bits, w *flat.Window) []vector.Hit {
	var all []vector.Hit
	for i := range rows.Len() {
		score := float32(measure(m, rows.Row(i), query))
		if f != nil && !f.Has(uint32(i)) || w != nil && !w.Contains(m, score) || m >= vector.Substructure && score > 0 {
			continue
		}
		all = append(all, vector.Hit{ID: uint32(i), Score: score})
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Score < all[j].Score })
	return all[:min(k, len(all))]
}

var metrics = []vector.Metric{vector.Hamming, vector.Jaccard, vector.Substructure, vector.Superstructure}

// scattered hides that rows lie in one block.
type scattered struct{ vector.Rows }

// fetched has its rows elsewhere.
type fetched struct {
	vector.Packed
	fetches int
}

func (f *fetched) Row(int) []byte { panic("not in memory") }

func (f *fetched) Fetch(_ context.Context, ids []uint32, dst []byte) error {
	f.fetches++
	for i, id := range ids {
		copy(dst[i*f.D/8:], f.Packed.Row(int(id)))
	}
	return nil
}

// noBlocks is fetched without Block.
type noBlocks struct{ *fetched }

func (noBlocks) Block() {}

// TestScanner compares with the definitions, by every metric, length, filter and window.
func TestScanner(t *testing.T) {
	for _, dim := range []int{8, 24, 64, 72, 136, 512, 1032} {
		const n = 700
		rows := clustered(1, 0, n, dim, 6, 0.3)
		queries := clustered(1, 1, 3, dim, 6, 0.3)
		copy(queries.Data, bytes.Repeat([]byte{0}, dim/8)) // contains nothing, lies in everything
		for i := range dim / 8 {                           // lies in the second row at least
			queries.Data[dim/8+i] = rows.Data[dim/8+i] & 0x55
		}
		for _, m := range metrics {
			for _, f := range []*sample.Bits{nil, sample.Share(4, n, 0.3), sample.Share(4, n, 0)} {
				for _, r := range []vector.Rows{rows, scattered{rows}, noBlocks{&fetched{Packed: rows}}} {
					s := Scanner{Set: testSet(t), Metric: m, Rows: r}
					var filter vector.Filter
					if f != nil {
						filter = f
					}
					got, stats, err := s.Search(t.Context(), queries.Data, 20, filter)
					if err != nil || len(got) != 3 || f == nil && stats.Distances != 3*n {
						t.Fatal(len(got), stats, err)
					}
					for q := range got {
						want := exact(m, rows, queries.Row(q), 20, f, nil)
						if !slices.Equal(got[q], want) {
							t.Fatalf("dim %d %s query %d:\n%v\n%v", dim, m, q, got[q], want)
						}
					}
					bound := float32(0.2)
					w := flat.Window{Radius: float32(dim) / 3, Bound: &bound}
					if m != vector.Hamming {
						w.Radius = 0.8
					}
					hits, _, err := s.Range(t.Context(), queries.Row(2), w, 50, filter)
					if want := exact(m, rows, queries.Row(2), 50, f, &w); err != nil || !slices.Equal(hits, want) {
						t.Fatalf("dim %d %s range:\n%v\n%v %v", dim, m, hits, want, err)
					}
				}
			}
		}
	}
}

func TestRefused(t *testing.T) {
	set, rows := testSet(t), clustered(1, 0, 40, 16, 2, 0.5)
	for name, s := range map[string]Scanner{
		"metric": {Set: set, Metric: vector.L2, Rows: rows},
		"kind":   {Set: set, Metric: vector.Hamming, Rows: vector.Packed{Data: rows.Data, D: 16, E: kernel.I8}},
		"dim":    {Set: set, Metric: vector.Hamming, Rows: vector.Packed{Data: rows.Data, D: 12, E: kernel.Bit}},
	} {
		if _, _, err := s.Search(t.Context(), make([]byte, 2), 1, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	s := Scanner{Set: set, Metric: vector.Hamming, Rows: rows}
	if _, _, err := s.Search(t.Context(), make([]byte, 3), 1, nil); err == nil {
		t.Error("half a query is accepted")
	}
	if _, _, err := s.Range(t.Context(), make([]byte, 4), flat.Window{Radius: 1}, 1, nil); err == nil {
		t.Error("a range of two queries is accepted")
	}
	for name, c := range map[string]Config{
		"metric": {Set: set, Metric: vector.Substructure, Lists: 4}, "no lists": {Set: set, Metric: vector.Hamming},
		"lists": {Set: set, Metric: vector.Hamming, Lists: MaxLists + 1},
	} {
		if _, err := Build(t.Context(), c, rows, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, Config{Set: set, Metric: vector.Hamming, Lists: 1}, rows, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, _, err := s.Search(ctx, make([]byte, 2), 1, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func build(t testing.TB, rows vector.Packed, cfg Config) []byte {
	t.Helper()
	cfg.Set = testSet(t)
	img, err := Build(context.Background(), cfg, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	var buf bytes.Buffer
	if _, err := img.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t testing.TB, b []byte, rows vector.Rows) *Index {
	t.Helper()
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewIndex(testSet(t), img, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// TestIndex: all lists give what a scan gives, a few of them most of it, whatever the filter.
func TestIndex(t *testing.T) {
	const n, dim, k = 4000, 128, 10
	for m, density := range map[vector.Metric]float64{vector.Hamming: 0.5, vector.Jaccard: 0.06} {
		rows, queries := clustered(3, 0, n, dim, 60, density), clustered(3, 1, 40, dim, 60, density)
		x := open(t, build(t, rows, Config{Metric: m, Lists: 64}), rows)
		other := open(t, build(t, rows, Config{Metric: m, Lists: 64}), noBlocks{&fetched{Packed: rows}})
		for _, share := range []float64{1, 0.5, 0.1, 0.01, 0} {
			f := sample.Share(7, n, share)
			for _, estimate := range []int{f.Estimate, n} { // right and wrong
				filter := &sample.Bits{Set: f.Set, Estimate: estimate}
				all, _, err := x.Search(t.Context(), queries.Data, Params{K: k, Probe: 1000, Filter: filter})
				if err != nil {
					t.Fatal(err)
				}
				few, stats, err := x.Search(t.Context(), queries.Data, Params{K: k, Probe: 8, Filter: filter})
				if err != nil {
					t.Fatal(err)
				}
				want := make([][]vector.Hit, 40)
				for q := range want {
					want[q] = exact(m, rows, queries.Row(q), k, f, nil)
					if !slices.Equal(all[q], want[q]) {
						t.Fatalf("%s share %g query %d:\n%v\n%v", m, share, q, all[q], want[q])
					}
				}
				if recall := sample.Recall(m, few, want); recall < 0.95 {
					t.Errorf("%s share %g: recall %.3f", m, share, recall)
				}
				if per := stats.Distances / 40; share == 1 && per > n/2 {
					t.Errorf("%s: %d distances for a query", m, per)
				}
				again, _, err := other.Search(t.Context(), queries.Data, Params{K: k, Probe: 8, Filter: filter})
				if err != nil || fmt.Sprint(again) != fmt.Sprint(few) {
					t.Fatalf("%s share %g: fetched rows give other results, %v", m, share, err)
				}
			}
		}
	}
}

// TestDeterministic: the number of workers changes nothing.
func TestDeterministic(t *testing.T) {
	rows := clustered(5, 0, 3000, 64, 20, 0.4)
	one := build(t, rows, Config{Metric: vector.Hamming, Lists: 40, Workers: 1})
	if !bytes.Equal(one, build(t, rows, Config{Metric: vector.Hamming, Lists: 40, Workers: 7})) {
		t.Fatal("seven workers build another index than one")
	}
}

// TestDegenerate: rows that are all equal, fewer rows than lists, and none.
func TestDegenerate(t *testing.T) {
	same := vector.Packed{Data: bytes.Repeat([]byte{0xf0, 1}, 5000), D: 16, E: kernel.Bit}
	for name, rows := range map[string]vector.Packed{
		"equal": same, "one": {Data: same.Data[:2], D: 16, E: kernel.Bit}, "none": {D: 16, E: kernel.Bit},
		"empty": {Data: make([]byte, 2*100), D: 16, E: kernel.Bit},
	} {
		for _, m := range metrics[:2] {
			x := open(t, build(t, rows, Config{Metric: m, Lists: MaxLists}), rows)
			got, _, err := x.Search(t.Context(), []byte{0xf0, 1, 0, 0}, Params{K: 3, Probe: 2})
			if err != nil || len(got) != 2 || len(got[0]) != min(3, rows.Len()) {
				t.Fatalf("%s %s: %v, %v", name, m, got, err)
			}
			if name == "equal" && (got[0][0] != vector.Hit{ID: 0} || got[0][2].ID != 2) {
				t.Fatal(got)
			}
		}
	}
}

// TestTally counts beyond what the planes hold.
func TestTally(t *testing.T) {
	rows := clustered(6, 0, 1000, 72, 1, 0.5)
	tl, want := newTally(9), make([]int, 72)
	for i := range rows.Len() {
		tl.add(rows.Row(i))
		for b := range want {
			want[b] += int(rows.Row(i)[b/8] >> (b % 8) & 1)
		}
	}
	major, common := make([]byte, 9), make([]byte, 9)
	tl.majority(major)
	tl.commonest(common)
	total := 0
	for b, n := range want {
		total += n
		if int(tl.counts[b]) != n || (major[b/8]>>(b%8)&1 == 1) != (n > 500) {
			t.Fatalf("bit %d: %d rows, counted %d", b, n, tl.counts[b])
		}
	}
	ones, least, most := 0, 1001, 0 // of those that are in, and those that are not
	for b, n := range want {
		if common[b/8]>>(b%8)&1 == 1 {
			ones, least = ones+1, min(least, n)
		} else {
			most = max(most, n)
		}
	}
	if ones != (total+500)/1000 || least < most {
		t.Fatalf("%d bits for %d in 1000 rows; one of %d rows is in and one of %d is not", ones, total, least, most)
	}
}

func TestClosed(t *testing.T) {
	rows := clustered(1, 0, 100, 16, 2, 0.5)
	x := open(t, build(t, rows, Config{Metric: vector.Hamming, Lists: 2}), rows)
	if err := errors.Join(x.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Search(t.Context(), make([]byte, 2), Params{K: 1, Probe: 1}); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
	if err := x.Use(func() error { return nil }); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
}
