package proxy

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
)

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ok fails the test unless a call succeeded in the API's sense: code, enum and reason are all empty.
func ok[T interface{ GetStatus() *commonpb.Status }](t testing.TB, resp T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if st := resp.GetStatus(); st.Code != 0 || st.ErrorCode != 0 || st.Reason != "" {
		t.Fatalf("status %v", st)
	}
	return resp
}

func done(t testing.TB, st *commonpb.Status, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if st.Code != 0 || st.ErrorCode != 0 || st.Reason != "" {
		t.Fatalf("status %v", st)
	}
}

func wantStatus(t testing.TB, st *commonpb.Status, err error, code errs.Code, legacy commonpb.ErrorCode, text string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if st.Code != int32(code) || st.ErrorCode != legacy || text != "" && st.Reason != text {
		t.Fatalf("got %d/%s %q\nwant %d/%s %q", st.Code, st.ErrorCode, st.Reason, code, legacy, text)
	}
}

// makeCollection creates, indexes and loads a collection with fields id, vec (dim 2), n and the dynamic field.
func makeCollection(t testing.TB, w *world, name string, shards int32) {
	t.Helper()
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: name, EnableDynamicField: true, Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
		{Name: "n", DataType: schemapb.DataType_Int64, Nullable: true},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: name, Schema: raw, ShardsNum: shards, ConsistencyLevel: commonpb.ConsistencyLevel_Bounded})
	done(t, st, err)
	st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: name, FieldName: "vec", ExtraParams: kv("metric_type", "L2", "index_type", "AUTOINDEX")})
	done(t, st, err)
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: name})
	done(t, st, err)
}

// insertRows inserts rows with the given ids; row i has vector (id, 0) and n = id.
func insertRows(t testing.TB, w *world, name string, ids ...int64) *milvuspb.MutationResult {
	t.Helper()
	resp, err := w.client().Insert(testContext(t), &milvuspb.InsertRequest{CollectionName: name, NumRows: uint32(len(ids)), FieldsData: rowsOf(ids...)})
	return ok(t, resp, err)
}

func rowsOf(ids ...int64) []*schemapb.FieldData {
	var v []float32
	for _, id := range ids {
		v = append(v, float32(id), 0)
	}
	return []*schemapb.FieldData{longs("id", nil, ids...), vectors("vec", 2, v...), longs("n", nil, ids...)}
}

func placeholders(t testing.TB, vectors ...[]float32) *milvuspb.SearchRequest_PlaceholderGroup {
	t.Helper()
	p := &commonpb.PlaceholderValue{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector}
	for _, v := range vectors {
		p.Values = append(p.Values, vectorBytes(nil, v))
	}
	raw, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{p}})
	mustStatus(t, err)
	return &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: raw}
}

func TestConnectAndVersion(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	connected, err := c.Connect(ctx, &milvuspb.ConnectRequest{})
	if ok(t, connected, err); connected.Identifier == 0 || connected.ServerInfo.BuildTags == "" {
		t.Errorf("%v", connected)
	}
	v, err := c.GetVersion(ctx, &milvuspb.GetVersionRequest{})
	if ok(t, v, err); v.Version == "" {
		t.Error("no version")
	}
	lost := metadata.AppendToOutgoingContext(ctx, "dbname", "nosuch")
	connected, err = c.Connect(lost, &milvuspb.ConnectRequest{})
	wantStatus(t, connected.GetStatus(), err, errs.DatabaseNotFound, commonpb.ErrorCode_UnexpectedError, "database not found[database=nosuch]")
	health, err := healthpb.NewHealthClient(w.conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", health, err)
	}
	sick, err := c.CheckHealth(ctx, &milvuspb.CheckHealthRequest{})
	if ok(t, sick, err); !sick.IsHealthy {
		t.Errorf("%v", sick.Reasons)
	}
}

func TestDatabaseOfTheHeader(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	st, err := c.CreateDatabase(ctx, &milvuspb.CreateDatabaseRequest{DbName: "other"})
	done(t, st, err)
	raw, _ := proto.Marshal(plainSchema())
	inOther := metadata.AppendToOutgoingContext(ctx, "dbname", "other")
	st, err = c.CreateCollection(inOther, &milvuspb.CreateCollectionRequest{CollectionName: "c", Schema: raw})
	done(t, st, err)
	for _, tc := range []struct {
		ctx  context.Context
		db   string
		want int
	}{{ctx, "", 0}, {inOther, "", 1}, {ctx, "other", 1}, {inOther, "default", 0}} {
		resp, err := c.ShowCollections(tc.ctx, &milvuspb.ShowCollectionsRequest{DbName: tc.db})
		if ok(t, resp, err); len(resp.CollectionNames) != tc.want || len(resp.ShardsNum) != tc.want || len(resp.QueryServiceAvailable) != tc.want {
			t.Errorf("db %q: %v", tc.db, resp)
		}
	}
}

func TestNotFoundShapes(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	d, err := c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: "x"})
	wantStatus(t, d.GetStatus(), err, 100, commonpb.ErrorCode_UnexpectedError, "can't find collection[database=default][collection=x]")
	if d.Status.ExtraInfo["is_input_error"] != "true" || d.Status.Retriable {
		t.Errorf("%v", d.Status)
	}
	s, err := c.Search(ctx, &milvuspb.SearchRequest{CollectionName: "x"})
	wantStatus(t, s.GetStatus(), err, 100, commonpb.ErrorCode_CollectionNotExists, "collection not found[database=default][collection=x]")
	has, err := c.HasCollection(ctx, &milvuspb.HasCollectionRequest{CollectionName: "x"})
	if ok(t, has, err); has.Value {
		t.Error("it is not there")
	}
	state, err := c.GetLoadState(ctx, &milvuspb.GetLoadStateRequest{CollectionName: "x"})
	if ok(t, state, err); state.State != commonpb.LoadState_LoadStateNotExist {
		t.Error(state)
	}
	makeCollection(t, w, "c", 1)
	st, err := c.ReleaseCollection(ctx, &milvuspb.ReleaseCollectionRequest{CollectionName: "c"})
	done(t, st, err)
	q, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0"})
	wantStatus(t, q.GetStatus(), err, 101, commonpb.ErrorCode_UnexpectedError, "")
	p, err := c.GetLoadingProgress(ctx, &milvuspb.GetLoadingProgressRequest{CollectionName: "c"})
	wantStatus(t, p.GetStatus(), err, 101, commonpb.ErrorCode_UnexpectedError, "")
	i, err := c.DescribeIndex(ctx, &milvuspb.DescribeIndexRequest{CollectionName: "c", IndexName: "nosuch"})
	wantStatus(t, i.GetStatus(), err, 700, commonpb.ErrorCode_IndexNotExist, "index not found[indexName=nosuch]")
	ins, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "c", PartitionName: "p", NumRows: 1, FieldsData: rowsOf(1)})
	wantStatus(t, ins.GetStatus(), err, 200, commonpb.ErrorCode_MetaFailed, "partition not found[partition=p]")
	ins, err = c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "c", NumRows: 1, FieldsData: rowsOf(1), SchemaTimestamp: 5})
	wantStatus(t, ins.GetStatus(), err, 109, commonpb.ErrorCode_SchemaMismatch, "collection schema mismatch[collection=c]")
}

func TestWhatIsNotBuilt(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	role, err := c.SelectRole(ctx, &milvuspb.SelectRoleRequest{})
	wantStatus(t, role.GetStatus(), err, errs.Unimplemented, commonpb.ErrorCode_UnexpectedError, "SelectRole is not implemented")
	st, err := c.CreateRole(ctx, &milvuspb.CreateRoleRequest{})
	wantStatus(t, st, err, errs.Unimplemented, commonpb.ErrorCode_UnexpectedError, "CreateRole is not implemented")
	if _, err := c.AlterCollectionSchema(ctx, &milvuspb.AlterCollectionSchemaRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method of the 3.0 line: %v", err)
	}
	for method := range unaryMethods() {
		if m := emptyResponse(method); m == nil || m.ProtoReflect().Descriptor().Name() == "Status" && !returnsStatus(method) {
			t.Errorf("%s has no empty answer", method)
		}
	}
}

func unaryMethods() map[string]bool {
	out := map[string]bool{}
	for _, m := range milvuspb.MilvusService_ServiceDesc.Methods {
		out[m.MethodName] = true
	}
	return out
}

func returnsStatus(method string) bool {
	for i := range serviceMethods().Len() {
		if m := serviceMethods().Get(i); string(m.Name()) == method {
			return m.Output().Name() == "Status"
		}
	}
	return false
}

// rawCodec sends bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

func TestBytesThatAreNoProtobuf(t *testing.T) {
	w := newWorld(t)
	var out []byte
	err := w.conn.Invoke(testContext(t), milvuspb.MilvusService_Insert_FullMethodName, []byte{0xff, 0xff, 0xff}, &out, grpc.ForceCodecV2(rawCodec{}))
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("%v", err)
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	w := newWorld(t)
	c := &call{p: w.proxy, method: "Query", begun: time.Now()}
	resp, err := c.run(testContext(t), &milvuspb.QueryRequest{}, nil, func(context.Context, any) (any, error) { panic("oh") })
	wantStatus(t, resp.(*milvuspb.QueryResults).GetStatus(), err, errs.Unexpected, commonpb.ErrorCode_UnexpectedError, "panic in Query: oh")
}

func TestDescribe(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	makeCollection(t, w, "c", 2)
	st, err := c.CreateAlias(ctx, &milvuspb.CreateAliasRequest{CollectionName: "c", Alias: "a"})
	done(t, st, err)
	d, err := c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: "a"})
	ok(t, d, err)
	if len(d.Schema.Fields) != 3 || !d.Schema.EnableDynamicField || d.CollectionID == 0 || d.UpdateTimestamp == 0 || d.UpdateTimestampStr == "" ||
		d.CollectionName != "a" || len(d.Aliases) != 1 || d.ShardsNum != 2 || len(d.VirtualChannelNames) != 2 || d.ConsistencyLevel != commonpb.ConsistencyLevel_Bounded {
		t.Errorf("%v", d)
	}
	i, err := c.DescribeIndex(ctx, &milvuspb.DescribeIndexRequest{CollectionName: "c"})
	ok(t, i, err)
	if len(i.IndexDescriptions) != 1 || i.IndexDescriptions[0].State != commonpb.IndexState_Finished || i.IndexDescriptions[0].IndexName != "vec" ||
		kvMap(i.IndexDescriptions[0].Params)["index_type"] != "AUTOINDEX" {
		t.Errorf("%v", i.IndexDescriptions)
	}
	before := d.UpdateTimestamp
	insertRows(t, w, "c", 1, 2, 3)
	if d, err = c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: "c"}); d.GetUpdateTimestamp() != before {
		t.Errorf("the schema's time moved with the data: %v, %v", d, err)
	}
	raw, _ := proto.Marshal(&schemapb.FieldSchema{Name: "later", DataType: schemapb.DataType_Int64, Nullable: true})
	st, err = c.AddCollectionField(ctx, &milvuspb.AddCollectionFieldRequest{CollectionName: "c", Schema: raw})
	done(t, st, err)
	if d, err = c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: "c"}); d.GetUpdateTimestamp() <= before {
		t.Errorf("the schema's time did not move with the schema: %v, %v", d, err)
	}
	f, err := c.Flush(ctx, &milvuspb.FlushRequest{CollectionNames: []string{"a"}})
	ok(t, f, err)
	if f.CollSegIDs["a"] == nil || f.CollFlushTs["a"] == 0 || f.CollSealTimes["a"] == 0 {
		t.Errorf("%v", f)
	}
	stats, err := c.GetCollectionStatistics(ctx, &milvuspb.GetCollectionStatisticsRequest{CollectionName: "c"})
	if ok(t, stats, err); kvMap(stats.Stats)["row_count"] != "3" {
		t.Errorf("%v", stats)
	}
}

func TestStatusOfErrors(t *testing.T) {
	for _, tc := range []struct {
		err       error
		code      errs.Code
		legacy    commonpb.ErrorCode
		retriable bool
		input     bool
	}{
		{errs.Invalid("x"), 1100, commonpb.ErrorCode_IllegalArgument, false, true},
		{errs.New(errs.ViewStale, "x"), 106, commonpb.ErrorCode_UnexpectedError, true, false},
		{errs.New(errs.NotOwner, "x"), 2, commonpb.ErrorCode_UnexpectedError, true, false},
		{errs.New(errs.SnapshotTooOld, "x"), 1100, commonpb.ErrorCode_IllegalArgument, false, true},
		{errs.New(errs.CollectionNotFully, "x"), 103, commonpb.ErrorCode_UnexpectedError, true, false},
		{errs.New(errs.RateLimit, "x"), 8, commonpb.ErrorCode_RateLimit, true, false},
		{errs.New(errs.QuotaExceeded, "x"), 9, commonpb.ErrorCode_ForceDeny, false, false},
		{context.DeadlineExceeded, 10001, commonpb.ErrorCode_UnexpectedError, false, false},
		{errBroken, 65535, commonpb.ErrorCode_UnexpectedError, false, false},
	} {
		st := statusOf(tc.err)
		if st.Code != int32(tc.code) || st.ErrorCode != tc.legacy || st.Retriable != tc.retriable || (st.ExtraInfo["is_input_error"] == "true") != tc.input || st.Reason != tc.err.Error() {
			t.Errorf("%v: %v", tc.err, st)
		}
	}
	if round(float32(math.Pi), 2) != 3.14 || round(2.5, -1) != 2.5 {
		t.Error("rounding of scores")
	}
}
