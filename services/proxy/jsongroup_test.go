package proxy

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestJSONKeysOfGroups(t *testing.T) {
	key := func(doc string, path ...string) groupKey { return jsonKey([]byte(doc), path) }
	same := [][2]groupKey{
		{key(`{"a": 1}`, "a"), key(`{"a":1.0}`, "a")},
		{key(`{"a": 1e2}`, "a"), key(`{"a": 100}`, "a")},
		{key(`{"a": "x"}`, "a"), key(`{"a":"\u0078"}`, "a")},
		{key(`{"a": [1, 2]}`, "a"), key(`{"a":[1,2]}`, "a")},
		{key(`{"a": [1, 2]}`, "a", "1"), key(`{"b": 2}`, "b")},
		{key(`{"a": {"b": true}}`, "a", "b"), key(`true`)},
		{key(`{"a": null}`, "a"), key(`{}`, "a")},
		{key(`{}`, "a"), {null: true}},
		{key(`[1]`, "7"), {null: true}},
		{key(``, "a"), {null: true}},
	}
	for i, pair := range same {
		if pair[0] != pair[1] {
			t.Errorf("%d: %v and %v differ", i, pair[0], pair[1])
		}
	}
	seen := map[groupKey]string{}
	for _, doc := range []string{`1`, `"1"`, `"n1"`, `true`, `"true"`, `1.5`, `[1]`, `{"a":1}`, `null`, `9007199254740993`, `9007199254740992`} {
		k := key(doc)
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s are one group", doc, other)
		}
		seen[k] = doc
	}
}

func TestGroupedFields(t *testing.T) {
	c := &catalog.Collection{Schema: schema.Schema{Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "doc", Type: schema.JSON},
		{ID: 102, Name: "price", Type: schema.Float},
		{ID: 103, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true},
	}}}
	for _, tc := range []struct {
		name  string
		field int64
		path  []string
	}{
		{"id", 100, nil},
		{"doc", 101, nil},
		{`doc["a"][0]`, 101, []string{"a", "0"}},
		{"color", 103, []string{"color"}},
		{"color['x']", 103, []string{"color", "x"}},
	} {
		f, path, err := groupedField(c, tc.name)
		if err != nil || f.ID != tc.field || len(path) != len(tc.path) {
			t.Errorf("%s: %v %v %v", tc.name, f, path, err)
		}
	}
	for _, name := range []string{`price["a"]`, "doc[", "a b"} {
		if _, _, err := groupedField(c, name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
