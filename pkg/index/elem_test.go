package index

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// stored is a block of n clustered rows of a kind.
func stored(e vector.Elem, seed uint64, n, dim int) []byte {
	r, centres := rand.New(rand.NewPCG(seed, 9)), randomRows(77, 40, dim)
	var out []byte
	for range n {
		c := r.IntN(40)
		row := make([]float32, dim)
		for d := range row {
			row[d] = centres[c*dim+d] + float32(r.NormFloat64())*0.7
		}
		if e != kernel.I8 {
			out = vector.Encode(e, row, out)
			continue
		}
		for _, x := range row {
			out = append(out, byte(int8(max(-128, min(127, 32*x)))))
		}
	}
	return out
}

// numbers are the components of stored rows.
func numbers(t *testing.T, e vector.Elem, raw []byte) []float32 {
	t.Helper()
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	return set.Decode(e, raw, nil)
}

// measure is the score of two vectors in double precision.
func measure(metric string, a, b []float32) float64 {
	var l2, ip, na, nb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		l2, ip, na, nb = l2+(x-y)*(x-y), ip+x*y, na+x*x, nb+y*y
	}
	switch {
	case metric == "L2":
		return l2
	case metric == "IP":
		return ip
	case na == 0 || nb == 0:
		return 0
	}
	return ip / math.Sqrt(na*nb)
}

// TestElems: over rows of each kind of component, each index type finds the nearest rows, and scores are those of the
// stored numbers.
func TestElems(t *testing.T) {
	const n, dim, nq, k = 1500, 33, 20, 10
	for _, e := range []vector.Elem{kernel.F16, kernel.BF16, kernel.I8} {
		rows := vector.Packed{Data: stored(e, 1, n, dim), D: dim, E: e}
		queries := stored(e, 2, nq, dim)
		data, asked := numbers(t, e, rows.Data), numbers(t, e, queries)
		for _, metric := range []string{"L2", "IP", "COSINE"} {
			truth := make([][]float64, nq) // scores of the best k
			for q := range truth {
				for i := range n {
					truth[q] = append(truth[q], measure(metric, data[i*dim:(i+1)*dim], asked[q*dim:(q+1)*dim]))
				}
				sort.Float64s(truth[q])
				if !Ascending(metric) {
					slices.Reverse(truth[q])
				}
			}
			for _, kind := range []string{"FLAT", "HNSW", "HNSW_PQ", "HNSW_PRQ", "IVF_FLAT", "IVF_SQ8", "IVF_RABITQ"} {
				if !takes(kind, e) {
					continue
				}
				x := open(t, Spec{Type: kind, Metric: metric, Dim: dim, Elem: e, Params: map[string]string{"nlist": "16", "m": "11"}}, rows)
				hits, _, err := x.Search(t.Context(), queries, k, Effort{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				found := 0
				for q := range hits.IDs {
					for i, id := range hits.IDs[q] {
						want := measure(metric, data[int(id)*dim:(int(id)+1)*dim], asked[q*dim:(q+1)*dim])
						got := float64(hits.Scores[q][i])
						if math.Abs(got-want) > 1e-4*max(1, math.Abs(want)) {
							t.Fatalf("%s %s %s: row %d has the score %g, not %g", e, kind, metric, id, want, got)
						}
						if better := truth[q][k-1]; Ascending(metric) && want <= better || !Ascending(metric) && want >= better {
							found++
						}
					}
				}
				recall := float64(found) / (nq * k)
				if least := map[string]float64{"FLAT": 0.999, "HNSW": 0.98, "HNSW_PQ": 0.95, "HNSW_PRQ": 0.95, "IVF_FLAT": 0.95, "IVF_SQ8": 0.95, "IVF_RABITQ": 0.95}[kind]; recall < least {
					t.Errorf("%s %s %s: recall %.3f", e, kind, metric, recall)
				}
				window, _, err := x.Range(t.Context(), queries[:len(queries)/nq], float32(truth[0][50]), nil, 100, Effort{}, nil)
				if err != nil || len(window.IDs[0]) < 45 || len(window.IDs[0]) > 51 || !slices.Equal(window.IDs[0][:5], hits.IDs[0][:5]) {
					t.Fatalf("%s %s %s: a range of about 50 rows has %d, %v", e, kind, metric, len(window.IDs[0]), err)
				}
			}
		}
	}
}

// TestElemsDoNotMix: an index is built and opened over rows of its own kind only.
func TestElemsDoNotMix(t *testing.T) {
	half := vector.Packed{Data: stored(kernel.F16, 1, 50, 8), D: 8, E: kernel.F16}
	if _, err := Build(t.Context(), Spec{Type: "HNSW", Metric: "L2", Dim: 8}, half, nil); err == nil {
		t.Fatal("an index of float32 is built over float16")
	}
	brain := Spec{Type: "HNSW", Metric: "L2", Dim: 8, Elem: kernel.BF16}
	f, err := Build(t.Context(), brain, vector.Packed{Data: stored(kernel.BF16, 1, 50, 8), D: 8, E: kernel.BF16}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(brain, nil, f.Size(), half); err == nil {
		t.Fatal("an index of bfloat16 is opened over float16")
	}
}

// TestBits: the kinds of indexes over binary vectors give the same rows and scores as a scan of chunks.
func TestBits(t *testing.T) {
	const n, dim, nq, k = 2500, 64, 10, 15
	r := rand.New(rand.NewPCG(3, 3))
	data, queries := make([]byte, n*dim/8), make([]byte, nq*dim/8)
	for _, raw := range [][]byte{data, queries} {
		for i := range raw {
			x := r.Uint32()
			raw[i] = byte(x) & byte(x>>8)
		}
	}
	for i := range queries[:dim/8] {
		queries[i] = data[i] | 1 // contains the first row
	}
	rows := vector.Packed{Data: data, D: dim, E: kernel.Bit}
	allowed := bitset.New(n)
	for i := 0; i < n; i += 2 {
		allowed.Add(i)
	}
	for _, metric := range []string{"HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE"} {
		spec := Spec{Type: "BIN_FLAT", Metric: metric, Dim: dim, Elem: kernel.Bit}
		chunks, err := FlatChunks(spec, [][]byte{data[:800], data[800:8000], data[8000:]}, -1)
		if err != nil {
			t.Fatal(err)
		}
		all := []Index{open(t, spec, rows), chunks}
		if spec.Type = "BIN_IVF_FLAT"; CheckSpec(spec) == nil {
			all = append(all, open(t, spec, rows))
		}
		for _, f := range []Filter{nil, FromBitmap(allowed, -1)} {
			var first, firstNear Hits
			for i, x := range all {
				hits, _, err := x.Search(t.Context(), queries, k, Effort{NProbe: 1000}, f)
				if err != nil {
					t.Fatal(err)
				}
				near, _, err := x.Range(t.Context(), queries[:dim/8], map[bool]float32{true: 20, false: 0.6}[metric == "HAMMING"], nil, 40, Effort{}, f)
				if err != nil || len(near.IDs[0]) == 0 && metric != "SUBSTRUCTURE" {
					t.Fatal(metric, near, err)
				}
				if i == 0 {
					first, firstNear = hits, near
				}
				for q := range hits.IDs {
					if !slices.Equal(hits.IDs[q], first.IDs[q]) || !slices.Equal(hits.Scores[q], first.Scores[q]) {
						t.Fatalf("%s variant %d query %d differs:\n%v %v\n%v %v", metric, i, q, hits.IDs[q], hits.Scores[q], first.IDs[q], first.Scores[q])
					}
				}
				if !slices.Equal(near.IDs[0], firstNear.IDs[0]) {
					t.Fatalf("%s variant %d: a range differs", metric, i)
				}
			}
			if metric == "SUPERSTRUCTURE" && first.IDs[0][0] != 0 {
				t.Fatalf("a query that contains the first row is no superstructure of it: %v", first.IDs[0])
			}
		}
	}
	x := scanOf(t, rows)
	if _, _, err := x.Search(t.Context(), make([]byte, 9), 1, Effort{}, nil); err == nil {
		t.Fatal("a query of 9 bytes is taken")
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Search(t.Context(), make([]byte, 8), 1, Effort{}, nil); err == nil {
		t.Fatal("a closed index searches")
	}
}

func scanOf(t *testing.T, rows vector.Packed) Index {
	return open(t, Spec{Type: "BIN_FLAT", Dim: rows.D, Elem: kernel.Bit}, rows)
}
