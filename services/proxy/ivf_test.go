package proxy

import (
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
)

// TestListIndexes: an IVF index is described as it was given, searches name the lists to look at within range, and types
// that are not built are refused.
func TestListIndexes(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "lists", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
		{Name: "n", DataType: schemapb.DataType_Int64, Nullable: true},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "lists", Schema: raw, ShardsNum: 1})
	done(t, st, err)
	create := func(pairs ...string) (*milvuspb.CreateIndexRequest, error) {
		req := &milvuspb.CreateIndexRequest{CollectionName: "lists", FieldName: "vec", ExtraParams: kv(pairs...)}
		st, err := c.CreateIndex(ctx, req)
		if err == nil && st.Code != 0 {
			return req, errs.New(errs.Code(st.Code), "%s", st.Reason)
		}
		return req, err
	}
	for kind, want := range map[string]errs.Code{
		"GPU_CAGRA": 1100, "AISAQ": 10, "DISKANN_RABITQ": 10, "NOSUCH": 1100,
	} {
		if _, err := create("index_type", kind, "metric_type", "L2", "params", `{"nlist": 8, "m": 1}`); errs.CodeOf(err) != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := create("index_type", "IVF_SQ8", "metric_type", "L2", "params", `{"nlist": 65537}`); errs.CodeOf(err) != 1100 {
		t.Fatal(err)
	}
	if _, err := create("index_type", "IVF_SQ8", "metric_type", "L2", "params", `{"nlist": 8}`); err != nil {
		t.Fatal(err)
	}
	st, err = c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: "lists"})
	done(t, st, err)
	insertRows(t, w, "lists", upTo(20)...)
	search := func(params string) *milvuspb.SearchResults {
		req := searchReq(t, kv("topk", "3", "params", params), []float32{7, 0})
		req.CollectionName = "lists"
		resp, err := c.Search(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for _, nprobe := range []string{"1", "65536"} {
		if resp := search(`{"nprobe": ` + nprobe + `}`); resp.Status.Code != 0 || resp.Results.Ids.GetIntId().Data[0] != 7 {
			t.Fatal(resp.Status)
		}
	}
	for _, nprobe := range []string{"0", "65537", "-1"} {
		resp := search(`{"nprobe": ` + nprobe + `}`)
		wantStatus(t, resp.GetStatus(), nil, 1100, resp.GetStatus().GetErrorCode(),
			"Out of range in json: param 'nprobe' ("+nprobe+") should be in range [1, 65536]: invalid parameter")
	}
}
