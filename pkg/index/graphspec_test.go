package index

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
)

// TestGraphTypes: types that a graph serves are built as one, with the parameters that stand for theirs.
func TestGraphTypes(t *testing.T) {
	const n, dim = 1500, 16
	rows := Block(dim, randomRows(1, n, dim))
	query := FloatQueries(randomRows(2, 1, dim))
	exact, err := Flat(Spec{Type: "FLAT", Metric: "L2", Dim: dim}, rows)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := exact.Search(t.Context(), query, 10, Effort{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for kind, params := range map[string]map[string]string{
		"ANNOY": {"n_trees": "4"}, "HNSW_SQ": {"M": "8", "efConstruction": "80", "sq_type": "BF16", "refine": "true", "refine_type": "FP32"},
	} {
		spec, err := Resolve(Spec{Type: kind, Metric: "L2", Dim: dim, Params: params})
		if err != nil || spec.Type != kind {
			t.Fatalf("%s: %+v, %v", kind, spec, err)
		}
		for name, v := range params {
			if spec.Params[name] != v {
				t.Errorf("%s: parameter %s became %q", kind, name, spec.Params[name])
			}
		}
		if ServedBy(kind) == "" {
			t.Errorf("%s: nothing says what serves it", kind)
		}
		got, _, err := open(t, spec, rows).Search(t.Context(), query, 10, Effort{Ef: n}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.IDs[0] {
			if got.IDs[0][i] != want.IDs[0][i] || got.Scores[0][i] != want.Scores[0][i] {
				t.Fatalf("%s: %v %v, want %v %v", kind, got.IDs[0], got.Scores[0], want.IDs[0], want.Scores[0])
			}
		}
	}
}

func TestTargetRecall(t *testing.T) {
	for _, kind := range []string{"HNSW", "IVF_FLAT", "DISKANN", "ANNOY", "FLAT"} {
		spec := Spec{Type: kind, Metric: "L2", Dim: 8}
		e, err := ParseEffort(spec, map[string]string{"target_recall": "0.95"}, 10)
		if err != nil || e != (Effort{TargetRecall: 0.95}) {
			t.Errorf("%s: %+v, %v", kind, e, err)
		}
		for _, bad := range []map[string]string{
			{"target_recall": "1"},
			{"target_recall": "0"},
			{"target_recall": "most"},
			{"target_recall": "NaN"},
			{"target_recall": "0.9", "ef": "64"},
			{"target_recall": "0.9", "nprobe": "8"},
		} {
			if _, err := ParseEffort(spec, bad, 10); !errs.Is(err, errs.InvalidParameter) {
				t.Errorf("%s, %v: %v", kind, bad, err)
			}
			if _, err := AnyEffort(bad); !errs.Is(err, errs.InvalidParameter) {
				t.Errorf("any index, %v: %v", bad, err)
			}
		}
	}
}
