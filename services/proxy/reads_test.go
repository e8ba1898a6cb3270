package proxy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
)

func queryIDs(t testing.TB, w *world, req *milvuspb.QueryRequest) []int64 {
	t.Helper()
	resp, err := w.client().Query(testContext(t), req)
	ok(t, resp, err)
	for _, d := range resp.FieldsData {
		if d.FieldName == "id" {
			return d.GetScalars().GetLongData().GetData()
		}
	}
	t.Fatalf("no key column in %v", resp.FieldsData)
	return nil
}

func upTo(n int64) []int64 {
	var out []int64
	for i := range n {
		out = append(out, i)
	}
	return out
}

func TestQuery(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 3)
	insertRows(t, w, "c", upTo(30)...)
	all := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}
	if got := queryIDs(t, w, all); !reflect.DeepEqual(got, upTo(30)) {
		t.Fatalf("%v", got)
	}
	page := &milvuspb.QueryRequest{CollectionName: "c", QueryParams: kv("limit", "4", "offset", "10")}
	if got := queryIDs(t, w, page); !reflect.DeepEqual(got, []int64{10, 11, 12, 13}) {
		t.Fatalf("%v", got)
	}
	none := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 100", OutputFields: []string{"*"}}
	resp, err := w.client().Query(testContext(t), none)
	if ok(t, resp, err); len(resp.FieldsData) != 4 || resp.PrimaryFieldName != "id" || resp.SessionTs == 0 {
		t.Fatalf("an empty result has a typed column per field: %v", resp)
	}
	count := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id < 7", OutputFields: []string{"count(*)"}}
	resp, err = w.client().Query(testContext(t), count)
	if ok(t, resp, err); resp.FieldsData[0].FieldName != "count(*)" || resp.FieldsData[0].GetScalars().GetLongData().Data[0] != 7 {
		t.Fatalf("%v", resp)
	}
	for _, tc := range []struct {
		req  *milvuspb.QueryRequest
		text string
	}{
		{&milvuspb.QueryRequest{}, "empty expression should be used with limit: invalid parameter"},
		{&milvuspb.QueryRequest{QueryParams: kv("limit", "16385")}, "invalid max query result window, (offset+limit) should be in range [1, 16384], but got 16385: invalid parameter"},
		{&milvuspb.QueryRequest{QueryParams: kv("limit", "1"), OutputFields: []string{"count(*)"}}, "count entities with pagination is not allowed: invalid parameter"},
		{&milvuspb.QueryRequest{Expr: "id > 0", QueryParams: kv("iterator", "True", "collection_id", "7")}, ""},
	} {
		tc.req.CollectionName = "c"
		resp, err := w.client().Query(testContext(t), tc.req)
		wantStatus(t, resp.GetStatus(), err, errs.InvalidParameter, commonpb.ErrorCode_IllegalArgument, tc.text)
	}
}

// TestKeyQueriesAskOnlyTheirShards: a filter on keys reads only the shards that can hold them.
func TestKeyQueriesAskOnlyTheirShards(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 4)
	insertRows(t, w, "c", upTo(20)...)
	w.scopes = nil
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id in [5] and n >= 0"}); !reflect.DeepEqual(got, []int64{5}) {
		t.Fatal(got)
	}
	if len(w.scopes) != 1 || len(w.scopes[0].Views) != 1 || int(w.scopes[0].Views[0].Shard) != shardOfInt(5, 4) {
		t.Fatalf("%v", w.scopes)
	}
}

func searchReq(t testing.TB, params []*commonpb.KeyValuePair, v ...[]float32) *milvuspb.SearchRequest {
	return &milvuspb.SearchRequest{CollectionName: "c", SearchInput: placeholders(t, v...), SearchParams: params, OutputFields: []string{"n"}}
}

func TestSearch(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(50)...)
	resp, err := w.client().Search(testContext(t), searchReq(t, kv("topk", "3", "params", `{"topk": 3, "ef": 64}`), []float32{10, 0}, []float32{49, 0}))
	ok(t, resp, err)
	r := resp.Results
	if r.NumQueries != 2 || !reflect.DeepEqual(r.Topks, []int64{3, 3}) || r.PrimaryFieldName != "id" || !reflect.DeepEqual(r.OutputFields, []string{"n"}) {
		t.Fatalf("%v", r)
	}
	if got := r.Ids.GetIntId().Data; !reflect.DeepEqual(got, []int64{10, 9, 11, 49, 48, 47}) {
		t.Fatalf("ids %v", got)
	}
	if !reflect.DeepEqual(r.Scores, []float32{0, 1, 1, 0, 1, 4}) {
		t.Fatalf("scores %v", r.Scores)
	}
	if got := r.FieldsData[0].GetScalars().GetLongData().Data; len(r.FieldsData) != 1 || !reflect.DeepEqual(got, r.Ids.GetIntId().Data) {
		t.Fatalf("fields %v", r.FieldsData)
	}
	resp, err = w.client().Search(testContext(t), searchReq(t, kv("topk", "3", "offset", "2"), []float32{0, 0}))
	if ok(t, resp, err); !reflect.DeepEqual(resp.Results.Ids.GetIntId().Data, []int64{2, 3, 4}) {
		t.Fatalf("%v", resp.Results.Ids)
	}
	empty := searchReq(t, kv("topk", "3"), []float32{0, 0}, []float32{1, 1})
	empty.Dsl = "id > 1000"
	resp, err = w.client().Search(testContext(t), empty)
	if ok(t, resp, err); !reflect.DeepEqual(resp.Results.Topks, []int64{0, 0}) || resp.Results.Ids.GetIdField() == nil || resp.Results.NumQueries != 2 {
		t.Fatalf("an empty answer: %v", resp.Results)
	}
	byID := &milvuspb.SearchRequest{CollectionName: "c", SearchParams: kv("topk", "2"), SearchInput: &milvuspb.SearchRequest_Ids{
		Ids: &schemapb.IDs{IdField: &schemapb.IDs_IntId{IntId: &schemapb.LongArray{Data: []int64{30, 5}}}},
	}}
	resp, err = w.client().Search(testContext(t), byID)
	if ok(t, resp, err); !reflect.DeepEqual(resp.Results.Ids.GetIntId().Data, []int64{30, 29, 5, 4}) {
		t.Fatalf("search by keys: %v", resp.Results.Ids)
	}
}

func TestSearchChecks(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 1)
	v := []float32{1, 2}
	for _, tc := range []struct {
		req  *milvuspb.SearchRequest
		code errs.Code
		text string
	}{
		{searchReq(t, kv("topk", "0"), v), 1100, "topk [0] is invalid, it should be in range [1, 16384], but got 0: invalid parameter"},
		{searchReq(t, kv("topk", "16000", "offset", "385"), v), 1100, "offset+topk [16385] is invalid, it should be in range [1, 16384], but got 16385: invalid parameter"},
		{searchReq(t, kv("topk", "3", "metric_type", "COSINE"), v), 1100, "metric type not match: invalid parameter[expected=L2][actual=COSINE]: invalid parameter"},
		{searchReq(t, kv("topk", "3", "anns_field", "n"), v), 1100, "failed to create query plan: field (n) to search is not of vector data type: invalid parameter"},
		{searchReq(t, kv("topk", "3"), []float32{1, 2, 3}), 1100, "vector dimension mismatch, expected vector size(byte) 8, actual 12.: invalid parameter"},
		{searchReq(t, kv("topk", "9", "params", `{"ef": 4}`), v), 1100, "ef(4) should be larger than k(9): invalid parameter"},
		{searchReq(t, kv("topk", "3", "round_decimal", "9"), v), 1100, "round_decimal [9] is invalid, it should be -1 or an integer in range [0, 6]: invalid parameter"},
		{searchReq(t, kv("topk", "3", "group_by_field", "n,tag"), v), 10, "grouping by several fields is not supported"},
		{searchReq(t, kv("topk", "3", "params", `{"radius": 1, "range_filter": 2}`), v), 1100, "metric type L2, range_filter(2) must be less than radius(1): invalid parameter"},
	} {
		resp, err := w.client().Search(testContext(t), tc.req)
		if wantStatus(t, resp.GetStatus(), err, tc.code, resp.GetStatus().GetErrorCode(), tc.text); resp.Status.Retriable {
			t.Errorf("%s is retriable", tc.text)
		}
	}
}

func TestSearchIteratorReturnsEachRowOnce(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	var ids []int64 // many rows with equal distances
	for i := range int64(40) {
		ids = append(ids, i-20)
	}
	insertRows(t, w, "c", ids...)
	params := kv("iterator", "True", "search_iter_v2", "True", "search_iter_batch_size", "7", "topk", "7")
	seen := map[int64]bool{}
	var ts uint64
	last, token := "", ""
	for range 20 {
		req := searchReq(t, params, []float32{0, 0})
		req.GuaranteeTimestamp = ts
		if token != "" {
			req.SearchParams = append(slices.Clone(params), kv("search_iter_last_bound", last, "search_iter_id", token)...)
		}
		resp, err := w.client().Search(testContext(t), req)
		ok(t, resp, err)
		page := resp.Results.Ids.GetIntId().Data
		it := resp.Results.SearchIteratorV2Results
		if it == nil || it.Token == "" || resp.SessionTs == 0 {
			t.Fatalf("no iterator in %v", resp)
		}
		if ts == 0 {
			ts = resp.SessionTs
			insertRows(t, w, "c", 1000) // not part of what the iterator shows
		}
		token, last = it.Token, fmt.Sprint(it.LastBound)
		for _, id := range page {
			if seen[id] {
				t.Fatalf("%d twice", id)
			}
			seen[id] = true
		}
		if len(page) == 0 {
			break
		}
	}
	if len(seen) != 40 || seen[1000] {
		t.Fatalf("%d rows of 40", len(seen))
	}
}

func TestIteratorPagesArePinned(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(10)...)
	params := kv("iterator", "True", "limit", "100", "reduce_stop_for_best", "True")
	first, err := w.client().Query(testContext(t), &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0", QueryParams: params, UseDefaultConsistency: true})
	ok(t, first, err)
	insertRows(t, w, "c", 50)
	del, err := w.client().Delete(testContext(t), &milvuspb.DeleteRequest{CollectionName: "c", Expr: "id in [3]"})
	ok(t, del, err)
	page := &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0", QueryParams: params, GuaranteeTimestamp: first.SessionTs}
	if got := queryIDs(t, w, page); !reflect.DeepEqual(got, upTo(10)) {
		t.Fatalf("%v", got)
	}
}

// TestReadsRunAgainAsAWhole: whatever one node says against it, the answer is complete and at the first snapshot.
func TestReadsRunAgainAsAWhole(t *testing.T) {
	for _, method := range []string{"Query", "Search", "Fetch", "Barrier"} {
		for _, code := range []errs.Code{errs.ViewStale, errs.Unavailable, errs.TooManyRequests} {
			t.Run(fmt.Sprint(method, code), func(t *testing.T) {
				w := newWorld(t)
				makeCollection(t, w, "c", 4)
				insertRows(t, w, "c", upTo(20)...)
				w.scopes = nil
				w.failNext(method, errs.New(code, "x"), errs.New(code, "x"))
				resp, err := w.client().Search(testContext(t), searchReq(t, kv("topk", "20"), []float32{0, 0}))
				if ok(t, resp, err); !reflect.DeepEqual(resp.Results.Ids.GetIntId().Data, upTo(20)) {
					t.Fatalf("%v", resp.Results.Ids)
				}
				if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}); len(got) != 20 {
					t.Fatalf("%v", got)
				}
			})
		}
	}
}

func TestReadsFollowANewView(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(10)...)
	c := w.cache.Collection("default", "c")
	w.publish(c.ID, 0, 2)
	w.publish(c.ID, 1, 7)
	if got := queryIDs(t, w, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"}); len(got) != 10 {
		t.Fatal(got)
	}
}

func TestADeadNodeIsNotAsked(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(10)...)
	w.put(catalog.NodeKey(catalog.RoleQueryNode, 20), catalog.Node{ID: 20, Role: catalog.RoleQueryNode, Addr: "gone"})
	ctx := testContext(t)
	done := make(chan *milvuspb.QueryResults, 1)
	go func() {
		resp, _ := w.client().Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"})
		done <- resp
	}()
	w.put(catalog.NodeKey(catalog.RoleQueryNode, 20), catalog.Node{ID: 20, Role: catalog.RoleQueryNode, Addr: "querynode"})
	if resp := ok(t, <-done, nil); len(resp.FieldsData) == 0 {
		t.Fatal(resp)
	}
}

func TestNothingToServe(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 1)
	var all []error
	for range 1000 {
		all = append(all, errs.New(errs.ViewStale, "x"))
	}
	w.failNext("Query", all...)
	w.proxy.cfg.RequestTimeout /= 5
	resp, err := w.client().Query(contextWithoutDeadline(t), &milvuspb.QueryRequest{CollectionName: "c", Expr: "id >= 0"})
	wantStatus(t, resp.GetStatus(), err, 106, commonpb.ErrorCode_UnexpectedError, "")
	if !resp.Status.Retriable || len(resp.FieldsData) != 0 {
		t.Errorf("%v", resp)
	}
}

func TestHybridSearch(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 2)
	insertRows(t, w, "c", upTo(20)...)
	req := &milvuspb.HybridSearchRequest{
		CollectionName: "c", OutputFields: []string{"id", "n"}, RankParams: kv("strategy", "rrf", "params", `{"k": 10}`, "limit", "3"),
		Requests: []*milvuspb.SearchRequest{searchReq(t, kv("topk", "5"), []float32{3, 0}), searchReq(t, kv("topk", "5"), []float32{4, 0})},
	}
	resp, err := w.client().HybridSearch(testContext(t), req)
	ok(t, resp, err)
	if got := resp.Results.Ids.GetIntId().Data; len(got) != 3 || got[0] != 3 || got[1] != 4 || len(resp.Results.FieldsData) != 2 {
		t.Fatalf("%v", resp.Results)
	}
	req.Requests[1].SearchInput = placeholders(t, []float32{1, 1}, []float32{2, 2})
	resp, err = w.client().HybridSearch(testContext(t), req)
	wantStatus(t, resp.GetStatus(), err, 1100, commonpb.ErrorCode_IllegalArgument, "sub search request nq should be the same: invalid parameter")
}
