package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// post calls the REST API and returns the answer's members.
func post(t *testing.T, w *world, path, body string) (code float64, data any, message string) {
	t.Helper()
	resp, err := http.Post("http://"+w.proxy.deps.Listener.Addr().String()+restBase+path, "application/json", strings.NewReader(body))
	mustStatus(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	mustStatus(t, err)
	var out struct {
		Code    float64 `json:"code"`
		Data    any     `json:"data"`
		Message string  `json:"message"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%s: %s", path, raw)
	}
	return out.Code, out.Data, out.Message
}

func postOK(t *testing.T, w *world, path, body string) any {
	t.Helper()
	code, data, message := post(t, w, path, body)
	if code != 0 {
		t.Fatalf("%s %s: %v %s", path, body, code, message)
	}
	return data
}

func wantJSON(t *testing.T, got any, want string) {
	t.Helper()
	var w any
	mustStatus(t, json.Unmarshal([]byte(want), &w))
	if !reflect.DeepEqual(got, w) {
		raw, _ := json.Marshal(got)
		t.Fatalf("got  %s\nwant %s", raw, want)
	}
}

func jsonRows(t *testing.T, rows ...string) []map[string]json.RawMessage {
	t.Helper()
	out := make([]map[string]json.RawMessage, len(rows))
	for i, row := range rows {
		mustStatus(t, json.Unmarshal([]byte(row), &out[i]))
	}
	return out
}

// throughJSON is a value as a client reads it.
func throughJSON(t *testing.T, v any) (out any) {
	t.Helper()
	raw, err := json.Marshal(v)
	mustStatus(t, err)
	mustStatus(t, json.Unmarshal(raw, &out))
	return out
}

func TestRESTQuickCollection(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "q", "dimension": 2, "metricType": "L2"}`)
	wantJSON(t, postOK(t, w, "collections/list", `{}`), `["q"]`)
	wantJSON(t, postOK(t, w, "collections/has", `{"collectionName": "q"}`), `{"has": true}`)
	got := postOK(t, w, "entities/insert", `{"collectionName": "q", "data": [{"id": 1, "vector": [1, 0], "color": "red"}, {"id": "2", "vector": [2, 0]}]}`)
	wantJSON(t, got, `{"insertCount": 2, "insertIds": [1, 2]}`)
	wantJSON(t, postOK(t, w, "entities/get", `{"collectionName": "q", "id": [2, 1], "outputFields": ["color"]}`), `[{"id": 1, "color": "red"}, {"id": 2}]`)
	wantJSON(t, postOK(t, w, "entities/get", `{"collectionName": "q", "id": "1"}`), `[{"id": 1, "color": "red", "vector": [1, 0]}]`)
	wantJSON(t, postOK(t, w, "entities/search", `{"collectionName": "q", "data": [[2, 0]], "limit": 2, "outputFields": ["color"]}`),
		`[{"id": 2, "distance": 0}, {"id": 1, "distance": 1, "color": "red"}]`)
	wantJSON(t, postOK(t, w, "entities/query", `{"collectionName": "q", "filter": "id in {some}", "exprParams": {"some": [2]}, "outputFields": ["id"]}`), `[{"id": 2}]`)
	wantJSON(t, postOK(t, w, "entities/query", `{"collectionName": "q", "outputFields": ["count(*)"]}`), `[{"count(*)": 2}]`)
	postOK(t, w, "entities/delete", `{"collectionName": "q", "filter": "id == 1"}`)
	wantJSON(t, postOK(t, w, "entities/query", `{"collectionName": "q", "filter": "id > 0", "outputFields": ["id"], "consistencyLevel": "Strong"}`), `[{"id": 2}]`)
	postOK(t, w, "entities/upsert", `{"collectionName": "q", "data": {"id": 2, "vector": [5, 0], "color": null}}`)
	wantJSON(t, postOK(t, w, "entities/hybrid_search", `{"collectionName": "q", "limit": 1, "search": [{"data": [[5, 0]], "annsField": "vector", "limit": 1}], "rerank": {"strategy": "rrf", "params": {"k": 1}}}`), `[{"id": 2, "distance": 0.5}]`)
	wantJSON(t, postOK(t, w, "collections/get_load_state", `{"collectionName": "q"}`), `{"loadState": "LoadStateLoaded", "loadProgress": 100}`)
	d := postOK(t, w, "collections/describe", `{"collectionName": "q"}`).(map[string]any)
	if d["enableDynamicField"] != true || len(d["fields"].([]any)) != 2 || d["load"] != "LoadStateLoaded" {
		t.Fatalf("%v", d)
	}
	postOK(t, w, "collections/truncate", `{"collectionName": "q"}`)
	postOK(t, w, "collections/drop", `{"collectionName": "q"}`)
	wantJSON(t, postOK(t, w, "collections/list", ``), `[]`)
}

func TestRESTSchemaCollection(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "s", "schema": {"autoId": false, "fields": [
		{"fieldName": "key", "dataType": "VarChar", "isPrimary": true, "elementTypeParams": {"max_length": "16"}},
		{"fieldName": "vec", "dataType": "FloatVector", "elementTypeParams": {"dim": 2}},
		{"fieldName": "n", "dataType": "Int8", "nullable": true, "defaultValue": 7},
		{"fieldName": "tags", "dataType": "Array", "elementDataType": "Int64", "elementTypeParams": {"max_capacity": 4}}]},
		"indexParams": [{"fieldName": "vec", "metricType": "COSINE", "params": {"index_type": "HNSW", "M": 8}}]}`)
	postOK(t, w, "entities/insert", `{"collectionName": "s", "data": [{"key": "a", "vec": [1, 0], "tags": [1, "2"], "n": 3}, {"key": "b", "vec": [0, 1], "tags": []}]}`)
	wantJSON(t, postOK(t, w, "entities/query", `{"collectionName": "s", "filter": "key != \"\"", "outputFields": ["n", "tags"]}`),
		`[{"key": "a", "n": 3, "tags": [1, 2]}, {"key": "b", "n": 7, "tags": []}]`)
	wantJSON(t, postOK(t, w, "indexes/list", `{"collectionName": "s"}`), `["vec"]`)
	wantJSON(t, postOK(t, w, "partitions/list", `{"collectionName": "s"}`), `["_default"]`)
	postOK(t, w, "aliases/create", `{"collectionName": "s", "aliasName": "other"}`)
	wantJSON(t, postOK(t, w, "aliases/describe", `{"aliasName": "other"}`), `{"dbName": "default", "aliasName": "other", "collectionName": "s"}`)
}

func TestRESTErrors(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "q", "dimension": 2}`)
	for _, tc := range []struct {
		path, body string
		code       float64
	}{
		{"collections/describe", `{`, 1801},
		{"collections/describe", `{}`, 1802},
		{"collections/describe", `{"collectionName": "nosuch"}`, 100},
		{"collections/list", `{"dbName": "nosuch"}`, 800},
		{"entities/insert", `{"collectionName": "q", "data": [{"id": 1, "vector": [1]}]}`, 1804},
		{"entities/insert", `{"collectionName": "q", "data": [{"id": "x", "vector": [1, 2]}]}`, 1804},
		{"entities/insert", `{"collectionName": "q", "data": []}`, 1802},
		{"entities/search", `{"collectionName": "q", "data": [[1, 2, 3]]}`, 1100},
		{"entities/get", `{"collectionName": "q", "id": ["1] or id > 0 or id in [2"]}`, 1100},
		{"entities/query", `{"collectionName": "q", "filter": "nosuch["}`, 1100},
	} {
		if code, _, message := post(t, w, tc.path, tc.body); code != tc.code || message == "" {
			t.Errorf("%s %s: %v %s, want %v", tc.path, tc.body, code, message, tc.code)
		}
	}
	resp, err := http.Get("http://" + w.proxy.deps.Listener.Addr().String() + restBase + "collections/list")
	mustStatus(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Error(resp.Status)
	}
}
