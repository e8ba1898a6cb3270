package ivf

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

// TestRoundTrip: a loaded image is the written one, byte for byte.
func TestRoundTrip(t *testing.T) {
	rows := sample.Clustered(8, 0, 2000, 10, 20)
	for _, coding := range codings {
		b := image(t, rows, Config{Metric: vector.Cosine, Lists: 30, Coding: coding})
		img, err := Load(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := img.WriteTo(&buf); err != nil || !bytes.Equal(buf.Bytes(), b) {
			t.Fatal("the second copy differs", err)
		}
		if img.Size() != int64(len(b)) || img.Len() != 2000 || img.Dim() != 10 || img.Metric() != vector.Cosine || img.Coding() != coding || img.Lists() != 30 {
			t.Fatal(img.Size(), img.Len(), img.Dim(), img.Metric(), img.Coding(), img.Lists())
		}
		if err := img.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := img.WriteTo(io.Discard); !errors.Is(err, vector.ErrClosed) {
			t.Fatal(err)
		}
	}
}

// TestFlips changes single bytes all over a file: each must be reported as corruption of the section that it lies in.
func TestFlips(t *testing.T) {
	for _, cfg := range []Config{{Coding: SQ8}, {Coding: Exact}, {Coding: PQ, Parts: 5, Bits: 4}, {Coding: PQ, Parts: 1, Bits: 8}, {Coding: RaBitQ}} {
		cfg.Metric, cfg.Lists = vector.L2, 5
		flips(t, image(t, sample.Clustered(9, 0, 200, 5, 4), cfg))
	}
}

func flips(t *testing.T, b []byte) {
	t.Helper()
	l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for at := 0; at < len(b); at += 13 {
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
	if err := load(b); err != nil {
		t.Fatal(err)
	}
}

func TestTruncated(t *testing.T) {
	b := image(t, sample.Clustered(9, 0, 300, 5, 4), Config{Metric: vector.L2, Lists: 5})
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
	b := image(t, sample.Clustered(9, 0, 50, 5, 4), Config{Metric: vector.L2, Lists: 5})
	b[10] = 9 // a newer minor version is readable
	format().Reseal(b)
	if err := load(b); err != nil {
		t.Fatal(err)
	}
	for at, v := range map[int]byte{8: 2, 13: 7} {
		old := b[at]
		b[at] = v
		format().Reseal(b)
		if err := load(b); !errors.Is(err, vector.ErrVersion) || errors.Is(err, vector.ErrCorrupt) {
			t.Fatal(at, err)
		}
		b[at] = old
	}
}

// TestForged edits fields under right checksums: what would lead a search astray is refused.
func TestForged(t *testing.T) {
	clean := image(t, sample.Clustered(9, 0, 300, 5, 4), Config{Metric: vector.L2, Lists: 5, Coding: SQ8})
	l, _, err := format().Header(bytes.NewReader(clean), int64(len(clean)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(k imagefile.Kind) uint64 { s, _ := l.Find(k); return s.Off }
	for name, c := range map[string]struct{ off, value uint64 }{
		"row":          {at(kindRows), 300},
		"row twice":    {at(kindRows) + 4, uint64(binary.LittleEndian.Uint32(clean[at(kindRows):]))},
		"first offset": {at(kindOffsets), 1},
		"offset":       {at(kindOffsets) + 4, 299},
		"empty list":   {at(kindOffsets) + 4, 0},
		"last offset":  {at(kindOffsets) + 20, 301},
		"lists":        {20, 6},
		"no lists":     {20, 0},
		"rows":         {32, 301},
		"dim":          {16, 70},
		"widen":        {14, 5 << 16},
		"scale":        {44, 0},
		"codes":        {12, 1},
		"table":        {64 + 8, 8192},
		"length":       {64 + 16, 1 << 30},
	} {
		b := bytes.Clone(clean)
		binary.LittleEndian.PutUint32(b[c.off:], uint32(c.value))
		format().Reseal(b)
		if err := load(b); !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForgedCodes does the same with files of the other codings.
func TestForgedCodes(t *testing.T) {
	rows := sample.Clustered(9, 0, 200, 6, 4)
	for name, c := range map[string]struct {
		cfg  Config
		edit func(b []byte, at func(imagefile.Kind) uint64)
	}{
		"parts":    {Config{Coding: PQ, Parts: 3, Bits: 4}, func(b []byte, _ func(imagefile.Kind) uint64) { b[28] = 6 }},
		"no parts": {Config{Coding: PQ, Parts: 3, Bits: 4}, func(b []byte, _ func(imagefile.Kind) uint64) { b[28] = 0 }},
		"bits":     {Config{Coding: PQ, Parts: 3, Bits: 4}, func(b []byte, _ func(imagefile.Kind) uint64) { b[40] = 5 }},
		"no bits":  {Config{Coding: PQ, Parts: 3, Bits: 4}, func(b []byte, _ func(imagefile.Kind) uint64) { b[40] = 0 }},
		"nibbles":  {Config{Coding: RaBitQ}, func(b []byte, _ func(imagefile.Kind) uint64) { b[28] = 1 }},
		"code":     {Config{Coding: PQ, Parts: 3, Bits: 5}, func(b []byte, at func(imagefile.Kind) uint64) { b[at(kindCodes)+9] = 32 }},
		"reach":    {Config{Coding: Exact}, func(b []byte, at func(imagefile.Kind) uint64) { b[at(kindReach)+3] |= 0x80 }},
		"pull":     {Config{Coding: Exact}, func(b []byte, at func(imagefile.Kind) uint64) { b[at(kindReach)+15] = 0x41 }},
	} {
		c.cfg.Metric, c.cfg.Lists = vector.L2, 3
		b := image(t, rows, c.cfg)
		l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		c.edit(b, func(k imagefile.Kind) uint64 { s, _ := l.Find(k); return s.Off })
		format().Reseal(b)
		if err := load(b); !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLoad: whatever a file holds, loading refuses it or gives an index that can be searched.
func FuzzLoad(f *testing.F) {
	rows := sample.Clustered(9, 0, 70, 3, 4)
	for _, coding := range codings {
		for _, m := range []vector.Metric{vector.L2, vector.IP} {
			f.Add(image(f, rows, Config{Metric: m, Lists: 2, Coding: coding}), true)
			f.Add(image(f, rows, Config{Metric: m, Lists: 2, Coding: PQ, Parts: 1, Bits: 3}), true)
		}
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
		for _, filter := range []vector.Filter{nil, sample.Share(1, img.Len(), 0.5)} {
			hits, _, err := x.Search(t.Context(), make([]float32, img.Dim()), Params{K: 5, Probe: 1, Filter: filter})
			if err != nil || filter == nil && len(hits[0]) != min(5, img.Len()) {
				t.Fatal(hits, err)
			}
		}
	})
}
