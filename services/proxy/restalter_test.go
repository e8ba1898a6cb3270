package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRESTAlterationErrors(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "a", "dimension": 2}`)
	here := `{"collectionName": "a"}`
	for _, tc := range []struct {
		path, body string
		code       float64
	}{
		{"collections/alter_properties", here, 1100},
		{"collections/alter_properties", `{"collectionName": "nosuch", "properties": {"a": 1}}`, 100},
		{"collections/fields/add", here, 1802},
		{"collections/fields/alter_properties", here, 1802},
		{"indexes/alter_properties", here, 1802},
		{"partitions/load", here, 1802},
		{"partitions/get_stats", here, 1802},
		{"collections/get_compaction_state", `{"jobID": "x"}`, 1802},
	} {
		if code, _, message := post(t, w, tc.path, tc.body); code != tc.code || message == "" {
			t.Errorf("%s %s: %v %s, want %v", tc.path, tc.body, code, message, tc.code)
		}
	}
}

func TestRESTIntegersAsText(t *testing.T) {
	w := newWorld(t)
	postOK(t, w, "collections/create", `{"collectionName": "i", "dimension": 2, "metricType": "L2"}`)
	ask := func(header, path, body string) any {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+w.proxy.deps.Listener.Addr().String()+restBase+path, strings.NewReader(body))
		mustStatus(t, err)
		if header != "" {
			req.Header.Set("Accept-Type-Allow-Int64", header)
		}
		resp, err := http.DefaultClient.Do(req)
		mustStatus(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		mustStatus(t, err)
		var out map[string]any
		if err := json.Unmarshal(raw, &out); err != nil || out["code"] != 0.0 {
			t.Fatalf("%s: %s", path, raw)
		}
		return out["data"]
	}
	row := `{"collectionName": "i", "data": [{"id": 9007199254740993, "vector": [1, 0], "n": 5}]}`
	wantJSON(t, ask("false", "entities/insert", row), `{"insertCount": 1, "insertIds": ["9007199254740993"]}`)
	query := `{"collectionName": "i", "filter": "id > 0", "outputFields": ["id", "n"]}`
	wantJSON(t, ask("false", "entities/query", query), `[{"id": "9007199254740993", "n": 5}]`)
	search := `{"collectionName": "i", "data": [[1, 0]], "limit": 1}`
	wantJSON(t, ask("false", "entities/search", search), `[{"id": "9007199254740993", "distance": 0}]`)
	for _, header := range []string{"", "true"} {
		if id := ask(header, "entities/search", search).([]any)[0].(map[string]any)["id"]; id != float64(9007199254740993) {
			t.Errorf("with the header %q the id is %v", header, id)
		}
	}
}
