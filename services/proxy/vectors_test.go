package proxy

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// packedField is a nullable field of dimension 8.
func packedField(t schema.Type) *schema.Field {
	return &schema.Field{ID: 101, Name: "v", Type: t, Dim: 8, Nullable: true}
}

func packedData(f *schema.Field, dim int64, raw []byte, valid ...bool) *schemapb.FieldData {
	v := publicVectors(f, &schema.Column{Packed: raw})
	v.Dim = dim
	return &schemapb.FieldData{
		Type: schemapb.DataType(f.Type), FieldName: f.Name, ValidData: valid, Field: &schemapb.FieldData_Vectors{Vectors: v},
	}
}

func packedTypes() []schema.Type {
	return []schema.Type{schema.Float16Vector, schema.BFloat16Vector, schema.Int8Vector, schema.BinaryVector}
}

// TestPackedVectors: columns are read compact or at full length, and are shown compact.
func TestPackedVectors(t *testing.T) {
	for _, typ := range packedTypes() {
		f := packedField(typ)
		size := typ.RowBytes(8)
		row := func(b byte) []byte { return bytes.Repeat([]byte{b}, size) }
		two := append(row(1), row(3)...)
		compact, err := columnOf(f, packedData(f, 8, two, true, false, true), 3)
		mustStatus(t, err)
		full, err := columnOf(f, packedData(f, 8, append(append(row(1), row(2)...), row(3)...), true, false, true), 3)
		mustStatus(t, err)
		for _, c := range []*schema.Column{compact, full} {
			mustStatus(t, c.Check())
			if !c.IsNull(1) || c.IsNull(2) || !bytes.Equal(c.PackedRow(0), row(1)) || !bytes.Equal(c.PackedRow(2), row(3)) {
				t.Fatalf("%s: %+v", typ, c)
			}
			shown := publicColumn(f, c)
			if fmt.Sprint(shown.ValidData) != "[true false true]" {
				t.Fatalf("%s: valid_data %v", typ, shown.ValidData)
			}
			back := schema.NewColumn(f)
			if mustStatus(t, readVectors(f, back, shown.GetVectors())); !bytes.Equal(back.Packed, two) {
				t.Fatalf("%s: shown as % x", typ, back.Packed)
			}
		}
		none, err := columnOf(f, &schemapb.FieldData{
			Type: schemapb.DataType(typ), FieldName: "v", ValidData: []bool{false, false},
			Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{Dim: 8}},
		}, 2)
		if err != nil || none.N != 2 || !none.IsNull(0) || !none.IsNull(1) {
			t.Fatalf("%s: %+v, %v", typ, none, err)
		}
	}
}

func TestHalfPrecisionFromFloats(t *testing.T) {
	for typ, want := range map[schema.Type]string{
		schema.Float16Vector: "\x00\x3c\x00\xc1\x66\x2e", schema.BFloat16Vector: "\x80\x3f\x20\xc0\xcd\x3d",
	} {
		f := packedField(typ)
		f.Dim = 3
		d := vectors("v", 3, 1, -2.5, 0.1)
		for _, kind := range []schemapb.DataType{schemapb.DataType_FloatVector, schemapb.DataType(typ)} {
			d.Type = kind
			c, err := columnOf(f, d, 1)
			if err != nil || string(c.Packed) != want {
				t.Fatalf("%s: % x, %v", typ, c.Packed, err)
			}
		}
		c, err := columnOf(f, vectors("v", 3, 1, 1, 3e38), 1)
		mustStatus(t, err)
		if err = checkColumn(f, c); (err != nil) != (typ == schema.Float16Vector) {
			t.Fatalf("%s: 3e38: %v", typ, err)
		}
	}
}

func TestPackedChecks(t *testing.T) {
	row := func(t schema.Type) []byte { return make([]byte, t.RowBytes(8)) }
	floats := vectors("v", 8, make([]float32, 8)...).GetVectors()
	for _, tc := range []struct {
		typ  schema.Type
		edit func(*schemapb.FieldData)
		text string
	}{
		{schema.Float16Vector, func(d *schemapb.FieldData) { d.GetVectors().Dim = 4 }, "the dim (4) of field data(v) is not equal to schema dim (8)"},
		{schema.BFloat16Vector, func(d *schemapb.FieldData) {
			d.GetVectors().Data = &schemapb.VectorField_Bfloat16Vector{Bfloat16Vector: make([]byte, 17)}
		}, "the length(17) of bfloat16 data should divide the dim(8)"},
		{schema.Int8Vector, func(d *schemapb.FieldData) {
			d.GetVectors().Data = &schemapb.VectorField_Int8Vector{Int8Vector: make([]byte, 7)}
		}, "the length(7) of int8 data should divide the dim(8)"},
		{schema.Int8Vector, func(d *schemapb.FieldData) { d.GetVectors().Data = floats.Data }, "int8 vector field 'v' is illegal, array type mismatch: invalid parameter[expected=need int8 vector][actual=got *schemapb.VectorField_FloatVector]"},
		{schema.Float16Vector, func(d *schemapb.FieldData) {
			d.GetVectors().Data = &schemapb.VectorField_Int8Vector{Int8Vector: row(schema.Float16Vector)}
		}, "float16 vector field 'v' is illegal, array type mismatch: invalid parameter[expected=need float16 vector][actual=got *schemapb.VectorField_Int8Vector]"},
		{schema.BinaryVector, func(d *schemapb.FieldData) { d.Field = nil }, "binary vector field 'v' is illegal, array type mismatch: invalid parameter[expected=need binary vector][actual=got nil]"},
		{schema.Int8Vector, func(d *schemapb.FieldData) { d.Type = schemapb.DataType_FloatVector }, "field (v) is of type Int8Vector, but its data is FloatVector"},
		{schema.Int8Vector, func(d *schemapb.FieldData) {
			d.GetVectors().Data = &schemapb.VectorField_Int8Vector{Int8Vector: make([]byte, 16)}
		}, "the num_rows (2) of field (v) is not equal to passed num_rows (1)"},
		{schema.Float16Vector, func(d *schemapb.FieldData) { copy(d.GetVectors().GetFloat16Vector()[4:], "\x00\x7e") }, "field v: value 'NaN' is not a number or infinity"},
		{schema.Float16Vector, func(d *schemapb.FieldData) { copy(d.GetVectors().GetFloat16Vector()[14:], "\x00\xfc") }, "field v: value '-Inf' is not a number or infinity"},
		{schema.BFloat16Vector, func(d *schemapb.FieldData) { copy(d.GetVectors().GetBfloat16Vector()[2:], "\x80\x7f") }, "field v: value '+Inf' is not a number or infinity"},
		{schema.BFloat16Vector, func(d *schemapb.FieldData) { copy(d.GetVectors().GetBfloat16Vector()[2:], "\xff\xff") }, "field v: value 'NaN' is not a number or infinity"},
	} {
		f := packedField(tc.typ)
		f.Nullable = false
		d := packedData(f, 8, row(tc.typ))
		tc.edit(d)
		c, err := columnOf(f, d, 1)
		if err == nil {
			err = checkColumn(f, c)
		}
		if want := tc.text + ": invalid parameter"; err == nil || err.Error() != want || !errs.Is(err, errs.InvalidParameter) {
			t.Errorf("%s: got %v\nwant %s", tc.typ, err, want)
		}
	}
}

func TestPackedQueries(t *testing.T) {
	group := func(kind commonpb.PlaceholderType, values ...[]byte) []byte {
		raw, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{{Tag: "$0", Type: kind, Values: values}}})
		mustStatus(t, err)
		return raw
	}
	for _, typ := range packedTypes() {
		f := packedField(typ)
		one, two := bytes.Repeat([]byte{1}, typ.RowBytes(8)), bytes.Repeat([]byte{2}, typ.RowBytes(8))
		nq, got, err := parsePlaceholders(group(commonpb.PlaceholderType(typ), one, two), f)
		if err != nil || nq != 2 || !bytes.Equal(got, append(append([]byte(nil), one...), two...)) {
			t.Fatalf("%s: %d % x %v", typ, nq, got, err)
		}
		_, _, err = parsePlaceholders(group(commonpb.PlaceholderType(typ), one[1:]), f)
		want := fmt.Sprintf("vector dimension mismatch, expected vector size(byte) %d, actual %d.: invalid parameter", len(one), len(one)-1)
		if err == nil || err.Error() != want {
			t.Fatalf("%s: %v", typ, err)
		}
		floats := group(commonpb.PlaceholderType_FloatVector, vectorBytes(nil, []float32{1, 2, 3, 4, 5, 6, 7, 8}))
		_, got, err = parsePlaceholders(floats, f)
		switch {
		case isHalf(typ) && (err != nil || len(got) != 16):
			t.Fatalf("%s: float32: %v", typ, err)
		case !isHalf(typ) && (err == nil || err.Error() != "vector type must be the same, field v - type "+typ.String()+", search info type FloatVector: invalid parameter"):
			t.Fatalf("%s: float32: %v", typ, err)
		}
		nan := group(commonpb.PlaceholderType_FloatVector, vectorBytes(nil, []float32{1, 2, 3, 4, 5, 6, 7, float32(math.NaN())}))
		if _, _, err = parsePlaceholders(nan, f); err == nil {
			t.Fatalf("%s: NaN is taken", typ)
		}
	}
}

// TestRESTVectors: the forms of vectors in JSON, in rows, queries and answers.
func TestRESTVectors(t *testing.T) {
	s := &schema.Schema{Fields: []schema.Field{{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true}}}
	for i, typ := range packedTypes() {
		s.Fields = append(s.Fields, schema.Field{ID: int64(101 + i), Name: typ.String(), Type: typ, Dim: 8, Nullable: true})
	}
	for _, tc := range []struct {
		typ         schema.Type
		given, text string // shown, or the text of the refusal
		refused     bool
	}{
		{schema.Float16Vector, `[1, 0, 0, 0, 0, 0, 0, -2]`, `"ADwAAAAAAAAAAAAAAAAAwA=="`, false},
		{schema.Float16Vector, `"ADwAAAAAAAAAAAAAAAAAwA=="`, `"ADwAAAAAAAAAAAAAAAAAwA=="`, false},
		{schema.BFloat16Vector, `[1, 0, 0, 0, 0, 0, 0, 0]`, `"gD8AAAAAAAAAAAAAAAAAAA=="`, false},
		{schema.Int8Vector, `[1, -128, 127, 0, 0, 0, 0, 0]`, `[1, -128, 127, 0, 0, 0, 0, 0]`, false},
		{schema.BinaryVector, `"pQ=="`, `"pQ=="`, false},
		{schema.BinaryVector, `null`, `null`, false},
		{schema.Int8Vector, `[128, 0, 0, 0, 0, 0, 0, 0]`, "is no Int8Vector", true},
		{schema.Int8Vector, `[1, 2]`, "a vector of 2 bytes, not of the 8 of dimension 8", true},
		{schema.BinaryVector, `[1, 0]`, "is no BinaryVector", true},
		{schema.BinaryVector, `"pQA="`, "a vector of 2 bytes, not of the 1 of dimension 8", true},
		{schema.Float16Vector, `[1, 2]`, "a vector of 4 bytes, not of the 16 of dimension 8", true},
	} {
		body := fmt.Sprintf(`{"id": 1, %q: %s}`, tc.typ, tc.given)
		data, err := columnsOfRows(s, jsonRows(t, body))
		if tc.refused {
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(tc.text)) {
				t.Errorf("%s: %v", body, err)
			}
			continue
		}
		mustStatus(t, err)
		rows, err := (&restRequest{}).rowsOfColumns(&catalog.Collection{Schema: *s}, data)
		mustStatus(t, err)
		wantJSON(t, throughJSON(t, rows[0][tc.typ.String()]), tc.text)
	}
}

// TestRESTPackedSearch: a search by REST over a field of float16.
func TestRESTPackedSearch(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "q", "schema": {"fields": [
		{"fieldName": "id", "dataType": "Int64", "isPrimary": true},
		{"fieldName": "v", "dataType": "Float16Vector", "elementTypeParams": {"dim": 2}},
		{"fieldName": "w", "dataType": "Int8Vector", "elementTypeParams": {"dim": 2}}]},
		"indexParams": [{"fieldName": "v", "metricType": "L2"}, {"fieldName": "w", "metricType": "L2"}]}`)
	postOK(t, w, "entities/insert", `{"collectionName": "q", "data": [{"id": 1, "v": [1, 0], "w": [1, 0]}, {"id": 2, "v": [2, 0], "w": [2, 0]}]}`)
	want := `[{"id": 2, "distance": 0, "w": [2, 0]}, {"id": 1, "distance": 1, "w": [1, 0]}]`
	for field, query := range map[string]string{"v": `[2, 0]`, "w": `[2, 0]`} {
		body := fmt.Sprintf(`{"collectionName": "q", "annsField": %q, "data": [%s], "outputFields": ["w"]}`, field, query)
		wantJSON(t, postOK(t, w, "entities/search", body), want)
	}
	wantJSON(t, postOK(t, w, "entities/search", `{"collectionName": "q", "annsField": "v", "data": ["AEAAAA=="], "outputFields": ["w"]}`), want)
	if code, _, text := post(t, w, "entities/search", `{"collectionName": "q", "annsField": "w", "data": [[300, 0]]}`); code != 1100 || text == "" {
		t.Fatal(code, text)
	}
}

// TestSearchByKeysWithoutVector: a row without a vector is no query.
func TestSearchByKeysWithoutVector(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "s", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "v", DataType: schemapb.DataType_BFloat16Vector, TypeParams: kv("dim", "8"), Nullable: true},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "s", Schema: raw})
	done(t, st, err)
	st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "s", FieldName: "v", ExtraParams: kv("index_type", "FLAT", "metric_type", "L2")})
	done(t, st, err)
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: "s"})
	done(t, st, err)
	f := packedField(schema.BFloat16Vector)
	ins, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "s", NumRows: 2, FieldsData: []*schemapb.FieldData{
		longs("id", nil, 1, 2), packedData(f, 8, make([]byte, 16), true, false),
	}})
	done(t, ins.GetStatus(), err)
	for id, code := range map[int64]int32{1: 0, 2: 1100} {
		resp, err := c.Search(ctx, &milvuspb.SearchRequest{
			CollectionName: "s", SearchParams: kv("topk", "2"),
			SearchInput: &milvuspb.SearchRequest_Ids{Ids: &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: &schemapb.LongArray{Data: []int64{id}}}}},
		})
		mustStatus(t, err)
		if resp.Status.Code != code {
			t.Fatalf("key %d: %v", id, resp.Status)
		}
		if code == 0 && (len(resp.Results.Scores) != 1 || resp.Results.Ids.GetIntId().Data[0] != 1) {
			t.Fatalf("key %d: %v", id, resp.Results)
		}
	}
}
