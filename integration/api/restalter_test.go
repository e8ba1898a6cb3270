package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// restCall posts to the REST API and returns the answer's code and data.
func restCall(ctx context.Context, t *testing.T, path, body string) (code float64, data any) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+server.Addr+"/v2/vectordb/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Code    float64 `json:"code"`
		Message string  `json:"message"`
		Data    any     `json:"data"`
	}
	d := json.NewDecoder(resp.Body)
	d.UseNumber() // ids have 64 bits
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if out.Code != 0 {
		t.Logf("%s: %s", path, out.Message)
	}
	return out.Code, out.Data
}

func restOK(ctx context.Context, t *testing.T, path, body string) any {
	t.Helper()
	code, data := restCall(ctx, t, path, body)
	if code != 0 {
		t.Fatalf("%s %s: %v", path, body, code)
	}
	return data
}

func asJSON(v any) string {
	raw, _ := json.Marshal(v)
	return string(raw)
}

// restProperty is the value of a property in an answer that has a list of them.
func restProperty(answer any, key string) any {
	list, _ := answer.(map[string]any)["properties"].([]any)
	for _, p := range list {
		if kv := p.(map[string]any); kv["key"] == key {
			return kv["value"]
		}
	}
	return nil
}

// TestRESTAlterations: what the REST API changes is what it describes afterwards.
func TestRESTAlterations(t *testing.T) {
	_, ctx := start(t)
	restOK(ctx, t, "collections/create", `{"collectionName": "a", "schema": {"fields": [
		{"fieldName": "id", "dataType": "Int64", "isPrimary": true},
		{"fieldName": "name", "dataType": "VarChar", "elementTypeParams": {"max_length": 8}},
		{"fieldName": "vec", "dataType": "FloatVector", "elementTypeParams": {"dim": 2}}]},
		"indexParams": [{"fieldName": "vec", "indexName": "vec", "metricType": "L2", "indexType": "HNSW"}], "properties": {"mine": 3}}`)
	here := `{"collectionName": "a"}`
	property := func(key string) any { return restProperty(restOK(ctx, t, "collections/describe", here), key) }
	if v := property("mine"); v != "3" {
		t.Errorf("property of the creation: %v", v)
	}
	restOK(ctx, t, "collections/alter_properties", `{"collectionName": "a", "properties": {"collection.ttl.seconds": 3600}}`)
	if v := property("collection.ttl.seconds"); v != "3600" {
		t.Errorf("set property: %v", v)
	}
	restOK(ctx, t, "collections/drop_properties", `{"collectionName": "a", "propertyKeys": ["collection.ttl.seconds", "mine"]}`)
	if a, b := property("collection.ttl.seconds"), property("mine"); a != nil || b != nil {
		t.Errorf("dropped properties: %v, %v", a, b)
	}
	restOK(ctx, t, "collections/fields/alter_properties", `{"collectionName": "a", "fieldName": "name", "fieldParams": {"max_length": 32}}`)
	restOK(ctx, t, "collections/fields/add", `{"collectionName": "a", "schema": {"fieldName": "extra", "dataType": "Int32", "nullable": true}}`)
	fields := restOK(ctx, t, "collections/describe", here).(map[string]any)["fields"].([]any)
	if got := asJSON(fields[1].(map[string]any)["params"]); got != `[{"key":"max_length","value":"32"}]` {
		t.Errorf("altered field: %s", got)
	}
	if len(fields) != 4 || fields[3].(map[string]any)["name"] != "extra" {
		t.Errorf("fields: %v", fields)
	}
	restOK(ctx, t, "databases/create", `{"dbName": "d"}`)
	restOK(ctx, t, "databases/alter", `{"dbName": "d", "properties": {"database.max.collections": 7}}`)
	describe := func() any { return restOK(ctx, t, "databases/describe", `{"dbName": "d"}`) }
	if v := restProperty(describe(), "database.max.collections"); v != "7" {
		t.Errorf("property of the database: %v", v)
	}
	restOK(ctx, t, "databases/drop_properties", `{"dbName": "d", "propertyKeys": ["database.max.collections"]}`)
	if v := restProperty(describe(), "database.max.collections"); v != nil {
		t.Errorf("dropped property of the database: %v", v)
	}
	for _, tc := range []struct {
		path, body string
		code       float64
	}{
		{"indexes/alter_properties", `{"collectionName": "a", "indexName": "nosuch", "properties": {"mmap.enabled": true}}`, 700},
		{"partitions/release", `{"collectionName": "a", "partitionNames": ["nosuch"]}`, 200},
		{"collections/fields/add", `{"collectionName": "a", "schema": {"fieldName": "must", "dataType": "Int32"}}`, 1100},
	} {
		if code, _ := restCall(ctx, t, tc.path, tc.body); code != tc.code {
			t.Errorf("%s: %v, want %v", tc.path, code, tc.code)
		}
	}
}

// TestRESTPartitionsAndCompaction loads one partition of two, counts, and compacts.
func TestRESTPartitionsAndCompaction(t *testing.T) {
	_, ctx := start(t)
	restOK(ctx, t, "collections/create", `{"collectionName": "p", "dimension": 2}`)
	restOK(ctx, t, "collections/release", `{"collectionName": "p"}`)
	restOK(ctx, t, "partitions/create", `{"collectionName": "p", "partitionName": "x"}`)
	restOK(ctx, t, "entities/insert", `{"collectionName": "p", "partitionName": "x", "data": [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 1]}]}`)
	for partition, want := range map[string]string{"x": `{"rowCount":2}`, "_default": `{"rowCount":0}`} {
		if got := asJSON(restOK(ctx, t, "partitions/get_stats", `{"collectionName": "p", "partitionName": "`+partition+`"}`)); got != want {
			t.Errorf("rows of %s: %s, want %s", partition, got, want)
		}
	}
	state := func(partition string) any {
		return restOK(ctx, t, "collections/get_load_state", `{"collectionName": "p", "partitionNames": ["`+partition+`"]}`).(map[string]any)["loadState"]
	}
	restOK(ctx, t, "partitions/load", `{"collectionName": "p", "partitionNames": ["x"]}`)
	for end := time.Now().Add(20 * time.Second); state("x") != "LoadStateLoaded" && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if a, b := state("x"), state("_default"); a != "LoadStateLoaded" || b != "LoadStateNotLoad" {
		t.Errorf("one partition loaded: %v, the other %v", a, b)
	}
	restOK(ctx, t, "partitions/release", `{"collectionName": "p", "partitionNames": ["x"]}`)
	if a := state("x"); a != "LoadStateNotLoad" {
		t.Errorf("released: %v", a)
	}
	restOK(ctx, t, "collections/flush", `{"collectionName": "p"}`)
	id := restOK(ctx, t, "collections/compact", `{"collectionName": "p"}`).(map[string]any)["compactionID"]
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := restOK(ctx, t, "collections/get_compaction_state", `{"jobID": `+asJSON(id)+`}`).(map[string]any)
		if got["state"] == "Completed" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("compaction: %v", got)
		}
	}
}
