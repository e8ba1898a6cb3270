package index

import (
	"bytes"
	"io"
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
)

// TestProductGraphs: graphs of product codes are described as they were asked for, are opened only as what they are, and
// take little more than their links and codes.
func TestProductGraphs(t *testing.T) {
	const n, dim = 1500, 32
	rows := Block(dim, randomRows(1, n, dim))
	spec, err := Resolve(Spec{Type: "hnsw_pq", Metric: "L2", Dim: dim, Params: map[string]string{"M": "8", "m": "8", "refine": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"M": "8", "efConstruction": "360", "m": "8", "nbits": "8", "refine": "true"} {
		if spec.Params[name] != want {
			t.Errorf("%s is %q, not %q", name, spec.Params[name], want)
		}
	}
	f, err := Build(t.Context(), spec, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := f.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	_ = f.(io.Closer).Close()
	open := func(m string) (Index, error) {
		s := Spec{Type: "HNSW_PQ", Metric: "L2", Dim: dim, Params: map[string]string{"m": m}}
		if m == "" {
			s.Type = "HNSW"
		}
		return Open(s, bytes.NewReader(buf.Bytes()), int64(buf.Len()), rows)
	}
	for _, other := range []string{"", "16"} {
		if _, err := open(other); !errs.Is(err, errs.Corrupt) {
			t.Errorf("m %q: %v", other, err)
		}
	}
	x, err := open("8")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got, want := EstimateFootprint(spec, n, 0).Memory, x.Bytes(); got < want*7/10 || got > want*13/10 {
		t.Errorf("an estimate of %d bytes, and %d are taken", got, want)
	}
	// A pool of all rows that are all scored exactly is a scan; with as many candidates as results, codes alone decide.
	query := FloatQueries(randomRows(2, 1, dim))
	scan, err := Flat(Spec{Type: "FLAT", Metric: "L2", Dim: dim}, rows)
	if err != nil {
		t.Fatal(err)
	}
	same := func(e Effort) int {
		want, _, err := scan.Search(t.Context(), query, 10, Effort{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := x.Search(t.Context(), query, 10, e, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, id := range got.IDs[0] {
			for _, other := range want.IDs[0] {
				if id == other {
					n++
				}
			}
		}
		return n
	}
	if all, few := same(Effort{Ef: n}), same(Effort{Ef: n, RefineK: 1}); all != 10 || few == 10 {
		t.Errorf("%d and %d of 10 found", all, few)
	}
}
