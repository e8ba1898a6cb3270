package index

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func diskSpec(params ...string) Spec {
	s := Spec{Type: TypeDiskANN, Metric: "L2", Dim: 8, Params: map[string]string{}}
	for i := 0; i < len(params); i += 2 {
		s.Params[params[i]] = params[i+1]
	}
	return s
}

func TestDiskSpec(t *testing.T) {
	for name, c := range map[string]struct {
		spec Spec
		text string
	}{
		"plain":   {diskSpec(), ""},
		"lower":   {Spec{Type: "diskann", Dim: 8, Elem: kernel.BF16}, ""},
		"params":  {diskSpec("max_degree", "56", "search_list_size", "100", "pq_code_budget_gb_ratio", "0.125"), ""},
		"degree":  {diskSpec("max_degree", "0"), "Out of range in json: param 'max_degree' (0) should be in range [1, 2048]"},
		"degree+": {diskSpec("max_degree", "2049"), "param 'max_degree' (2049) should be in range [1, 2048]"},
		"list":    {diskSpec("search_list_size", "0"), "param 'search_list_size' (0) should be in range [1, 2147483647]"},
		"text":    {diskSpec("search_list_size", "x"), "param 'search_list_size' (x) should be integer"},
		"bytes":   {Spec{Type: "DISKANN", Dim: 8, Elem: kernel.I8}, "data type Int8Vector can't build with this index DISKANN"},
	} {
		err := CheckSpec(c.spec)
		if (err == nil) != (c.text == "") || (err != nil && (!strings.Contains(err.Error(), c.text) || errs.CodeOf(err) != errs.InvalidParameter)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := Resolve(diskSpec())
	if err != nil || got.Params[ParamMaxDegree] != "48" || got.Params[ParamSearchListSize] != "128" || len(got.Params) != 2 {
		t.Fatal(got, err)
	}
	if !BringsRows(diskSpec()) || BringsRows(Spec{Type: "HNSW", Dim: 8}) {
		t.Fatal("who brings rows")
	}
	for name, c := range map[string]struct {
		params map[string]string
		want   int
		text   string
	}{
		"none":  {nil, 0, ""},
		"list":  {map[string]string{"search_list": "30", "beamwidth": "4"}, 30, ""},
		"less":  {map[string]string{"search_list": "9"}, 0, "search_list_size(9) should be larger than k(10)"},
		"zero":  {map[string]string{"search_list": "0"}, 0, "param 'search_list' (0) should be in range"},
		"width": {map[string]string{"beamwidth": "129"}, 0, "param 'beamwidth' (129) should be in range [1, 128]"},
	} {
		e, err := ParseEffort(diskSpec(), c.params, 10)
		if (err == nil) != (c.text == "") || (err != nil && !strings.Contains(err.Error(), c.text)) || (err == nil && e.SearchList != c.want) {
			t.Errorf("%s: %v %v", name, e, err)
		}
	}
	f := EstimateFootprint(Spec{Type: TypeDiskANN, Dim: 768, Metric: "L2"}, 1_000_000, 0)
	if share := float64(f.Memory) / (1e6 * 768 * 4); share > 0.15 || f.Disk < 1e6*4096 {
		t.Errorf("%+v: %.3f", f, share)
	}
}

// TestDiskIndex builds, opens and searches an index without any raw vectors in memory.
func TestDiskIndex(t *testing.T) {
	const n, dim = 2000, 8
	data := make([]float32, n*dim)
	for i := range data {
		data[i] = float32(i*i%977) / 100
	}
	for _, elem := range []vector.Elem{kernel.F32, kernel.F16} {
		rows := vector.Packed{Data: vector.Encode(elem, data, nil), D: dim, E: elem}
		spec := diskSpec("max_degree", "16", "search_list_size", "40")
		spec.Elem = elem
		file, err := Build(t.Context(), spec, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := file.WriteTo(&buf); err != nil || int64(buf.Len()) != file.Size() {
			t.Fatal(buf.Len(), file.Size(), err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		cache := t.TempDir()
		t.Setenv("TMPDIR", cache)
		copied, err := Open(spec, bytes.NewReader(buf.Bytes()), int64(buf.Len()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(cache); err != nil || len(left) != 0 {
			t.Fatal(left, err)
		}
		local, err := OpenFile(spec, path, rows)
		if err != nil {
			t.Fatal(err)
		}
		even := bitset.New(n)
		for i := 0; i < n; i += 2 {
			even.Add(i)
		}
		reference, err := Flat(spec, rows)
		if err != nil {
			t.Fatal(err)
		}
		queries := rows.Data[:3*elem.RowBytes(dim)]
		for _, f := range []Filter{nil, FromBitmap(even, -1)} {
			want, _, err := reference.Search(t.Context(), queries, 5, Effort{}, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []Index{copied, local} {
				got, _, err := x.Search(t.Context(), queries, 5, Effort{}, f)
				if err != nil {
					t.Fatal(err)
				}
				for q := range got.Scores {
					for i := range got.Scores[q] {
						if got.Scores[q][i] != want.Scores[q][i] {
							t.Fatalf("query %d hit %d: score %g, want %g", q, i, got.Scores[q][i], want.Scores[q][i])
						}
					}
				}
				inside, _, err := x.Range(t.Context(), queries[:elem.RowBytes(dim)], got.Scores[0][4]+0.001, nil, 100, Effort{}, f)
				if err != nil || len(inside.IDs[0]) < 5 {
					t.Fatal(inside, err)
				}
			}
		}
		raw := make([]byte, elem.RowBytes(dim))
		if err := copied.(*diskIndex).x.Fetch(t.Context(), []uint32{77}, raw); err != nil || !bytes.Equal(raw, rows.Row(77)) {
			t.Fatal(err)
		}
		if copied.Bytes() <= 0 || copied.Bytes() >= file.Size() {
			t.Error(copied.Bytes(), file.Size())
		}
		if _, _, err := copied.Search(t.Context(), queries, 5, Effort{SearchList: 4}, nil); errs.CodeOf(err) != errs.InvalidParameter {
			t.Error(err)
		}
		// Damage behind the back of an open index is an error of the search, with a code and the file's name.
		if err := os.WriteFile(path, bytes.Repeat([]byte{1}, buf.Len()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := local.Search(t.Context(), queries, 100, Effort{}, nil); errs.CodeOf(err) != errs.Corrupt || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
		if _, err := OpenFile(spec, path, nil); errs.CodeOf(err) != errs.Corrupt {
			t.Error(err)
		}
		spec.Metric = "IP"
		if _, err := Open(spec, bytes.NewReader(buf.Bytes()), int64(buf.Len()), nil); errs.CodeOf(err) != errs.Corrupt {
			t.Error(err)
		}
		if err := errors.Join(copied.Close(), local.Close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := copied.Search(t.Context(), queries, 5, Effort{}, nil); !errors.Is(err, vector.ErrClosed) {
			t.Error(err)
		}
	}
}
