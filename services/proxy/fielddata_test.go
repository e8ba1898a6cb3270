package proxy

import (
	"math"
	"reflect"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func longs(name string, valid []bool, v ...int64) *schemapb.FieldData {
	return &schemapb.FieldData{Type: schemapb.DataType_Int64, FieldName: name, ValidData: valid, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: v}}},
	}}
}

func ints(name string, kind schemapb.DataType, v ...int32) *schemapb.FieldData {
	return &schemapb.FieldData{Type: kind, FieldName: name, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: v}}},
	}}
}

func words(name string, v ...string) *schemapb.FieldData {
	return &schemapb.FieldData{Type: schemapb.DataType_VarChar, FieldName: name, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: v}}},
	}}
}

func docs(name string, dynamic bool, v ...string) *schemapb.FieldData {
	var raw [][]byte
	for _, s := range v {
		raw = append(raw, []byte(s))
	}
	return &schemapb.FieldData{Type: schemapb.DataType_JSON, FieldName: name, IsDynamic: dynamic, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_JsonData{JsonData: &schemapb.JSONArray{Data: raw}}},
	}}
}

func vectors(name string, dim int64, v ...float32) *schemapb.FieldData {
	return &schemapb.FieldData{Type: schemapb.DataType_FloatVector, FieldName: name, Field: &schemapb.FieldData_Vectors{
		Vectors: &schemapb.VectorField{Dim: dim, Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: v}}},
	}}
}

func arrays(name string, rows ...[]int32) *schemapb.FieldData {
	a := &schemapb.ArrayArray{ElementType: schemapb.DataType_Int32}
	for _, r := range rows {
		a.Data = append(a.Data, &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: r}}})
	}
	return &schemapb.FieldData{Type: schemapb.DataType_Array, FieldName: name, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_ArrayData{ArrayData: a}},
	}}
}

func richCollection() *catalog.Collection {
	seven := &schema.Column{Field: 103, Type: schema.Int64, N: 1, Ints: []int64{7}}
	return &catalog.Collection{ID: 1, DB: "default", Name: "c", Schema: schema.Schema{Version: 1, EnableDynamic: true, Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "vec", Type: schema.FloatVector, Dim: 2},
		{ID: 102, Name: "price", Type: schema.Int64, Nullable: true},
		{ID: 103, Name: "seven", Type: schema.Int64, Default: seven},
		{ID: 104, Name: "word", Type: schema.VarChar, MaxLength: 4, Nullable: true},
		{ID: 105, Name: "tiny", Type: schema.Int8, Nullable: true},
		{ID: 106, Name: "tags", Type: schema.Array, Elem: schema.Int32, MaxCapacity: 2, Nullable: true},
		{ID: 107, Name: "doc", Type: schema.JSON, Nullable: true},
		{ID: 108, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true, Nullable: true},
	}}}
}

func TestRowsAreRead(t *testing.T) {
	c := richCollection()
	b, err := readRows(c, []*schemapb.FieldData{
		longs("id", nil, 1, 2, 3), vectors("vec", 2, 1, 2, 3, 4, 5, 6),
		longs("price", []bool{true, false, true}, 10, 30),   // compact
		longs("seven", []bool{false, true, false}, 0, 5, 0), // full length
		arrays("tags", []int32{1, 2}, nil, []int32{3}),      // no validity: all valid
		docs("", true, `{"x":1}`, ``, `{"y":{"id":2}}`),     // no name: is_dynamic decides
		docs("doc", false, `[1]`, `"s"`, `{"a":null}`),      // any JSON
		ints("tiny", schemapb.DataType_Int8, -128, 0, 127),
	}, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, col := range b.Columns {
		if err := col.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Column(102); !reflect.DeepEqual(got.Ints, []int64{10, 0, 30}) || !reflect.DeepEqual(got.Valid, []bool{true, false, true}) {
		t.Errorf("compact nullable column: %+v", got)
	}
	if got := b.Column(103); !reflect.DeepEqual(got.Ints, []int64{7, 5, 7}) || got.Valid != nil {
		t.Errorf("column with a default: %+v", got)
	}
	if got := b.Column(104); got.N != 3 || !got.IsNull(0) || !got.IsNull(2) {
		t.Errorf("absent nullable column: %+v", got)
	}
	if got := b.Column(108); string(got.Bytes[1]) != "{}" || string(got.Bytes[2]) != `{"y":{"id":2}}` {
		t.Errorf("dynamic column: %s", got.Bytes)
	}
	if got := b.Column(106); got.Arrays[0].N != 2 || got.Arrays[1].N != 0 || got.Arrays[2].Ints[0] != 3 {
		t.Errorf("arrays: %+v", got)
	}
}

func TestRowChecks(t *testing.T) {
	nan := float32(math.NaN())
	id, vec := longs("id", nil, 1, 2), vectors("vec", 2, 1, 2, 3, 4)
	for name, tc := range map[string]struct {
		data []*schemapb.FieldData
		text string
	}{
		"rows":          {[]*schemapb.FieldData{longs("id", nil, 1), vec}, "the num_rows (1) of field (id) is not equal to passed num_rows (2)"},
		"missing":       {[]*schemapb.FieldData{id}, "fieldSchema(vec) has no corresponding fieldData pass in"},
		"unknown":       {[]*schemapb.FieldData{id, vec, longs("nosuch", nil, 1, 2)}, "fieldName nosuch not exist in collection schema of c"},
		"dim":           {[]*schemapb.FieldData{id, vectors("vec", 4, 1, 2, 3, 4)}, "the dim (4) of field data(vec) is not equal to schema dim (2)"},
		"nan":           {[]*schemapb.FieldData{id, vectors("vec", 2, 1, nan, 3, 4)}, "field vec: value 'NaN' is not a number or infinity"},
		"tiny":          {[]*schemapb.FieldData{id, vec, ints("tiny", schemapb.DataType_Int8, 1, 128)}, "the value of field tiny is out of range: invalid parameter[expected=-128 to 127][actual=128]"},
		"bytes":         {[]*schemapb.FieldData{id, vec, words("word", "äöü", "a")}, "length of varchar field word exceeds max length, row number: 0, length: 6, max length: 4"},
		"capacity":      {[]*schemapb.FieldData{id, vec, arrays("tags", []int32{1, 2, 3}, nil)}, "the length (3) of 0th array exceeds max capacity (2) of field tags"},
		"json":          {[]*schemapb.FieldData{id, vec, docs("doc", false, `{`, `{}`)}, "field doc row 0 is no valid JSON: {"},
		"type":          {[]*schemapb.FieldData{id, vec, words("price", "a", "b")}, "field (price) is of type Int64, but its data is VarChar"},
		"not nullable":  {[]*schemapb.FieldData{longs("id", []bool{true, false}, 1), vec}, "the field (id) is not nullable and has no default value, but some rows have no value"},
		"twice":         {[]*schemapb.FieldData{id, vec, id}, "duplicated column id in the data"},
		"dynamic array": {[]*schemapb.FieldData{id, vec, docs("$meta", true, `[1]`, `{}`)}, "the dynamic field of row 0 is no JSON object: [1]"},
		"dynamic name":  {[]*schemapb.FieldData{id, vec, docs("$meta", true, `{"id":1}`, `{}`)}, "dynamic field name cannot include the static field name: id"},
		"dynamic meta":  {[]*schemapb.FieldData{id, vec, docs("$meta", true, `{}`, `{"$meta":1}`)}, "cannot set json key to: $meta"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readRows(richCollection(), tc.data, 2, false)
			if want := tc.text + ": invalid parameter"; err == nil || err.Error() != want || !errs.Is(err, errs.InvalidParameter) {
				t.Fatalf("got %v\nwant %s", err, want)
			}
		})
	}
	plain := richCollection()
	plain.Schema.Fields, plain.Schema.EnableDynamic = plain.Schema.Fields[:2], false
	_, err := readRows(plain, []*schemapb.FieldData{id, vec, docs("$meta", true, `{}`, `{}`)}, 2, false)
	if err == nil || err.Error() != "without dynamic schema enabled, the field name cannot be set to $meta: invalid parameter" {
		t.Fatal(err)
	}
}

func TestPublicColumnsAreTypedWhenEmpty(t *testing.T) {
	c := richCollection()
	outs, err := parseOutputs(c, []string{"*"}, true)
	if err != nil {
		t.Fatal(err)
	}
	data, err := outs.columns(&schema.Batch{})
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != len(c.Schema.Fields) {
		t.Fatalf("%d columns of %d fields", len(data), len(c.Schema.Fields))
	}
	for _, d := range data {
		if d.GetVectors() == nil && d.GetScalars().GetData() == nil {
			t.Errorf("column %s has no typed data", d.FieldName)
		}
		if d.IsDynamic != (d.FieldName == "$meta") {
			t.Errorf("column %s: is_dynamic is %t", d.FieldName, d.IsDynamic)
		}
	}
	if last := data[len(data)-1]; last.FieldName != "id" {
		t.Errorf("the primary key comes last, not %s", last.FieldName)
	}
}

func TestOutputs(t *testing.T) {
	c := richCollection()
	for _, tc := range []struct {
		asked  []string
		always bool
		fields []string
		names  []string
		keys   []string
		text   string
	}{
		{nil, false, nil, nil, nil, ""},
		{nil, true, []string{"id"}, []string{"id"}, nil, ""},
		{[]string{"price"}, false, []string{"price"}, []string{"price"}, nil, ""},
		{[]string{"id", "price"}, false, []string{"price", "id"}, []string{"id", "price"}, nil, ""},
		{[]string{"x", "price", `$meta["y z"]`}, false, []string{"price", "$meta"}, []string{"x", "price", `$meta["y z"]`}, []string{"x", "y z"}, ""},
		{[]string{"x", "$meta"}, false, []string{"$meta"}, []string{"x", "$meta"}, nil, ""},
		{[]string{"a b["}, false, nil, nil, nil, "field a b[ not exist: invalid parameter"},
	} {
		outs, err := parseOutputs(c, tc.asked, tc.always)
		if tc.text != "" {
			if err == nil || err.Error() != tc.text {
				t.Errorf("%v: %v", tc.asked, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range outs.fields {
			got = append(got, f.Name)
		}
		if !reflect.DeepEqual(got, tc.fields) || !reflect.DeepEqual(outs.names, tc.names) || !reflect.DeepEqual(outs.dynamicKeys, tc.keys) {
			t.Errorf("%v: fields %v, names %v, keys %v", tc.asked, got, outs.names, outs.dynamicKeys)
		}
	}
	if got := string(pickKeys([]byte(`{"a":1,"b":[2],"c":3}`), []string{"b", "zz"})); got != `{"b":[2]}` {
		t.Error(got)
	}
}

func TestHashesAreGolden(t *testing.T) {
	// These values decide where rows live; if one changes, rows of existing collections are lost to deletes.
	if got := []int{shardOfInt(0, 16), shardOfInt(1, 16), shardOfInt(-1, 16), shardOfInt(1<<40, 16), shardOfString("", 16), shardOfString("key-1", 16)}; !reflect.DeepEqual(got, goldenShards) {
		t.Errorf("shards %v, golden %v", got, goldenShards)
	}
	if a, b := hashInt(42), uint64(goldenHash42); a != b {
		t.Errorf("hash of 42 is %d, golden %d", a, b)
	}
	col := &schema.Column{Type: schema.Int64, N: 3, Ints: []int64{0, 1, 99}}
	str := &schema.Column{Type: schema.VarChar, N: 2, Strings: []string{"", "tenant"}}
	got := []int{keyPartition(col, 0, 16), keyPartition(col, 1, 16), keyPartition(col, 2, 16), keyPartition(str, 0, 16), keyPartition(str, 1, 16)}
	if !reflect.DeepEqual(got, goldenPartitions) {
		t.Errorf("partitions %v, golden %v", got, goldenPartitions)
	}
	counts := make([]int, 8)
	for i := range int64(8000) {
		counts[shardOfInt(i, 8)]++
	}
	for shard, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("shard %d got %d of 8000 consecutive keys", shard, n)
		}
	}
}

var (
	goldenShards     = []int{11, 5, 9, 3, 9, 14}
	goldenPartitions = []int{4, 10, 9, 15, 12}
)

const goldenHash42 = 13066772586158965587
