package api

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

const filterRows = 9000 // enough for indexes and columns of documents

// TestFiltersBeforeAndAfterSealing: growing rows are scanned, sealed ones have scalar indexes and columns of their
// documents' keys. Both select the same rows.
func TestFiltersBeforeAndAfterSealing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	s := harness.StartStandalone(t, t.TempDir())
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	createFilterCollection(ctx, t, c)
	for first := 0; first < filterRows; first += 3000 {
		r, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "f", FieldsData: filterColumns(first, 3000), NumRows: 3000})
		if err := client.Check(r.GetStatus(), err); err != nil {
			t.Fatal(err)
		}
	}
	filters := []string{
		`tag == "t7"`, `tag in ["t1", "t2", "none"]`, `tag like "t1%"`, `not (tag == "t3")`, `grp == 4 and score > 100.5`,
		`score > 10 and score < 20.25`, `score >= 8999`, `key in [5, 8000, 77777]`, `key > 8990`, `flag == true`, `opt is null`, `opt == 3`, `not (opt == 3)`,
		`color == "red"`, `size > 5`, `size > 5.5 and color like "g%"`, `more["deep"] == 2`, `exists more["deep"]`, `$meta["size"] in [1, 2.0, "x"]`,
		`color is null`, `size == "odd"`, `not (size < 3)`, `json_contains(list, 3)`, `none == 1`,
	}
	before := map[string]int64{}
	for _, f := range filters {
		before[f] = countWhere(ctx, t, c, f)
	}
	if before[`tag == "t7"`] != filterRows/20 || before[`color == "red"`] == 0 || before[`size == "odd"`] == 0 {
		t.Fatalf("the filters select %v", before)
	}
	if err := c.FlushWait(ctx, "f"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Restart(t) // nothing grows now
	again, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, f := range filters {
		if n := countWhere(ctx, t, again, f); n != before[f] {
			t.Errorf("%s: %d rows while they grew, %d sealed", f, before[f], n)
		}
	}
}

func countWhere(ctx context.Context, t *testing.T, c *client.Client, filter string) int64 {
	t.Helper()
	for {
		r, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "f", Expr: filter, OutputFields: []string{"count(*)"}, ConsistencyLevel: commonpb.ConsistencyLevel_Strong})
		if err := client.Check(r.GetStatus(), err); err == nil {
			return r.FieldsData[0].GetScalars().GetLongData().Data[0]
		} else if ctx.Err() != nil || (r.GetStatus().GetCode() != 0 && !r.GetStatus().GetRetriable()) {
			t.Fatalf("%s: %v", filter, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func createFilterCollection(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	kv := func(k, v string) *commonpb.KeyValuePair { return &commonpb.KeyValuePair{Key: k, Value: v} }
	sch, err := proto.Marshal(&schemapb.CollectionSchema{Name: "f", EnableDynamicField: true, Fields: []*schemapb.FieldSchema{
		{Name: "key", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: []*commonpb.KeyValuePair{kv("dim", "2")}},
		{Name: "tag", DataType: schemapb.DataType_VarChar, TypeParams: []*commonpb.KeyValuePair{kv("max_length", "32")}},
		{Name: "grp", DataType: schemapb.DataType_Int32},
		{Name: "score", DataType: schemapb.DataType_Double},
		{Name: "flag", DataType: schemapb.DataType_Bool},
		{Name: "opt", DataType: schemapb.DataType_Int64, Nullable: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "f", Schema: sch, ShardsNum: 1})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	for field, params := range map[string][]*commonpb.KeyValuePair{
		"vec":   {kv("index_type", "FLAT"), kv("metric_type", "L2")},
		"score": {kv("index_type", "STL_SORT")}, "tag": {kv("index_type", "TRIE")}, "opt": {kv("index_type", "BITMAP")},
		"size": {kv("index_type", "INVERTED"), kv("json_cast_type", "DOUBLE"), kv("json_path", "size")},
	} {
		st, err := c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "f", FieldName: field, ExtraParams: params})
		if err := client.Check(st, err); err != nil {
			t.Fatalf("index on %s: %v", field, err)
		}
	}
	if err := c.Load(ctx, "f"); err != nil {
		t.Fatal(err)
	}
}

func filterColumns(first, n int) []*schemapb.FieldData {
	var keys, opts []int64
	var vectors []float32
	var tags []string
	var groups []int32
	var scores []float64
	var flags, valid []bool
	var docs [][]byte
	for i := first; i < first+n; i++ {
		keys, vectors = append(keys, int64(i)), append(vectors, float32(i), 1)
		tags, groups, scores, flags = append(tags, fmt.Sprintf("t%d", i%20)), append(groups, int32(i%7)), append(scores, float64(i)+0.25), append(flags, i%3 == 0)
		if valid = append(valid, i%5 != 0); i%5 != 0 {
			opts = append(opts, int64(i%4))
		}
		doc := fmt.Sprintf(`{"color":%q,"size":%d,"more":{"deep":%d},"list":[1,%d]}`, []string{"red", "green", "grey"}[i%3], i%10, i%6, i%5)
		switch i % 100 {
		case 1:
			doc = `{"size":"odd"}`
		case 2:
			doc = `{"size":2.5,"more":[1,2],"color":null}`
		}
		docs = append(docs, []byte(doc))
	}
	scalar := func(name string, typ schemapb.DataType, f *schemapb.ScalarField) *schemapb.FieldData {
		return &schemapb.FieldData{FieldName: name, Type: typ, Field: &schemapb.FieldData_Scalars{Scalars: f}}
	}
	opt := scalar("opt", schemapb.DataType_Int64, &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: opts}}})
	opt.ValidData = valid
	meta := scalar("", schemapb.DataType_JSON, &schemapb.ScalarField{Data: &schemapb.ScalarField_JsonData{JsonData: &schemapb.JSONArray{Data: docs}}})
	meta.IsDynamic = true
	return []*schemapb.FieldData{
		scalar("key", schemapb.DataType_Int64, &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: keys}}}),
		{FieldName: "vec", Type: schemapb.DataType_FloatVector, Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim: 2, Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: vectors}},
		}}},
		scalar("tag", schemapb.DataType_VarChar, &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: tags}}}),
		scalar("grp", schemapb.DataType_Int32, &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: groups}}}),
		scalar("score", schemapb.DataType_Double, &schemapb.ScalarField{Data: &schemapb.ScalarField_DoubleData{DoubleData: &schemapb.DoubleArray{Data: scores}}}),
		scalar("flag", schemapb.DataType_Bool, &schemapb.ScalarField{Data: &schemapb.ScalarField_BoolData{BoolData: &schemapb.BoolArray{Data: flags}}}),
		opt, meta,
	}
}
