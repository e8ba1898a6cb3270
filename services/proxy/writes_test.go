package proxy

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// contextWithoutDeadline lets the server's own deadline count.
func contextWithoutDeadline(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx
}

func TestInsertResult(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 3)
	res := insertRows(t, w, "c", 5, 3, 4)
	if !reflect.DeepEqual(res.IDs.GetIntId().Data, []int64{5, 3, 4}) || !reflect.DeepEqual(res.SuccIndex, []uint32{0, 1, 2}) || res.InsertCnt != 3 || res.Timestamp == 0 {
		t.Fatalf("%v", res)
	}
	for _, req := range w.writes {
		keys := schema.KeysOf(mustBatch(t, req.Parts[0].Rows).Column(100))
		for i := range keys.Len() {
			if shardOfInt(keys.Ints[i], 3) != int(req.Shard) {
				t.Errorf("key %d went to shard %d", keys.Ints[i], req.Shard)
			}
		}
	}
	resp, err := w.client().Insert(testContext(t), &milvuspb.InsertRequest{CollectionName: "c"})
	wantStatus(t, resp.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "num_rows should be greater than 0: invalid parameter")
}

func mustBatch(t testing.TB, raw []byte) *schema.Batch {
	t.Helper()
	b, err := schema.DecodeBatch(raw)
	mustStatus(t, err)
	return b
}

// TestWritesAreRetriedWithTheirIDs: what an owner refuses is sent again under the same request id.
func TestWritesAreRetriedWithTheirIDs(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	w.failNext("Write", errs.New(errs.NotOwner, "x"), errs.New(errs.Fenced, "x"), errs.New(errs.Unavailable, "x"))
	insertRows(t, w, "c", upTo(10)...)
	if len(w.writes) != 2 || bytes.Equal(w.writes[0].RequestId, w.writes[1].RequestId) || len(w.writes[0].RequestId) != 16 {
		t.Fatalf("%d writes", len(w.writes))
	}
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}); len(got) != 10 {
		t.Fatalf("%v", got)
	}
}

// TestASchemaThatMovedOn: the owner knows a newer schema; shards that have acknowledged are not written again.
func TestASchemaThatMovedOn(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	w.failNext("Write", errs.New(errs.SchemaMismatch, "x"))
	insertRows(t, w, "c", upTo(10)...)
	if len(w.writes) != 2 {
		t.Fatalf("%d writes", len(w.writes))
	}
}

func TestReadYourWritesUnderEveryLevel(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	for i, level := range []commonpb.ConsistencyLevel{0, 1, 2, 3, 4} {
		res := insertRows(t, w, "c", int64(i))
		req := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0", ConsistencyLevel: level, GuaranteeTimestamp: res.Timestamp}
		if level == commonpb.ConsistencyLevel_Strong {
			req.GuaranteeTimestamp = 0
		}
		if got := queryIDs(t, w, req); len(got) != i+1 {
			t.Errorf("%s sees %v", level, got)
		}
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(10)...)
	ctx, c := testContext(t), w.client()
	st, err := c.ReleaseCollection(ctx, &milvuspb.ReleaseCollectionRequest{CollectionName: "c"})
	done(t, st, err)
	res, err := c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: "c", Expr: "id in [1, 2, 99]"})
	if ok(t, res, err); res.DeleteCnt != 3 || res.Timestamp == 0 {
		t.Fatalf("a delete by keys needs no load and counts the keys: %v", res)
	}
	res, err = c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: "c", Expr: "n > 5"})
	wantStatus(t, res.GetStatus(), err, 101, commonpb.ErrorCode_UnexpectedError, "")
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: "c"})
	done(t, st, err)
	w.writes = nil
	res, err = c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: "c", Expr: "n > 5"})
	if ok(t, res, err); res.DeleteCnt != 4 {
		t.Fatalf("%v", res)
	}
	for _, req := range w.writes {
		if req.ReadTs == 0 || req.Kind != pb.WriteKind_DELETE {
			t.Errorf("a delete by filter carries the time of its read: %v", req)
		}
	}
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}); !reflect.DeepEqual(got, []int64{0, 3, 4, 5}) {
		t.Fatal(got)
	}
	for _, expr := range []string{"", "  ", "true"} {
		res, err = c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: "c", Expr: expr})
		wantStatus(t, res.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "delete plan can't be empty or always true : "+expr+": invalid parameter")
	}
}

func TestUpsert(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", 1, 2)
	res, err := w.client().Upsert(testContext(t), &milvuspb.UpsertRequest{CollectionName: "c", NumRows: 2, FieldsData: rowsOf(2, 3)})
	if ok(t, res, err); res.UpsertCnt != 2 {
		t.Fatalf("%v", res)
	}
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}); !reflect.DeepEqual(got, []int64{1, 2, 3}) {
		t.Fatal(got)
	}
	res, err = w.client().Upsert(testContext(t), &milvuspb.UpsertRequest{CollectionName: "c", NumRows: 2, FieldsData: rowsOf(2, 2)})
	wantStatus(t, res.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "duplicate primary keys are not allowed in the same batch: invalid parameter")
}

// TestUpsertStaysInItsPartition: it replaces its keys in the partition that it names, or the default one; with a partition
// key it replaces them wherever they are.
func TestUpsertStaysInItsPartition(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	makeCollection(t, w, "c", 2)
	st, err := c.CreatePartition(ctx, &milvuspb.CreatePartitionRequest{CollectionName: "c", PartitionName: "side"})
	done(t, st, err)
	insertRows(t, w, "c", 1, 2)
	for _, id := range []int64{1, 2} {
		res, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "c", PartitionName: "side", NumRows: 1, FieldsData: rowsOf(id)})
		ok(t, res, err)
	}
	ns := func(want ...string) {
		t.Helper()
		var got []string
		for _, p := range []string{"_default", "side"} {
			resp, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", PartitionNames: []string{p}, Expr: "id >= 0", OutputFields: []string{"id", "n"}})
			ok(t, resp, err)
			var rows []string
			for _, f := range resp.FieldsData {
				rows = append(rows, fmt.Sprint(f.GetScalars().GetLongData().GetData()))
			}
			got = append(got, strings.Join(rows, " "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("default and side hold %q, want %q", got, want)
		}
	}
	upsert := func(partition string, partial bool, id, n int64) {
		t.Helper()
		data := []*schemapb.FieldData{longs("id", nil, id), longs("n", nil, n)}
		if !partial {
			data = append(data, vectors("vec", 2, 5, 5))
		}
		res, err := c.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: "c", PartitionName: partition, PartialUpdate: partial, NumRows: 1, FieldsData: data})
		ok(t, res, err)
	}
	upsert("side", false, 1, 70)
	upsert("", false, 2, 80)
	upsert("side", true, 2, 90)
	ns("[1 80] [1 2]", "[70 90] [1 2]") // n, then id
}

func TestPartialUpsert(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", 1, 2)
	w.failNext("Write", errs.New(errs.WriteConflict, "x"))
	res, err := w.client().Upsert(testContext(t), &milvuspb.UpsertRequest{
		CollectionName: "c", NumRows: 1, PartialUpdate: true,
		FieldsData: []*schemapb.FieldData{longs("id", nil, 2), longs("n", nil, 77)},
	})
	ok(t, res, err)
	last := w.writes[len(w.writes)-1]
	if last.Kind != pb.WriteKind_UPSERT || last.ReadTs == 0 {
		t.Fatalf("%v", last)
	}
	b := mustBatch(t, last.Parts[0].Rows)
	if !reflect.DeepEqual(b.Column(101).Vectors, []float32{2, 0}) || b.Column(102).Ints[0] != 77 {
		t.Fatalf("vector %v, n %v", b.Column(101).Vectors, b.Column(102).Ints)
	}
	res, err = w.client().Upsert(testContext(t), &milvuspb.UpsertRequest{
		CollectionName: "c", NumRows: 1, PartialUpdate: true,
		FieldsData: []*schemapb.FieldData{longs("id", nil, 99), longs("n", nil, 77)},
	})
	wantStatus(t, res.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "fieldSchema(vec) has no corresponding fieldData pass in: invalid parameter")
}

func TestGeneratedKeys(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "a", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_VarChar, IsPrimaryKey: true, AutoID: true, TypeParams: kv("max_length", "32")},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "a", Schema: raw, ShardsNum: 4})
	done(t, st, err)
	res, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "a", NumRows: 3, FieldsData: []*schemapb.FieldData{vectors("vec", 2, 1, 1, 2, 2, 3, 3)}})
	ok(t, res, err)
	old := res.IDs.GetStrId().GetData()
	if len(old) != 3 || old[0] == old[1] {
		t.Fatalf("%v", res)
	}
	given := []*schemapb.FieldData{words("id", old...), vectors("vec", 2, 1, 1, 2, 2, 3, 3)}
	res, err = c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "a", NumRows: 3, FieldsData: given})
	wantStatus(t, res.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "can not assign primary field data when auto id enabled and allow_insert_auto_id is false id: invalid parameter")
	w.writes = nil
	res, err = c.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: "a", NumRows: 3, FieldsData: given})
	ok(t, res, err)
	for i, id := range res.IDs.GetStrId().GetData() {
		if id == old[i] || shardOfString(id, 4) != shardOfString(old[i], 4) {
			t.Errorf("row %d: the new key %s and the old one %s are not in one shard", i, id, old[i])
		}
	}
	for _, req := range w.writes {
		if req.Kind != pb.WriteKind_UPSERT || len(req.Keys) == 0 || len(req.Parts) != 1 {
			t.Errorf("%v", req)
		}
	}
}

func TestPartitionKeysSpreadRows(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	in := plainSchema()
	in.Fields = append(in.Fields, &schemapb.FieldSchema{Name: "tenant", DataType: schemapb.DataType_Int64, IsPartitionKey: true})
	raw, err := proto.Marshal(in)
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "k", Schema: raw, NumPartitions: 4})
	done(t, st, err)
	data := []*schemapb.FieldData{longs("id", nil, upTo(40)...), longs("tenant", nil, upTo(40)...), vectors("vec", 4, make([]float32, 160)...)}
	res, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "k", NumRows: 40, FieldsData: data})
	ok(t, res, err)
	if len(w.writes) != 1 || len(w.writes[0].Parts) != 4 {
		t.Fatalf("%d parts", len(w.writes[0].Parts))
	}
	st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "k", FieldName: "vec"})
	done(t, st, err)
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: "k"})
	done(t, st, err)
	w.scopes = nil
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "k", Expr: "tenant in [7, 9] and id >= 0"}); !reflect.DeepEqual(got, []int64{7, 9}) {
		t.Fatal(got)
	}
	if n := len(w.scopes[0].Partitions); n == 0 || n > 2 {
		t.Errorf("a filter on two values of the partition key reads %d partitions", n)
	}
	res, err = c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "k", PartitionName: "_default_0", NumRows: 40, FieldsData: data})
	wantStatus(t, res.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "not support manually specifying the partition names if partition key mode is used: invalid parameter")
}

func TestWithoutALeaseNothingIsWritten(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 1)
	w.proxy.leased.Store(false)
	res, err := w.client().Insert(testContext(t), &milvuspb.InsertRequest{CollectionName: "c", NumRows: 1, FieldsData: rowsOf(1)})
	wantStatus(t, res.GetStatus(), err, errs.NotReady, commonpb.ErrorCode_NotReadyServe, "")
	q, err := w.client().Query(testContext(t), &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0", ConsistencyLevel: commonpb.ConsistencyLevel_Strong})
	wantStatus(t, q.GetStatus(), err, errs.NotReady, commonpb.ErrorCode_NotReadyServe, "")
	q, err = w.client().Query(testContext(t), &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0", ConsistencyLevel: commonpb.ConsistencyLevel_Bounded})
	ok(t, q, err)
}
