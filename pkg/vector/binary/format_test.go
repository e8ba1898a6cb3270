package binary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func load(b []byte) error {
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	return img.Close()
}

func small(t testing.TB) []byte {
	return build(t, clustered(9, 0, 300, 40, 4, 0.4), Config{Metric: vector.Jaccard, Lists: 5})
}

// TestRoundTrip: a loaded image is the written one, byte for byte.
func TestRoundTrip(t *testing.T) {
	b := small(t)
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	var buf bytes.Buffer
	if _, err := img.WriteTo(&buf); err != nil || !bytes.Equal(buf.Bytes(), b) {
		t.Fatal("the second copy differs", err)
	}
	if img.Size() != int64(len(b)) || img.Len() != 300 || img.Dim() != 40 || img.Metric() != vector.Jaccard || img.Lists() != 5 {
		t.Fatal(img.Size(), img.Len(), img.Dim(), img.Metric(), img.Lists())
	}
}

// TestFlips changes single bytes all over a file: each must be reported as corruption of the section that it lies in.
func TestFlips(t *testing.T) {
	b := small(t)
	l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for at := 0; at < len(b); at += 7 {
		where := l.Where(uint64(at))
		for _, bit := range []byte{1, 0x80} {
			b[at] ^= bit
			err := load(b)
			b[at] ^= bit
			if !errors.Is(err, vector.ErrCorrupt) || !strings.Contains(err.Error(), ": "+where+":") {
				t.Fatalf("byte %d of %s: %v", at, where, err)
			}
			seen[where]++
		}
	}
	if len(seen) != len(l.Table)+1 {
		t.Fatalf("not every section was touched: %v", seen)
	}
}

func TestTruncated(t *testing.T) {
	b := small(t)
	for n := 0; n < len(b); n += 511 {
		if err := load(b[:n]); !errors.Is(err, vector.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if _, err := Load(bytes.NewReader(b[:n]), int64(len(b))); !errors.Is(err, vector.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestForged edits fields under right checksums: what would lead a search astray is refused.
func TestForged(t *testing.T) {
	clean := small(t)
	l, _, err := format().Header(bytes.NewReader(clean), int64(len(clean)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(k imagefile.Kind) uint64 { s, _ := l.Find(k); return s.Off }
	for name, c := range map[string]struct {
		off, value uint64
		kind       error
	}{
		"row":          {at(kindRows), 300, vector.ErrCorrupt},
		"row twice":    {at(kindRows) + 4, uint64(binary.LittleEndian.Uint32(clean[at(kindRows):])), vector.ErrCorrupt},
		"first offset": {at(kindOffsets), 1, vector.ErrCorrupt},
		"empty list":   {at(kindOffsets) + 4, 0, vector.ErrCorrupt},
		"last offset":  {at(kindOffsets) + 20, 301, vector.ErrCorrupt},
		"metric":       {12, 1, vector.ErrCorrupt},
		"substructure": {12, uint64(vector.Substructure), vector.ErrCorrupt},
		"dim":          {16, 44, vector.ErrCorrupt},
		"lists":        {20, 6, vector.ErrCorrupt},
		"no lists":     {20, 0, vector.ErrCorrupt},
		"rows":         {32, 301, vector.ErrCorrupt},
		"major":        {8, 2, vector.ErrVersion},
	} {
		b := bytes.Clone(clean)
		binary.LittleEndian.PutUint32(b[c.off:], uint32(c.value))
		format().Reseal(b)
		if err := load(b); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	clean[10] = 9 // a newer minor version is readable
	format().Reseal(clean)
	if err := load(clean); err != nil {
		t.Fatal(err)
	}
}

// FuzzLoad: whatever a file holds, loading refuses it or gives an index that can be searched.
func FuzzLoad(f *testing.F) {
	f.Add(small(f), true)
	f.Add(build(f, clustered(9, 0, 70, 8, 4, 0.4), Config{Metric: vector.Hamming, Lists: 2}), true)
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
		size := img.Dim() / 8
		zero := vector.Packed{Data: make([]byte, img.Len()*size), D: img.Dim(), E: kernel.Bit}
		x, err := NewIndex(testSet(t), img, zero)
		if err != nil {
			t.Fatal(err)
		}
		for _, filter := range []vector.Filter{nil, sample.Share(1, img.Len(), 0.5)} {
			hits, _, err := x.Search(t.Context(), make([]byte, size), Params{K: 5, Probe: 1, Filter: filter})
			if err != nil || filter == nil && len(hits[0]) != min(5, img.Len()) {
				t.Fatal(hits, err)
			}
		}
	})
}
