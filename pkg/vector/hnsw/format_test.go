package hnsw

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

func load(b []byte) error {
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	return img.Close()
}

// TestRoundTrip: a loaded image is the written one, byte for byte, and answers alike.
func TestRoundTrip(t *testing.T) {
	rows := sample.Clustered(8, 0, 2000, 10, 20)
	b := image(t, rows, vector.Cosine, 6, 1)
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := img.WriteTo(&buf); err != nil || !bytes.Equal(buf.Bytes(), b) {
		t.Fatal("the second copy differs", err)
	}
	if img.Size() != int64(len(b)) || img.Len() != 2000 || img.Dim() != 10 || img.Metric() != vector.Cosine {
		t.Fatal(img.Size(), img.Len(), img.Dim(), img.Metric())
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := img.WriteTo(io.Discard); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
}

// TestFlips changes single bytes all over a file: each must be reported as corruption of the section that it lies in.
func TestFlips(t *testing.T) {
	b := image(t, sample.Clustered(9, 0, 300, 5, 4), vector.L2, 3, 1)
	l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	where := func(at int) string { return l.Where(uint64(at)) }
	seen := map[string]int{}
	for at := 0; at < len(b); at += 7 {
		for _, bit := range []byte{1, 0x80} {
			b[at] ^= bit
			err := load(b)
			b[at] ^= bit
			if !errors.Is(err, vector.ErrCorrupt) || !strings.Contains(err.Error(), ": "+where(at)+":") {
				t.Fatalf("byte %d of %s: %v", at, where(at), err)
			}
			seen[where(at)]++
		}
	}
	if len(seen) != len(l.Table)+1 {
		t.Fatalf("not every section was touched: %v", seen)
	}
	if err := load(b); err != nil {
		t.Fatal(err)
	}
}

func TestTruncated(t *testing.T) {
	b := image(t, sample.Clustered(9, 0, 300, 5, 4), vector.L2, 3, 1)
	for n := 0; n < len(b); n += 511 {
		if err := load(b[:n]); !errors.Is(err, vector.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		// A reader that ends before the size that was promised.
		if _, err := Load(bytes.NewReader(b[:n]), int64(len(b))); !errors.Is(err, vector.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if err := load(append(b, 0)); !errors.Is(err, vector.ErrCorrupt) {
		t.Fatal(err)
	}
}

func TestVersions(t *testing.T) {
	b := image(t, sample.Clustered(9, 0, 50, 5, 4), vector.L2, 3, 1)
	b[10] = 9 // a newer minor version is readable
	format().Reseal(b)
	if err := load(b); err != nil {
		t.Fatal(err)
	}
	b[8] = 2
	format().Reseal(b)
	if err := load(b); !errors.Is(err, vector.ErrVersion) || errors.Is(err, vector.ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestForged edits fields under right checksums: what would lead a walk astray is refused.
func TestForged(t *testing.T) {
	clean := image(t, sample.Clustered(9, 0, 300, 5, 4), vector.L2, 3, 1)
	l, _, err := format().Header(bytes.NewReader(clean), int64(len(clean)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(k imagefile.Kind) uint64 { s, _ := l.Find(k); return s.Off }
	for name, c := range map[string]struct{ off, value uint64 }{
		"link":    {at(kindLinks), 300},
		"entry":   {28, 300},
		"top":     {40, 29},
		"twin":    {at(kindTwins) + 40, 10},
		"upper":   {at(kindUpper), 77},
		"upper 0": {at(kindUpper), 0},
		"rows":    {32, 301},
		"dim":     {16, 70},
		"M":       {20, 4},
		"widen":   {14, 5 << 16},
		"scale":   {44, 0},
		"table":   {64 + 8, 8192},
		"length":  {64 + 16, 1 << 30},
	} {
		b := bytes.Clone(clean)
		binary.LittleEndian.PutUint32(b[c.off:], uint32(c.value))
		format().Reseal(b)
		if err := load(b); !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLoad: whatever a file holds, loading refuses it or gives an index that can be searched.
func FuzzLoad(f *testing.F) {
	rows := sample.Clustered(9, 0, 40, 3, 4)
	for _, m := range []vector.Metric{vector.L2, vector.IP} {
		f.Add(image(f, rows, m, 2, 1), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			format().Reseal(b)
		}
		img, err := Load(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		defer img.Close()
		if img.Dim() > 64 || img.Len() > 1000 {
			return
		}
		zero := vector.Matrix{Data: make([]float32, img.Len()*img.Dim()), D: img.Dim()}
		x, err := NewIndex(testSet(t), img, zero)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.Search(t.Context(), make([]float32, img.Dim()), Params{K: 5, Ef: 10}); err != nil {
			t.Fatal(err)
		}
		s := newSearcher(x)
		if img.Len() == 0 {
			return
		}
		s.begin(Params{K: 5, Ef: 10})
		s.widen = 1
		if _, err := s.plain(t.Context(), stop{}, 10, 5); err != nil {
			t.Fatal(err)
		}
	})
}
