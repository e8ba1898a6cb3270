package schema

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"
)

func sampleBatch() *Batch {
	return &Batch{N: 3, Columns: []*Column{
		{Field: 100, Type: Int64, N: 3, Ints: []int64{1, -2, 1 << 60}},
		{Field: 101, Type: FloatVector, Dim: 2, N: 3, Vectors: []float32{1, 2, 3, 4, 5, 6}},
		{Field: 102, Type: VarChar, N: 3, Valid: []bool{true, false, true}, Strings: []string{"a", "", "ü"}},
		{Field: 103, Type: Bool, N: 3, Bools: []bool{true, false, true}},
		{Field: 104, Type: JSON, N: 3, Bytes: [][]byte{[]byte(`{"a":1}`), []byte(`{}`), []byte(`[1]`)}},
		{Field: 105, Type: Array, Elem: Int32, N: 3, Arrays: []Column{
			{Type: Int32, N: 2, Ints: []int64{7, 8}}, {Type: Int32, Ints: []int64{}}, {Type: Int32, N: 1, Ints: []int64{9}},
		}},
		{Field: 106, Type: Double, N: 3, Doubles: []float64{0.5, 1e300, -1}},
		{Field: 107, Type: Float, N: 3, Floats: []float32{0.5, 1e30, -1}},
		{Field: 108, Type: Float16Vector, Dim: 2, N: 3, Packed: []byte("aabbccddeeff")},
		{Field: 109, Type: BFloat16Vector, Dim: 1, N: 3, Valid: []bool{true, false, true}, Packed: []byte{1, 2, 0, 0, 3, 4}},
		{Field: 110, Type: Int8Vector, Dim: 3, N: 3, Packed: []byte("abcdefghi")},
		{Field: 111, Type: BinaryVector, Dim: 16, N: 3, Packed: []byte("ababab")},
	}}
}

func TestBatchRoundTrip(t *testing.T) {
	want := sampleBatch()
	raw := want.Encode(nil)
	got, err := DecodeBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	for _, c := range got.Columns {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range raw {
		if _, err := DecodeBatch(raw[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes decode without an error", i, len(raw))
		}
	}
}

// TestRowsOfVectors: every way to take rows out of a column and to put them into one, for each type of vector.
func TestRowsOfVectors(t *testing.T) {
	for _, src := range sampleBatch().Columns {
		if !src.Type.IsDense() {
			continue
		}
		size := src.Type.RowBytes(src.Dim)
		if got := src.VectorBytes(); len(got) != 3*size {
			t.Fatalf("%s: %d bytes for 3 rows of %d", src.Type, len(got), size)
		}
		picked := src.Gather([]int{2, 0})
		part := src.Slice(1, 3)
		picked.AppendNull()
		picked.AppendFrom(part, 0)
		for _, c := range []*Column{picked, part} {
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []int{2, 0, -1, 1} {
			row, zero := picked.VectorRow(i), make([]byte, size)
			if want >= 0 && !bytes.Equal(row, src.VectorRow(want)) || want < 0 && !bytes.Equal(row, zero) {
				t.Fatalf("%s: row %d is % x", src.Type, i, row)
			}
			if picked.IsNull(i) != (want < 0 || src.IsNull(want)) {
				t.Fatalf("%s: row %d is null: %v", src.Type, i, picked.IsNull(i))
			}
		}
		if !bytes.Equal(part.VectorRow(1), src.VectorRow(2)) {
			t.Fatalf("%s: a slice shows another row", src.Type)
		}
		broken := *src
		if broken.Vectors, broken.Packed = broken.Vectors[:len(broken.Vectors)/2], broken.Packed[:len(broken.Packed)/2]; broken.Check() == nil {
			t.Fatalf("%s: half of the bytes pass", src.Type)
		}
	}
}

func TestKeysRoundTrip(t *testing.T) {
	for _, want := range []Keys{{Ints: []int64{3, 1}}, {Strings: []string{"x", ""}}} {
		got, err := DecodeKeys(want.Encode(nil))
		if err != nil || got.Len() != want.Len() || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if k, err := DecodeKeys(nil); err != nil || k.Len() != 0 {
		t.Fatalf("no bytes: %v, %v", k, err)
	}
}

func TestLittleEndian(t *testing.T) {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) != 1 {
		t.Fatal("Gyr's files and records are little endian, and so must be the machine")
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(sampleBatch().Encode(nil))
	f.Add(Keys{Ints: []int64{1, 2}}.Encode(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeBatch(raw)
		if err != nil {
			return
		}
		for _, c := range b.Columns {
			if err := c.Check(); err != nil {
				t.Fatalf("decoded column is inconsistent: %v", err)
			}
		}
	})
}
