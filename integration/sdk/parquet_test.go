package sdk

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// rowsFile is a segment's rows.parquet in a running server's data folder, for programs that read such files: it has
// every kind of column that collections can have, nulls, and values of the dynamic field.
func rowsFile(t *testing.T, s *harness.Standalone) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	schema, err := proto.Marshal(parquetSchema())
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: parquetName, Schema: schema, ShardsNum: 1})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	r, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: parquetName, FieldsData: parquetColumns(), NumRows: parquetRows})
	if err := client.Check(r.GetStatus(), err); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushWait(ctx, parquetName); err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(filepath.Join(s.Dir, "objects", "segments"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "rows.parquet" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 1 {
		t.Fatalf("files of rows: %q, %v; want one", files, err)
	}
	return files[0]
}

const (
	parquetName = "parquet"
	parquetDim  = 24
	parquetRows = 3000
)

func kv(k, v string) []*commonpb.KeyValuePair { return []*commonpb.KeyValuePair{{Key: k, Value: v}} }

func parquetSchema() *schemapb.CollectionSchema {
	return &schemapb.CollectionSchema{Name: parquetName, EnableDynamicField: true, Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "name", DataType: schemapb.DataType_VarChar, TypeParams: kv("max_length", "100")},
		{Name: "small", DataType: schemapb.DataType_Int16},
		{Name: "price", DataType: schemapb.DataType_Double, Nullable: true},
		{Name: "flag", DataType: schemapb.DataType_Bool},
		{Name: "doc", DataType: schemapb.DataType_JSON},
		{
			Name: "tags", DataType: schemapb.DataType_Array, ElementType: schemapb.DataType_VarChar,
			TypeParams: append(kv("max_length", "20"), kv("max_capacity", "8")...),
		},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", fmt.Sprint(parquetDim))},
		{Name: "half", DataType: schemapb.DataType_Float16Vector, TypeParams: kv("dim", fmt.Sprint(parquetDim))},
		{Name: "bits", DataType: schemapb.DataType_BinaryVector, TypeParams: kv("dim", fmt.Sprint(parquetDim)), Nullable: true},
	}}
}

// parquetColumns are the rows, in an order that is not the key's.
func parquetColumns() []*schemapb.FieldData {
	var ids []int64
	var names []string
	var small []int32
	var prices []float64
	var valid, flags []bool
	var docs, dynamic [][]byte
	var tags []*schemapb.ScalarField
	var vectors []float32
	var halves, bits []byte // half the key counts in units of 2^-24, and the key where the price is known
	for i := range parquetRows {
		id := int64(i*7) % parquetRows
		ids, names, small = append(ids, id), append(names, fmt.Sprintf("näme %d", id)), append(small, int32(id%100))
		valid, flags = append(valid, id%3 != 0), append(flags, id%2 == 0)
		if id%3 != 0 {
			prices = append(prices, float64(id)/4)
			bits = append(bits, byte(id), byte(id>>8), 0)
		}
		docs = append(docs, fmt.Appendf(nil, `{"a":%d,"b":[1,"x"]}`, id))
		dynamic = append(dynamic, fmt.Appendf(nil, `{"color":"c%d"}`, id%5))
		tags = append(tags, &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: make([]string, id%4)}}})
		for j := range parquetDim {
			vectors = append(vectors, float32(id)+float32(j)/8)
			halves = append(halves, byte(id/2), byte(id/2>>8))
		}
	}
	return []*schemapb.FieldData{
		scalar("id", schemapb.DataType_Int64, &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: ids}}}),
		scalar("name", schemapb.DataType_VarChar, &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: names}}}),
		scalar("small", schemapb.DataType_Int16, &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: small}}}),
		nullable(valid, scalar("price", schemapb.DataType_Double, &schemapb.ScalarField{Data: &schemapb.ScalarField_DoubleData{DoubleData: &schemapb.DoubleArray{Data: prices}}})),
		scalar("flag", schemapb.DataType_Bool, &schemapb.ScalarField{Data: &schemapb.ScalarField_BoolData{BoolData: &schemapb.BoolArray{Data: flags}}}),
		scalar("doc", schemapb.DataType_JSON, &schemapb.ScalarField{Data: &schemapb.ScalarField_JsonData{JsonData: &schemapb.JSONArray{Data: docs}}}),
		scalar("tags", schemapb.DataType_Array, &schemapb.ScalarField{Data: &schemapb.ScalarField_ArrayData{ArrayData: &schemapb.ArrayArray{Data: tags, ElementType: schemapb.DataType_VarChar}}}),
		{FieldName: "vec", Type: schemapb.DataType_FloatVector, Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim: parquetDim, Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: vectors}},
		}}},
		{FieldName: "half", Type: schemapb.DataType_Float16Vector, Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim: parquetDim, Data: &schemapb.VectorField_Float16Vector{Float16Vector: halves},
		}}},
		nullable(valid, &schemapb.FieldData{FieldName: "bits", Type: schemapb.DataType_BinaryVector, Field: &schemapb.FieldData_Vectors{
			Vectors: &schemapb.VectorField{Dim: parquetDim, Data: &schemapb.VectorField_BinaryVector{BinaryVector: bits}},
		}}),
		dynamicField(scalar("$meta", schemapb.DataType_JSON, &schemapb.ScalarField{Data: &schemapb.ScalarField_JsonData{JsonData: &schemapb.JSONArray{Data: dynamic}}})),
	}
}

func scalar(name string, kind schemapb.DataType, values *schemapb.ScalarField) *schemapb.FieldData {
	return &schemapb.FieldData{FieldName: name, Type: kind, Field: &schemapb.FieldData_Scalars{Scalars: values}}
}

func nullable(valid []bool, f *schemapb.FieldData) *schemapb.FieldData {
	f.ValidData = valid
	return f
}

func dynamicField(f *schemapb.FieldData) *schemapb.FieldData {
	f.IsDynamic = true
	return f
}
