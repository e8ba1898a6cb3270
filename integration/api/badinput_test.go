package api

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
)

// wantStatus checks that a call was refused with a code and a text that helps, and left the server well.
func wantStatus(t *testing.T, what string, err error, code int32, texts ...string) {
	t.Helper()
	var st client.StatusError
	if !errors.As(err, &st) {
		t.Errorf("%s: got %v, want a Status with code %d", what, err, code)
		return
	}
	if st.Code != code {
		t.Errorf("%s: code %d (%s), want %d", what, st.Code, st.Reason, code)
	}
	if st.ErrorCode == commonpb.ErrorCode_Success || st.Reason == "" {
		t.Errorf("%s: error_code %s, reason %q: SDKs read the enum and the text too", what, st.ErrorCode, st.Reason)
	}
	for _, text := range texts {
		if !strings.Contains(st.Reason, text) {
			t.Errorf("%s: %q lacks %q", what, st.Reason, text)
		}
	}
}

const badDim = 4

func row(key int64, v ...float32) client.Row { return client.Row{Key: key, Version: 1, Vector: v} }

func TestBadWrites(t *testing.T) {
	c, ctx := start(t)
	if err := c.Create(ctx, client.Spec{Name: "b", Dim: badDim, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	good := func() []*schemapb.FieldData {
		return client.Columns([]client.Row{row(1, 1, 2, 3, 4), row(2, 1, 2, 3, 4)})
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := []struct {
		name string
		edit func(r *milvuspb.InsertRequest)
		text string
	}{
		{"no rows", func(r *milvuspb.InsertRequest) { r.NumRows = 0; r.FieldsData = nil }, "num_rows"},
		{"row count disagrees", func(r *milvuspb.InsertRequest) { r.NumRows = 3 }, "num_rows"},
		{"missing column", func(r *milvuspb.InsertRequest) { r.FieldsData = r.FieldsData[:2] }, "vec"},
		{"unknown column", func(r *milvuspb.InsertRequest) {
			extra := proto.Clone(r.FieldsData[1]).(*schemapb.FieldData)
			extra.FieldName = "nosuch"
			r.FieldsData = append(r.FieldsData, extra)
		}, "nosuch"},
		{"column given twice", func(r *milvuspb.InsertRequest) { r.FieldsData = append(r.FieldsData, r.FieldsData[1]) }, "version"},
		{"wrong dimension", func(r *milvuspb.InsertRequest) { r.FieldsData[2].GetVectors().Dim = 2 }, ""},
		{"half a vector", func(r *milvuspb.InsertRequest) {
			v := r.FieldsData[2].GetVectors().GetFloatVector()
			v.Data = v.Data[:7]
		}, ""},
		{"NaN", func(r *milvuspb.InsertRequest) { r.FieldsData[2].GetVectors().GetFloatVector().Data[0] = nan }, "NaN"},
		{"infinity", func(r *milvuspb.InsertRequest) { r.FieldsData[2].GetVectors().GetFloatVector().Data[0] = inf }, "nfinity"},
		{"text in a number column", func(r *milvuspb.InsertRequest) {
			r.FieldsData[1].Type = schemapb.DataType_VarChar
			r.FieldsData[1].Field = &schemapb.FieldData_Scalars{Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: []string{"a", "b"}}}}}
		}, "version"},
		{"column without data", func(r *milvuspb.InsertRequest) { r.FieldsData[1].Field = nil }, "version"},
		{"negative dimension", func(r *milvuspb.InsertRequest) { r.FieldsData[2].GetVectors().Dim = -4 }, ""},
	}
	for _, cs := range cases {
		req := &milvuspb.InsertRequest{CollectionName: "b", FieldsData: good(), NumRows: 2}
		cs.edit(req)
		r, err := c.Insert(ctx, req)
		wantStatus(t, "insert: "+cs.name, client.Check(r.GetStatus(), err), 1100, cs.text)
		up := &milvuspb.UpsertRequest{CollectionName: "b", FieldsData: req.FieldsData, NumRows: req.NumRows}
		u, err := c.Upsert(ctx, up)
		wantStatus(t, "upsert: "+cs.name, client.Check(u.GetStatus(), err), 1100, cs.text)
	}
	r, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "nosuch", FieldsData: good(), NumRows: 2})
	wantStatus(t, "unknown collection", client.Check(r.GetStatus(), err), 100, "nosuch")
	r, err = c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "b", PartitionName: "nosuch", FieldsData: good(), NumRows: 2})
	wantStatus(t, "unknown partition", client.Check(r.GetStatus(), err), 200, "nosuch")
	r, err = c.Insert(ctx, &milvuspb.InsertRequest{DbName: "nosuch", CollectionName: "b", FieldsData: good(), NumRows: 2})
	wantStatus(t, "unknown database", client.Check(r.GetStatus(), err), 800, "nosuch")
	r, err = c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "b", FieldsData: good(), NumRows: 2, SchemaTimestamp: 7})
	wantStatus(t, "stale schema", client.Check(r.GetStatus(), err), 109)
	if n, err := c.Count(ctx, "b"); err != nil || n != 0 {
		t.Fatalf("refused writes left %d rows, %v", n, err)
	}
}

func TestBadFilters(t *testing.T) {
	c, ctx := start(t)
	if err := c.Create(ctx, client.Spec{Name: "b", Dim: badDim, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("(", 5000) + "key > 1" + strings.Repeat(")", 5000)
	nots := strings.Repeat("not (", 3000) + "key > 1" + strings.Repeat(")", 3000)
	for _, expr := range []string{
		"key >", "key = 1", "nosuch == 1", `key == "a"`, "key in 5", "vec is null", "key / 0 == 1", deep, nots,
		"key in [" + strings.Repeat("1,", 3_000_000) + "1]", "\x00", "key == 99999999999999999999", `version like "a%"`, "5 < key < 1", "random_sample(2)",
	} {
		_, err := c.QueryRows(ctx, "b", expr, 10)
		wantStatus(t, fmt.Sprintf("query %.30q", expr), err, 1100)
		wantStatus(t, fmt.Sprintf("delete %.30q", expr), c.DeleteWhere(ctx, "b", expr), 1100)
	}
	wantStatus(t, "delete everything", c.DeleteWhere(ctx, "b", ""), 1100)
	_, err := c.QueryRows(ctx, "b", "", 0)
	wantStatus(t, "query everything without a limit", err, 1100, "limit")
	_, err = c.QueryRows(ctx, "b", "key > 0", 16385)
	wantStatus(t, "a limit beyond the window", err, 1100, "16384")
	if rows, err := c.QueryRows(ctx, "b", "key > 0", 10); err != nil || len(rows) != 0 {
		t.Fatalf("the server is hurt: %v, %v", rows, err)
	}
}

// placeholders builds a search input out of raw values.
func placeholders(t *testing.T, kind commonpb.PlaceholderType, values ...[]byte) []byte {
	t.Helper()
	raw, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{{Tag: "$0", Type: kind, Values: values}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func vector(v ...float32) []byte {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

func TestBadSearches(t *testing.T) {
	c, ctx := start(t)
	if err := c.Create(ctx, client.Spec{Name: "b", Dim: badDim, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	if err := c.InsertRows(ctx, "b", []client.Row{row(1, 1, 2, 3, 4)}); err != nil {
		t.Fatal(err)
	}
	good := placeholders(t, commonpb.PlaceholderType_FloatVector, vector(1, 2, 3, 4))
	nan := float32(math.NaN())
	cases := []struct {
		name   string
		input  []byte
		params string // key=value,key=value on top of topk=3
	}{
		{"no vectors", placeholders(t, commonpb.PlaceholderType_FloatVector), ""},
		{"no input at all", nil, ""},
		{"garbage input", []byte{0xff, 1, 2, 3}, ""},
		{"too short a vector", placeholders(t, commonpb.PlaceholderType_FloatVector, vector(1, 2, 3)), ""},
		{"a byte too many", placeholders(t, commonpb.PlaceholderType_FloatVector, append(vector(1, 2, 3, 4), 0)), ""},
		{"NaN", placeholders(t, commonpb.PlaceholderType_FloatVector, vector(1, 2, 3, nan)), ""},
		{"binary vectors for a float field", placeholders(t, commonpb.PlaceholderType_BinaryVector, []byte{1}), ""},
		{"topk 0", good, "topk=0"},
		{"topk beyond the limit", good, "topk=16385"},
		{"topk no number", good, "topk=many"},
		{"negative offset", good, "offset=-1"},
		{"offset beyond the window", good, "offset=16384"},
		{"other metric", good, "metric_type=IP"},
		{"unknown metric", good, "metric_type=FOO"},
		{"ef below topk", good, "ef=1"},
		{"ef no number", good, "ef=x"},
		{"round_decimal", good, "round_decimal=9"},
		{"unknown anns_field", good, "anns_field=nosuch"},
		{"scalar anns_field", good, "anns_field=version"},
		{"range upside down", good, "radius=1,range_filter=5"},
	}
	for _, cs := range cases {
		req := &milvuspb.SearchRequest{
			CollectionName: "b", DslType: commonpb.DslType_BoolExprV1, Nq: 1,
			SearchInput: &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: cs.input},
		}
		params := map[string]string{"topk": "3"}
		for _, kv := range strings.FieldsFunc(cs.params, func(r rune) bool { return r == ',' }) {
			k, v, _ := strings.Cut(kv, "=")
			params[k] = v
		}
		if r, ok := params["radius"]; ok {
			params["params"] = fmt.Sprintf(`{"radius":%s,"range_filter":%s}`, r, params["range_filter"])
			delete(params, "radius")
			delete(params, "range_filter")
		}
		for k, v := range params {
			req.SearchParams = append(req.SearchParams, &commonpb.KeyValuePair{Key: k, Value: v})
		}
		r, err := c.Search(ctx, req)
		wantStatus(t, "search: "+cs.name, client.Check(r.GetStatus(), err), 1100)
	}
	hits, err := c.SearchKeys(ctx, "b", [][]float32{{1, 2, 3, 4}}, 3, commonpb.ConsistencyLevel_Strong)
	if err != nil || len(hits) != 1 || len(hits[0]) != 1 {
		t.Fatalf("the server is hurt: %v, %v", hits, err)
	}
}

func TestBadSchemas(t *testing.T) {
	c, ctx := start(t)
	dim := func(v string) []*commonpb.KeyValuePair { return []*commonpb.KeyValuePair{{Key: "dim", Value: v}} }
	pk := &schemapb.FieldSchema{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true}
	vec := &schemapb.FieldSchema{Name: "v", DataType: schemapb.DataType_FloatVector, TypeParams: dim("4")}
	field := func(name string, typ schemapb.DataType, params ...*commonpb.KeyValuePair) *schemapb.FieldSchema {
		return &schemapb.FieldSchema{Name: name, DataType: typ, TypeParams: params}
	}
	cases := []struct {
		name   string
		fields []*schemapb.FieldSchema
		coll   string
	}{
		{"no vector", []*schemapb.FieldSchema{pk}, "s"},
		{"no key", []*schemapb.FieldSchema{vec}, "s"},
		{"two keys", []*schemapb.FieldSchema{pk, {Name: "id2", DataType: schemapb.DataType_Int64, IsPrimaryKey: true}, vec}, "s"},
		{"float key", []*schemapb.FieldSchema{{Name: "id", DataType: schemapb.DataType_Float, IsPrimaryKey: true}, vec}, "s"},
		{"no dim", []*schemapb.FieldSchema{pk, field("v", schemapb.DataType_FloatVector)}, "s"},
		{"dim 0", []*schemapb.FieldSchema{pk, field("v", schemapb.DataType_FloatVector, dim("0")...)}, "s"},
		{"dim too large", []*schemapb.FieldSchema{pk, field("v", schemapb.DataType_FloatVector, dim("40000")...)}, "s"},
		{"dim no number", []*schemapb.FieldSchema{pk, field("v", schemapb.DataType_FloatVector, dim("x")...)}, "s"},
		{"varchar without length", []*schemapb.FieldSchema{pk, vec, field("t", schemapb.DataType_VarChar)}, "s"},
		{"same name twice", []*schemapb.FieldSchema{pk, vec, field("v", schemapb.DataType_Int64)}, "s"},
		{"bad field name", []*schemapb.FieldSchema{pk, vec, field("a-b", schemapb.DataType_Int64)}, "s"},
		{"bad collection name", []*schemapb.FieldSchema{pk, vec}, "a b"},
		{"empty collection name", []*schemapb.FieldSchema{pk, vec}, ""},
		{"overlong name", []*schemapb.FieldSchema{pk, vec}, strings.Repeat("x", 256)},
		{"unknown type", []*schemapb.FieldSchema{pk, vec, field("t", 77)}, "s"},
	}
	for _, cs := range cases {
		raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: cs.coll, Fields: cs.fields})
		if err != nil {
			t.Fatal(err)
		}
		st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: cs.coll, Schema: raw})
		if err := client.Check(st, err); err == nil {
			t.Errorf("create: %s: accepted", cs.name)
		} else {
			var refused client.StatusError
			if !errors.As(err, &refused) || refused.Reason == "" {
				t.Errorf("create: %s: %v", cs.name, err)
			}
		}
	}
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "s", Schema: []byte{0xff, 0xff}})
	if client.Check(st, err) == nil {
		t.Error("create: a schema that is no protobuf was accepted")
	}
	all, err := c.ShowCollections(context.WithoutCancel(ctx), &milvuspb.ShowCollectionsRequest{})
	if err := client.Check(all.GetStatus(), err); err != nil || len(all.CollectionNames) != 0 {
		t.Fatalf("refused schemas left %v, %v", all.GetCollectionNames(), err)
	}
}
