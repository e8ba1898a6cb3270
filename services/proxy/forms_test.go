package proxy

import (
	"reflect"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"
)

func TestWKT(t *testing.T) {
	for text, want := range map[string]bool{
		"POINT (1 2)": true, "point(1.5 -2e3)": true, "POINT Z (1 2 3)": true, "POINT EMPTY": true,
		"LINESTRING (0 0, 1 1, 2 2)": true, "POLYGON ((0 0, 1 0, 1 1, 0 0), (0.1 0.1, 0.2 0.1, 0.2 0.2, 0.1 0.1))": true,
		"MULTIPOINT ((0 0), (1 1))": true, "MULTIPOINT (0 0, 1 1)": true, "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))": true,
		"GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))": true,
		"": false, "POINT": false, "POINT (1)": false, "POINT (1 2": false, "POINT (1 2) x": false, "POINT (a b)": false, "POINT (1 2 3 4 5)": false,
		"CIRCLE (1 2)": false, "POLYGON (0 0, 1 1)": false, "invalid": false, "GEOMETRYCOLLECTION (1 2)": false, "POINT (1 2,)": false,
	} {
		if validWKT(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestForms: times and geometries come back as they went in, in the zone that was asked for, defaults too.
func TestForms(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	text := func(name string, kind schemapb.DataType, valid []bool, v ...string) *schemapb.FieldData {
		d := words(name, v...)
		d.Type, d.ValidData = kind, valid
		return d
	}
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "c", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
		{Name: "at", DataType: schemapb.DataType_Timestamptz, DefaultValue: &schemapb.ValueField{Data: &schemapb.ValueField_StringData{StringData: "1984-04-14T15:00:00+08:00"}}},
		{Name: "place", DataType: schemapb.DataType_Geometry, Nullable: true},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "c", Schema: raw})
	done(t, st, err)
	desc, err := c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: "c"})
	mustStatus(t, err)
	at, place := desc.Schema.Fields[2], desc.Schema.Fields[3]
	if at.DataType != schemapb.DataType_Timestamptz || at.DefaultValue.GetStringData() != "1984-04-14T07:00:00Z" || place.DataType != schemapb.DataType_Geometry {
		t.Fatalf("%v %v", at, place)
	}
	for field, kind := range map[string]string{"vec": "FLAT", "at": "STL_SORT", "place": "RTREE"} {
		st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "c", FieldName: field, ExtraParams: kv("index_type", kind)})
		done(t, st, err)
	}
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: "c"})
	done(t, st, err)
	insert := func(data ...*schemapb.FieldData) *commonpb.Status {
		resp, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "c", NumRows: 2, FieldsData: append(data, vectors("vec", 2, 1, 2, 3, 4))})
		mustStatus(t, err)
		return resp.Status
	}
	done(t, insert(longs("id", nil, 1, 2),
		text("at", schemapb.DataType_Timestamptz, []bool{true, false}, "2025-01-02T03:04:05Z", ""),
		text("place", schemapb.DataType_Geometry, []bool{true, false}, "POINT (1 2)", "")), nil)
	if st := insert(longs("id", nil, 3, 4), text("at", schemapb.DataType_Timestamptz, nil, "never", "")); st.Reason != "invalid timestamp string: 'never'. Does not match any known format: invalid parameter" {
		t.Error(st)
	}
	if st := insert(longs("id", nil, 3, 4), text("place", schemapb.DataType_Geometry, nil, "POINT (1 2)", "X")); st.Reason != "field place row 1 is no valid WKT: X: invalid parameter" {
		t.Error(st)
	}
	if st := insert(longs("id", nil, 3, 4), longs("place", nil, 1, 2)); st.Reason != "field (place) is of type Geometry, but its data is Int64: invalid parameter" {
		t.Error(st)
	}
	resp, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0", OutputFields: []string{"at", "place"}, QueryParams: kv("timezone", "Asia/Shanghai")})
	mustStatus(t, err)
	done(t, resp.Status, nil)
	got := map[string]*schemapb.FieldData{}
	for _, d := range resp.FieldsData {
		got[d.FieldName] = d
	}
	if v := got["at"]; v.Type != schemapb.DataType_Timestamptz || !reflect.DeepEqual(v.GetScalars().GetStringData().GetData(), []string{"2025-01-02T11:04:05+08:00", "1984-04-14T15:00:00+08:00"}) {
		t.Error(v)
	}
	if v := got["place"]; v.Type != schemapb.DataType_Geometry || !reflect.DeepEqual(v.GetScalars().GetGeometryWktData().GetData(), []string{"POINT (1 2)", ""}) || !reflect.DeepEqual(v.ValidData, []bool{true, false}) {
		t.Error(v)
	}
	resp, err = c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0", OutputFields: []string{"at"}, QueryParams: kv("timezone", "Nowhere")})
	wantStatus(t, resp.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "invalid timezone: Nowhere: invalid parameter")
}
