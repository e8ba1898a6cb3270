package dataset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// npy makes an npy file.
func npy(kind string, rows, cols int, data []byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }\n", kind, rows, cols)
	out := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
	return append(append(out, header...), data...)
}

func TestNpy(t *testing.T) {
	a, err := parseNpy(npy("<i4", 2, 2, []byte{1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 0, 1, 0, 0}))
	if err != nil {
		t.Fatal(err)
	}
	ints, err := a.ints()
	if err != nil || fmt.Sprint(ints) != "[[1 2] [-1 256]]" {
		t.Fatalf("%v, %v", ints, err)
	}
	if _, err := a.floats(); err == nil {
		t.Error("integers were read as floats")
	}
	a, err = parseNpy(npy("<f2", 1, 4, []byte{0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b}))
	if err != nil {
		t.Fatal(err)
	}
	v, err := a.floats()
	if want := []float32{1, -2, 1.0 / (1 << 24), 65504}; err != nil || !slices.Equal(v.Data, want) {
		t.Fatalf("%v, %v, want %v", v.Data, err, want)
	}
	for name, raw := range map[string][]byte{
		"empty": nil, "cut": npy("<f4", 2, 2, make([]byte, 15)), "too long": npy("<f4", 2, 2, make([]byte, 17)),
		"doubles": npy("<f8", 1, 1, make([]byte, 8)), "no magic": []byte("not an npy file at all"),
		"fortran": bytes.Replace(npy("<f4", 1, 1, make([]byte, 4)), []byte("False"), []byte("True "), 1),
		"huge":    npy("<f4", 1<<30, 1<<30, nil),
	} {
		if _, err := parseNpy(raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzNpy(f *testing.F) {
	f.Add(npy("<f4", 1, 1, make([]byte, 4)))
	f.Add(npy("<i4", 0, 3, nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseNpy(raw)
		if err != nil {
			return
		}
		if v, err := a.floats(); err == nil && len(v.Data) != a.rows*a.cols {
			t.Fatal("wrong number of floats")
		}
	})
}

func FuzzCodes(f *testing.F) {
	f.Add(EncodeCodes(Vectors{Dim: 2, Data: []float32{1, 2, 3, 4}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if v, err := DecodeCodes(raw); err == nil && len(v.Data)%v.Dim != 0 {
			t.Fatal("wrong number of floats")
		}
	})
}

func TestHalfOfEveryFiniteFloat(t *testing.T) {
	prev := float32(math.Inf(-1))
	for h := 0xfbff; h > 0x8000; h-- { // negative halves, from the lowest up
		if f := halfToFloat(uint16(h)); f <= prev {
			t.Fatalf("half %#x = %v is not above %v", h, f, prev)
		} else {
			prev = f
		}
	}
	for h := 0; h <= 0x7bff; h++ {
		if f := halfToFloat(uint16(h)); f <= prev {
			t.Fatalf("half %#x = %v is not above %v", h, f, prev)
		} else {
			prev = f
		}
	}
}

func random(n, dim int) Vectors {
	r := rand.New(rand.NewPCG(1, 2))
	v := Vectors{Dim: dim, Data: make([]float32, n*dim)}
	for i := range v.Data {
		v.Data[i] = float32(r.NormFloat64())
	}
	return v
}

func TestCodes(t *testing.T) {
	v := random(50, 24)
	raw := EncodeCodes(v)
	got, err := DecodeCodes(raw)
	if err != nil || got.Dim != v.Dim || got.Len() != v.Len() {
		t.Fatalf("dim %d, %d rows, %v", got.Dim, got.Len(), err)
	}
	for i, x := range v.Data {
		if math.Abs(float64(x-got.Data[i])) > 5.0/127/2 {
			t.Fatalf("component %d: %v came back as %v", i, x, got.Data[i])
		}
	}
	for at := range raw { // every damaged byte is noticed
		bad := slices.Clone(raw)
		bad[at] ^= 0x40
		if _, err := DecodeCodes(bad); err == nil {
			t.Fatalf("byte %d changed, and nobody noticed", at)
		}
	}
	for n := range raw {
		if _, err := DecodeCodes(raw[:n]); err == nil {
			t.Fatalf("a file cut at byte %d was accepted", n)
		}
	}
}

// folder writes a tiny data set in the layout of Folder.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	rows, err := PackLines([]Row{{ID: 0, Name: "a", Size: 3}, {ID: 1, Name: "b", Section: "games", Desc: "x <y> & \u00e9"}})
	if err != nil {
		t.Fatal(err)
	}
	f4 := func(v ...float32) (out []byte) {
		for _, x := range v {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
		}
		return out
	}
	for name, raw := range map[string][]byte{
		"embeddings.f16.npy": npy("<f2", 2, 2, []byte{0x00, 0x40, 0, 0, 0, 0, 0x00, 0x42}), // (2, 0), (0, 3)
		"queries.f32.npy":    npy("<f4", 1, 2, f4(0.6, 0.8)),
		"gt_ids.npy":         npy("<i4", 1, 2, []byte{1, 0, 0, 0, 0, 0, 0, 0}),
		"rows.jsonl.zst":     rows,
		"queries.jsonl":      []byte(`{"id": 7, "kind": "row", "text": "q"}` + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	s, err := Folder(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Vectors.Data, []float32{1, 0, 0, 1}) || s.Rows[1].Desc != "x <y> & \u00e9" || s.Queries[0].ID != 7 {
		t.Fatalf("%+v", s)
	}
	if exact := s.Exact(2); !slices.Equal(exact[0], s.Truth[0]) {
		t.Fatalf("nearest %v, the folder says %v", exact[0], s.Truth[0])
	}
}

func TestFolderNamesTheFileThatIsWrong(t *testing.T) {
	for _, name := range []string{"embeddings.f16.npy", "queries.f32.npy", "gt_ids.npy", "rows.jsonl.zst", "queries.jsonl"} {
		dir := folder(t)
		if err := os.WriteFile(filepath.Join(dir, name), []byte("rubbish"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Folder(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is rubbish, the error is %v", name, err)
		}
		os.Remove(filepath.Join(dir, name))
		if _, err := Folder(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing, the error is %v", name, err)
		}
	}
}

func TestAssetChecksItsParts(t *testing.T) {
	rows, _ := PackLines([]Row{{ID: 1}, {ID: 2}})
	same, _ := PackLines([]Row{{ID: 1}, {ID: 1}})
	queries, _ := PackLines([]Query{{ID: 1}})
	files := func() fstest.MapFS {
		return fstest.MapFS{
			AssetRows: {Data: rows}, AssetVectors: {Data: EncodeCodes(random(2, 4))},
			AssetQueries: {Data: queries}, AssetQueryVectors: {Data: EncodeCodes(random(1, 4))},
		}
	}
	if _, err := Asset(files()); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(fstest.MapFS){
		"fewer vectors":   func(m fstest.MapFS) { m[AssetVectors].Data = EncodeCodes(random(1, 4)) },
		"other dimension": func(m fstest.MapFS) { m[AssetQueryVectors].Data = EncodeCodes(random(1, 5)) },
		"more queries":    func(m fstest.MapFS) { m[AssetQueryVectors].Data = EncodeCodes(random(2, 4)) },
		"double id":       func(m fstest.MapFS) { m[AssetRows].Data = same },
		"zero vector":     func(m fstest.MapFS) { m[AssetVectors].Data = EncodeCodes(Vectors{4, make([]float32, 8)}) },
		"no file":         func(m fstest.MapFS) { delete(m, AssetQueries) },
	} {
		m := files()
		change(m)
		if _, err := Asset(m); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestExactAgainstSorting(t *testing.T) {
	s := &Set{Vectors: random(200, 7), QueryVectors: random(5, 7)}
	for i := range 200 {
		s.Rows = append(s.Rows, Row{ID: int64(1000 - i)})
	}
	copy(s.Vectors.At(3), s.Vectors.At(4)) // a tie
	for q, got := range s.Exact(20) {
		var all []scored
		for i, r := range s.Rows {
			all = append(all, scored{r.ID, dot(s.QueryVectors.At(q), s.Vectors.At(i))})
		}
		slices.SortFunc(all, better)
		for i, id := range got {
			if id != all[i].id {
				t.Fatalf("query %d, place %d: %d, want %d", q, i, id, all[i].id)
			}
		}
	}
}

func TestRecall(t *testing.T) {
	truth := [][]int64{{1, 2, 3}, {4, 5, 6}}
	if r := Recall(truth, [][]int64{{2, 9}, {4, 5, 7}}, 2); r != 0.75 {
		t.Errorf("recall %v, want 0.75", r)
	}
	if r := Recall(nil, nil, 10); r != 0 {
		t.Errorf("recall of nothing is %v", r)
	}
}
