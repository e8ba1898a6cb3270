package vectorbench

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNpyKinds(t *testing.T) {
	for _, c := range []struct {
		descr string
		data  any
		want  []float32
	}{
		{"<f4", []float32{1, -2.5, 3, 0}, []float32{1, -2.5, 3, 0}},
		{"<f8", []float64{1, -2.5, 3, 0}, []float32{1, -2.5, 3, 0}},
		{"<f2", []uint16{0x3c00, 0xc100, 0x0001, 0x7bff}, []float32{1, -2.5, 1.0 / (1 << 24), 65504}},
		{"|u1", []uint8{0, 1, 128, 255}, []float32{0, 1, 128, 255}},
		{"|i1", []int8{0, -1, -128, 127}, []float32{0, -1, -128, 127}},
	} {
		path := filepath.Join(t.TempDir(), "x.npy")
		saveNpy(t, path, c.descr, 2, 2, c.data)
		got, dim, all, err := readVectors(path, 0)
		if err != nil || dim != 2 || all != 2 || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %d columns, %d rows, %v", c.descr, got, dim, all, err)
		}
		if got, _, _, err := readVectors(path, 1); err != nil || !slices.Equal(got, c.want[:2]) {
			t.Errorf("%s: first row %v, %v", c.descr, got, err)
		}
	}
}

func TestNpyRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npy")
	want := make([]float32, 3*70_000)
	for i := range want {
		want[i] = float32(i)
	}
	if err := writeNpy(path, 3, want); err != nil {
		t.Fatal(err)
	}
	if got, dim, _, err := readVectors(path, 0); err != nil || dim != 3 || !slices.Equal(got, want) {
		t.Fatalf("%d columns, %v", dim, err)
	}
}

func TestNpyRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.npy")
	saveNpy(t, good, "<f4", 2, 2, []float32{1, 2, 3, 4})
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) []byte { return []byte(strings.Replace(string(raw), old, new, 1)) }
	nan := slices.Clone(raw)
	nan[len(nan)-1], nan[len(nan)-2] = 0x7f, 0xc0
	for name, c := range map[string]struct {
		raw  []byte
		text string
	}{
		"cut":     {raw[:len(raw)-1], "cut or damaged"},
		"short":   {raw[:8], "no npy file"},
		"text":    {[]byte("id,vector\n1,2\n3,4\n"), "no npy file"},
		"big":     {edit("<f4", ">f4"), "element type"},
		"fortran": {edit("False", "True "), "Fortran"},
		"flat":    {edit("(2, 2)", "(4,)  "), "two dimensions"},
		"huge":    {edit("(2, 2), }", "(99999999, 99999), }"), "out of bounds"},
		"nan":     {nan, "row 1, column 1"},
	} {
		path := filepath.Join(dir, name+".npy")
		if err := os.WriteFile(path, c.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := readVectors(path, 0); err == nil || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNpyHeader(f *testing.F) {
	f.Add("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }")
	f.Add("{'shape': (99999999999, 2), 'descr': '|u1', 'fortran_order': False}")
	f.Fuzz(func(t *testing.T, header string) {
		var a npy
		if a.parse(header) == nil && (a.rows < 1 || a.cols < 1 || int64(a.rows)*int64(a.cols) > maxCells) {
			t.Errorf("%q: %d x %d", header, a.rows, a.cols)
		}
	})
}

func TestHalves(t *testing.T) {
	for h := range 1 << 16 {
		if exp := h >> 10 & 31; exp == 31 || exp == 0 { // not finite, or below what toHalf looks for
			continue
		}
		f := halfToFloat(uint16(h))
		if back := toHalf(f); back != uint16(h) {
			t.Fatalf("%#x: %g, back %#x", h, f, back)
		}
		if math.IsNaN(float64(f)) {
			t.Fatalf("%#x", h)
		}
	}
}
