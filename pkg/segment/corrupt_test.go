package segment

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/schema"
)

// readAll opens a segment, decodes everything and renders it.
func readAll(store objstore.Store, s *schema.Schema, dir string) ([]string, error) {
	seg, err := OpenSealed(context.Background(), store, SealedConfig{ID: 1, Dir: dir, Schema: s})
	if err != nil {
		return nil, err
	}
	defer seg.Release()
	for _, f := range fieldIDs(s) {
		if _, err := seg.Column(f); err != nil {
			return nil, err
		}
	}
	b, err := seg.Fetch(allRows(seg.Rows()), fieldIDs(s))
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range b.N {
		out = append(out, render(b, i))
	}
	return out, nil
}

func put(t testing.TB, store *mem.Store, key string, raw []byte) {
	t.Helper()
	if err := store.Put(context.Background(), key, bytes.NewReader(raw), int64(len(raw)), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func smallSegment(t testing.TB, n int) (*mem.Store, *schema.Schema) {
	t.Helper()
	s := testSchema(schema.VarChar)
	store := mem.New()
	rows := randomRows(rand.New(rand.NewPCG(3, 4)), s, n, n, 100)
	rows.Dead = make([]uint64, n)
	rows.Dead[0] = 5000
	if _, err := Write(context.Background(), store, "seg", s, rows); err != nil {
		t.Fatal(err)
	}
	return store, s
}

// TestCorruptColumns damages bytes of a columns file in turn, all but most of the padding: every one must be noticed.
func TestCorruptColumns(t *testing.T) {
	store, s := smallSegment(t, 20)
	name := "seg/" + ColumnsName
	raw := get(t, store, name)
	for i := range raw {
		if raw[i] == 0 && i%211 != 0 {
			continue
		}
		raw[i] ^= 1 << (i % 8)
		put(t, store, name, raw)
		raw[i] ^= 1 << (i % 8)
		_, err := readAll(store, s, "seg")
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Fatalf("byte %d of %d damaged: %v", i, len(raw), err)
		}
	}
}

// vectorRanges are the places of a segment's vectors in its Parquet file.
func vectorRanges(s *Sealed) [][2]int {
	var out [][2]int
	for _, v := range s.vectors {
		for i := range v.pages {
			out = append(out, [2]int{int(v.pages[i].Offset), int(v.pages[i].end(v.size))})
		}
	}
	return out
}

// TestCorruptParquet: what is read of the Parquet file is checked; damage elsewhere changes nothing.
func TestCorruptParquet(t *testing.T) {
	store, s := smallSegment(t, 20)
	want, err := readAll(store, s, "seg")
	if err != nil {
		t.Fatal(err)
	}
	name := "seg/" + ParquetName
	raw := get(t, store, name)
	vectors := vectorRanges(open(t, store, s, "seg"))
	for i := range raw {
		isVector := slices.ContainsFunc(vectors, func(r [2]int) bool { return r[0] <= i && i < r[1] })
		if i%(map[bool]int{true: 2, false: 7}[isVector]) != 0 {
			continue
		}
		raw[i] ^= 0x40
		put(t, store, name, raw)
		raw[i] ^= 0x40
		got, err := readAll(store, s, "seg")
		switch {
		case errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), name):
			if !isVector {
				t.Fatalf("byte %d is no vector's: %v", i, err)
			}
		case err != nil:
			t.Fatal(err)
		case strings.Join(got, "\n") != strings.Join(want, "\n"):
			t.Fatalf("byte %d damaged: other rows", i)
		case isVector:
			t.Fatalf("byte %d of a vector damaged: not noticed", i)
		}
	}
}

func TestCutShort(t *testing.T) {
	store, s := smallSegment(t, 20)
	for _, file := range []string{ColumnsName, ParquetName} {
		raw := get(t, store, "seg/"+file)
		limit := len(raw)
		if file == ParquetName { // behind the vectors lies nothing that is read
			limit = 600
		}
		for n := 0; n < limit; n += 97 {
			put(t, store, "seg/"+file, raw[:n])
			if _, err := readAll(store, s, "seg"); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes of %s: %v", n, len(raw), file, err)
			}
		}
		put(t, store, "seg/"+file, raw)
	}
}

func TestMissingFile(t *testing.T) {
	store, s := smallSegment(t, 3)
	for _, file := range []string{ParquetName, ColumnsName} {
		if err := store.Delete(context.Background(), "seg/"+file); err != nil {
			t.Fatal(err)
		}
		_, err := readAll(store, s, "seg")
		if !errors.Is(err, objstore.ErrNotFound) || errors.Is(err, ErrCorrupt) {
			t.Fatalf("without %s: %v", file, err)
		}
	}
	if _, err := ReadDelta(context.Background(), store, "none"); !errors.Is(err, objstore.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestCorruptDelta(t *testing.T) {
	store := mem.New()
	d := Deletes{Keys: schema.Keys{Strings: []string{"a", "", "c"}}, TS: []uint64{5, 6, 7}, ReadTS: []uint64{0, 2, 0}}
	n, err := WriteDelta(context.Background(), store, "d", d)
	if err != nil {
		t.Fatal(err)
	}
	raw := get(t, store, "d")
	if n != int64(len(raw)) {
		t.Fatalf("size %d, file has %d bytes", n, len(raw))
	}
	got, err := ReadDelta(context.Background(), store, "d")
	if err != nil || got.Len() != 3 || got.Keys.Strings[2] != "c" || got.ReadTS[1] != 2 || len(got.Partition) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range raw {
		raw[i] ^= 0x10
		put(t, store, "d", raw)
		raw[i] ^= 0x10
		if _, err := ReadDelta(context.Background(), store, "d"); !errors.Is(err, ErrCorrupt) || !strings.HasPrefix(err.Error(), "d:") {
			t.Fatalf("byte %d damaged: %v", i, err)
		}
	}
	for i := range raw {
		if _, err := decodeDelta("d", raw[:i]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	if _, err := WriteDelta(context.Background(), store, "bad", Deletes{TS: []uint64{1}}); err == nil {
		t.Fatal("a delete without a key was written")
	}
	if _, err := WriteDelta(context.Background(), store, "none", Deletes{}); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadDelta(context.Background(), store, "none"); err != nil || got.Len() != 0 {
		t.Fatal(got, err)
	}
}

// reseal makes all checksums of a damaged columns file right, so that the fuzzer gets behind them.
func reseal(raw []byte) {
	le := leBytes{raw}
	if len(raw) < pageSize {
		return
	}
	if off, n := le.u64(40), le.u64(48); off <= uint64(len(raw)) && n <= uint64(len(raw))-off {
		dir := raw[off : off+n]
		d := reader{src: dir}
		for k := d.uvarint(); k > 0 && !d.bad; k-- {
			d.byte()
			d.varint()
			off, length := d.uvarint(), d.uvarint()
			for lo := uint64(0); lo < length && !d.bad && off < uint64(len(raw)); lo += crcBlock {
				hi := min(off+min(lo+crcBlock, uint64(padded(int64(length)))), uint64(len(raw)))
				at := len(dir) - len(d.src)
				d.uint32()
				if !d.bad && off+lo <= hi {
					leBytes{dir[at:]}.put(checksum(raw[off+lo : hi]))
				}
			}
		}
		leBytes{raw[56:]}.put(checksum(dir))
	}
	leBytes{raw[pageSize-4:]}.put(checksum(raw[:pageSize-4]))
}

type leBytes struct{ b []byte }

func (l leBytes) u64(at int) (v uint64) {
	for i := range 8 {
		v |= uint64(l.b[at+i]) << (8 * i)
	}
	return v
}

func (l leBytes) put(v uint32) {
	for i := range 4 {
		l.b[i] = byte(v >> (8 * i))
	}
}

// FuzzColumns damages a file at two places and repairs the checksums: whatever then stands in it, a reader may refuse
// it or show other values, but must neither crash nor take memory without bound.
func FuzzColumns(f *testing.F) {
	store, s := smallSegment(f, 12)
	name := "seg/" + ColumnsName
	raw := get(f, store, name)
	f.Add(uint32(16), byte(1), uint32(40), byte(9))
	f.Add(uint32(4096), byte(0xff), uint32(len(raw)-60), byte(0xff))
	f.Fuzz(func(t *testing.T, at1 uint32, x1 byte, at2 uint32, x2 byte) {
		bad := bytes.Clone(raw)
		bad[int(at1)%len(bad)] ^= x1
		bad[int(at2)%len(bad)] ^= x2
		reseal(bad)
		put(t, store, name, bad)
		_, _ = readAll(store, s, "seg")
	})
}

// FuzzDelta gives the reader bodies with right checksums.
func FuzzDelta(f *testing.F) {
	good, err := encodeDelta(Deletes{Keys: schema.Keys{Ints: []int64{1, 2}}, TS: []uint64{5, 6}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= deltaHeader {
			raw = bytes.Clone(raw)
			copy(raw, deltaMagic)
			leBytes{raw[24:]}.put(checksum(raw[deltaHeader:]))
			leBytes{raw[28:]}.put(checksum(raw[:28]))
		}
		d, err := decodeDelta("d", raw)
		if err == nil && (d.Keys.Len() != d.Len() || len(d.Position) != d.Len()) {
			t.Fatal("lists differ in length")
		}
	})
}
