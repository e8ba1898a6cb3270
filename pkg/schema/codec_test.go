package schema

import (
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
