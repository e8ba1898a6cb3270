package proxy

import (
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func kv(pairs ...string) []*commonpb.KeyValuePair {
	var out []*commonpb.KeyValuePair
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &commonpb.KeyValuePair{Key: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// plainSchema is a valid schema that each case spoils in one way.
func plainSchema() *schemapb.CollectionSchema {
	return &schemapb.CollectionSchema{Name: "c", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "4")},
	}}
}

func add(f *schemapb.FieldSchema) func(*schemapb.CollectionSchema) {
	return func(s *schemapb.CollectionSchema) { s.Fields = append(s.Fields, f) }
}

func TestSchemaChecks(t *testing.T) {
	many := func(n int, kind schemapb.DataType) func(*schemapb.CollectionSchema) {
		return func(s *schemapb.CollectionSchema) {
			for i := range n {
				s.Fields = append(s.Fields, &schemapb.FieldSchema{Name: "f" + strings.Repeat("x", i), DataType: kind, TypeParams: kv("dim", "4")})
			}
		}
	}
	cases := []struct {
		name   string
		spoil  func(*schemapb.CollectionSchema)
		shards int32
		code   errs.Code
		text   string
	}{
		{"fine", func(*schemapb.CollectionSchema) {}, 1, errs.OK, ""},
		{"shards", func(*schemapb.CollectionSchema) {}, 17, errs.InvalidParameter, "maximum shards's number should be limited to 16: invalid parameter"},
		{"fields", many(63, schemapb.DataType_Int8), 1, errs.InvalidParameter, "maximum field's number should be limited to 64: invalid parameter"},
		{"vectors", many(10, schemapb.DataType_FloatVector), 1, errs.InvalidParameter, "maximum vector field's number should be limited to 10: invalid parameter"},
		{"no vector", func(s *schemapb.CollectionSchema) { s.Fields = s.Fields[:1] }, 1, errs.InvalidParameter, "schema does not contain vector field: invalid parameter"},
		{"no key", func(s *schemapb.CollectionSchema) { s.Fields[0].IsPrimaryKey = false }, 1, errs.InvalidParameter, "primary key is not specified: invalid parameter"},
		{"two keys", add(&schemapb.FieldSchema{Name: "k2", DataType: schemapb.DataType_Int64, IsPrimaryKey: true}), 1, errs.InvalidParameter, "there are more than one primary key, field name = id, k2: invalid parameter"},
		{"key type", func(s *schemapb.CollectionSchema) { s.Fields[0].DataType = schemapb.DataType_Int32 }, 1, errs.InvalidParameter, "the data type of primary key should be Int64 or VarChar: invalid parameter"},
		{"is_dynamic", func(s *schemapb.CollectionSchema) { s.Fields[1].IsDynamic = true }, 1, errs.InvalidParameter, "cannot explicitly set a field as a dynamic field: invalid parameter"},
		{"auto id", add(&schemapb.FieldSchema{Name: "n", DataType: schemapb.DataType_Int64, AutoID: true}), 1, errs.InvalidParameter, "only primary field can speficy AutoID with true, field name = n: invalid parameter"},
		{"reserved", add(&schemapb.FieldSchema{Name: "Timestamp", DataType: schemapb.DataType_Int64}), 1, errs.InvalidParameter, "Timestamp is not a valid field name, it is reserved by the system: invalid parameter"},
		{"sparse", add(&schemapb.FieldSchema{Name: "s", DataType: schemapb.DataType_SparseFloatVector}), 1, errs.Unimplemented, "data type SparseFloatVector of field s is not supported"},
		{"dim missing", func(s *schemapb.CollectionSchema) { s.Fields[1].TypeParams = nil }, 1, errs.InvalidParameter, "dimension is not defined in field type params of field vec, check type param `dim` for vector field: invalid parameter"},
		{"dim 1", func(s *schemapb.CollectionSchema) { s.Fields[1].TypeParams = kv("dim", "1") }, 1, errs.InvalidParameter, "invalid dimension: 1. should be in range 2 ~ 32768: invalid parameter"},
		{"dim word", func(s *schemapb.CollectionSchema) { s.Fields[1].TypeParams = kv("dim", "x") }, 1, errs.InvalidParameter, "invalid dimension: x of field vec: invalid parameter"},
		{"dim 32769", func(s *schemapb.CollectionSchema) {
			s.Fields[1].DataType, s.Fields[1].TypeParams = schemapb.DataType_BFloat16Vector, kv("dim", "32769")
		}, 1, errs.InvalidParameter, "invalid dimension: 32769 of field vec. float vector dimension should be in range 2 ~ 32768: invalid parameter"},
		{"bits", func(s *schemapb.CollectionSchema) {
			s.Fields[1].DataType, s.Fields[1].TypeParams = schemapb.DataType_BinaryVector, kv("dim", "262144")
		}, 1, errs.OK, ""},
		{"bits too many", func(s *schemapb.CollectionSchema) {
			s.Fields[1].DataType, s.Fields[1].TypeParams = schemapb.DataType_BinaryVector, kv("dim", "262152")
		}, 1, errs.InvalidParameter, "invalid dimension: 262152 of field vec. binary vector dimension should be in range 2 ~ 262144: invalid parameter"},
		{"bits no bytes", func(s *schemapb.CollectionSchema) {
			s.Fields[1].DataType, s.Fields[1].TypeParams = schemapb.DataType_BinaryVector, kv("dim", "12")
		}, 1, errs.InvalidParameter, "invalid dimension: 12 of field vec. binary vector dimension should be multiple of 8. : invalid parameter"},
		{"max_length", add(&schemapb.FieldSchema{Name: "s", DataType: schemapb.DataType_VarChar}), 1, errs.InvalidParameter, "type param(max_length) should be specified for the field(s) of collection c: invalid parameter"},
		{"max_length range", add(&schemapb.FieldSchema{Name: "s", DataType: schemapb.DataType_VarChar, TypeParams: kv("max_length", "70000")}), 1, errs.InvalidParameter, "the maximum length specified for the field(s) should be in (0, 65535], but got 70000 instead: invalid parameter"},
		{"capacity", add(&schemapb.FieldSchema{Name: "a", DataType: schemapb.DataType_Array, ElementType: schemapb.DataType_Int64}), 1, errs.InvalidParameter, "type param(max_capacity) should be specified for array field a of collection c: invalid parameter"},
		{"array of json", add(&schemapb.FieldSchema{Name: "a", DataType: schemapb.DataType_Array, ElementType: schemapb.DataType_JSON, TypeParams: kv("max_capacity", "4")}), 1, errs.InvalidParameter, "element type JSON is not supported, field name = a: invalid parameter"},
		{"field name", add(&schemapb.FieldSchema{Name: "a-b", DataType: schemapb.DataType_Int64}), 1, errs.InvalidFieldName, "Invalid field name: a-b. field name can only contain numbers, letters and underscores: field name invalid[field=a-b]"},
		{"keyword", add(&schemapb.FieldSchema{Name: "like", DataType: schemapb.DataType_Int64}), 1, errs.InvalidFieldName, "Invalid field name: like. like is a keyword of filters: field name invalid[field=like]"},
		{"function", add(&schemapb.FieldSchema{Name: "ARRAY_LENGTH", DataType: schemapb.DataType_Int64}), 1, errs.InvalidFieldName, "Invalid field name: ARRAY_LENGTH. ARRAY_LENGTH is a keyword of filters: field name invalid[field=ARRAY_LENGTH]"},
		{"twice", add(&schemapb.FieldSchema{Name: "id", DataType: schemapb.DataType_Int64}), 1, errs.InvalidParameter, "duplicated field name id: invalid parameter"},
		{"default type", add(&schemapb.FieldSchema{Name: "n", DataType: schemapb.DataType_Int64, DefaultValue: &schemapb.ValueField{Data: &schemapb.ValueField_BoolData{BoolData: true}}}), 1, errs.InvalidParameter, "type (Int64) of field (n) is not equal to the type(DataType_Bool) of default_value: invalid parameter"},
		{"default range", add(&schemapb.FieldSchema{Name: "n", DataType: schemapb.DataType_Int8, DefaultValue: &schemapb.ValueField{Data: &schemapb.ValueField_IntData{IntData: 300}}}), 1, errs.InvalidParameter, "the value of field n is out of range: invalid parameter[expected=-128 to 127][actual=300]: invalid parameter"},
		{"function", func(s *schemapb.CollectionSchema) {
			s.Functions = []*schemapb.FunctionSchema{{Name: "bm", Type: schemapb.FunctionType_BM25}}
		}, 1, errs.Unimplemented, "function bm of type BM25 in a schema is not supported"},
		// Of several faults the one that is checked first is reported.
		{"order", func(s *schemapb.CollectionSchema) { s.Fields = s.Fields[:1]; s.Fields[0].IsPrimaryKey = false }, 17, errs.InvalidParameter, "maximum shards's number should be limited to 16: invalid parameter"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			in := plainSchema()
			tc.spoil(in)
			raw, err := proto.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = parseSchema(raw, "c", tc.shards)
			if errs.CodeOf(err) != tc.code || err != nil && err.Error() != tc.text {
				t.Fatalf("got %d %v\nwant %d %s", errs.CodeOf(err), err, tc.code, tc.text)
			}
		})
	}
}

func TestSchemaGetsIDsAndTheDynamicField(t *testing.T) {
	in := plainSchema()
	in.EnableDynamicField = true
	raw, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := parseSchema(raw, "c", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Fields) != 3 || s.Fields[0].ID != 100 || s.Fields[1].ID != 101 || s.Fields[1].Dim != 4 {
		t.Fatalf("fields %+v", s.Fields)
	}
	if f := s.DynamicField(); f == nil || f.ID != 102 || f.Name != schema.DynamicFieldName || f.Type != schema.JSON {
		t.Fatalf("dynamic field %+v", f)
	}
}

func TestIndexSpecs(t *testing.T) {
	vec := &schema.Field{ID: 101, Name: "vec", Type: schema.FloatVector, Dim: 4}
	word := &schema.Field{ID: 102, Name: "word", Type: schema.VarChar, MaxLength: 8}
	s := &schema.Schema{Fields: []schema.Field{*vec, *word}}
	def, err := resolveIndex(s, "vec", kv("metric_type", "COSINE", "index_type", "AUTOINDEX"))
	if err != nil || def.Type != "HNSW" || def.Metric != "COSINE" {
		t.Fatalf("%+v, %v", def, err)
	}
	if got := def.UserParams; len(got) != 2 || got[1] != (schema.KV{Key: "index_type", Value: "AUTOINDEX"}) {
		t.Fatalf("AUTOINDEX is described as %v", got)
	}
	def, err = resolveIndex(s, "vec", kv("index_type", "HNSW", "metric_type", "l2", "params", `{"M": 8, "efConstruction": "64"}`))
	if err != nil || def.Params["M"] != "8" || def.Params["efConstruction"] != "64" || def.Metric != "L2" {
		t.Fatalf("%+v, %v", def, err)
	}
	for _, tc := range []struct {
		f    *schema.Field
		kvs  []*commonpb.KeyValuePair
		text string
	}{
		{vec, kv("M", "8", "params", `{"M": 8}`), "duplicated index param (key=M) (value=8) found: invalid parameter"},
		{vec, kv("index_type", "AUTOINDEX", "M", "8"), "only metric type can be passed when use AutoIndex: invalid parameter"},
		{vec, kv("index_type", "HNSW", "metric_type", "HAMMING"), "float vector index does not support metric type: HAMMING: invalid parameter"},
		{vec, kv("index_type", "NOSUCH"), "invalid index type: NOSUCH: invalid parameter"},
		{vec, kv("index_type", "HNSW", "params", `[1]`), "the value of params is no JSON object: [1]: invalid parameter"},
		{word, kv("index_type", "RTREE"), "invalid index type: RTREE: invalid parameter"},
	} {
		if _, err := resolveIndex(s, tc.f.Name, tc.kvs); err == nil || err.Error() != tc.text {
			t.Errorf("%v: %v\nwant %s", tc.kvs, err, tc.text)
		}
	}
	if def, err = resolveIndex(s, "word", kv("index_type", "Trie")); err != nil || def.Type != "Trie" {
		t.Fatalf("%+v, %v", def, err)
	}
}
