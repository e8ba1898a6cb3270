package coordinator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 256)
	for name, ok := range map[string]bool{
		"a": true, "_a1": true, "A_b_9": true, long[:255]: true,
		"": false, " a": false, "a ": false, "1a": false, "a-b": false, "a/b": false, "ä": false, "aä": false, "a\x00": false, long: false,
	} {
		err := checkName("collection", name)
		if (err == nil) != ok || err != nil && !errs.Is(err, errs.InvalidParameter) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{"a": true, "1-a": true, "_default": true, long[:255]: true, "": false, "a b": false, "a/b": false, "é": false, long: false} {
		if err := checkPartitionName(name); (err == nil) != ok {
			t.Errorf("partition %q: %v", name, err)
		}
	}
}

func TestSchemaLimits(t *testing.T) {
	limits := DefaultConfig().Limits
	with := func(n int, f schema.Field) *schema.Schema {
		s := vectorSchema()
		for i := range n {
			f.ID, f.Name = int64(200+i), fmt.Sprint("f", i)
			s.Fields = append(s.Fields, f)
		}
		return &s
	}
	vector, number := schema.Field{Type: schema.FloatVector, Dim: 4}, schema.Field{Type: schema.Int64}
	full := with(62, number)
	full.Fields = append(full.Fields, schema.Field{Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true})
	twice := with(0, number)
	twice.Fields = append(twice.Fields, schema.Field{Name: "id", Type: schema.Int64})
	for text, s := range map[string]*schema.Schema{
		"": full, "should be limited to 64": with(63, number), "vector field's number should be limited to 10": with(10, vector),
		"does not contain vector field": {Fields: []schema.Field{{Name: "id", PrimaryKey: true}}},
		"primary key is not specified":  {Fields: []schema.Field{{Name: "v", Type: schema.FloatVector}}},
		"duplicated field name id":      twice,
	} {
		err := checkSchema(s, limits)
		if (err == nil) != (text == "") || err != nil && !contains(err.Error(), text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
}

func TestPlaceShards(t *testing.T) {
	for _, c := range []struct {
		counts []int
		n      int
		want   string
	}{
		{[]int{0}, 3, "[0 0 0]"}, {[]int{0, 0, 0}, 4, "[0 1 2 0]"}, {[]int{5, 1, 3}, 4, "[1 1 1 2]"},
	} {
		if got := fmt.Sprint(placeShards(c.counts, c.n)); got != c.want {
			t.Errorf("%d shards over %v: %s, want %s", c.n, c.counts, got, c.want)
		}
	}
}

func TestSetKVs(t *testing.T) {
	kvs := []schema.KV{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "c", Value: "3"}}
	got := setKVs(kvs, map[string]string{"b": "9", "z": "8", "y": "7"}, []string{"a"})
	if fmt.Sprint(got) != "[{b 9} {c 3} {y 7} {z 8}]" || kvs[1].Value != "2" {
		t.Errorf("got %v from %v", got, kvs)
	}
}

func TestSameDefinition(t *testing.T) {
	base := func() *catalog.Collection {
		return &catalog.Collection{
			Name: "a", Description: "d", Consistency: 2, ShardLogs: []int{0, 1}, Schema: vectorSchema(),
			Properties: map[string]string{"p": "1"},
		}
	}
	one := base()
	one.ShardLogs = []int{1, 0} // where shards lie is no part of the definition
	if !sameDefinition(base(), one) {
		t.Error("equal definitions differ")
	}
	for what, change := range map[string]func(*catalog.Collection){
		"description": func(c *catalog.Collection) { c.Description = "" }, "consistency": func(c *catalog.Collection) { c.Consistency = 0 },
		"shards": func(c *catalog.Collection) { c.ShardLogs = []int{0} }, "properties": func(c *catalog.Collection) { c.Properties = nil },
		"dim": func(c *catalog.Collection) { c.Schema.Fields[1].Dim = 8 }, "fields": func(c *catalog.Collection) { c.Schema.Fields = c.Schema.Fields[:1] },
		"default": func(c *catalog.Collection) {
			c.Schema.Fields[0].Default = &schema.Column{N: 1, Type: schema.Int64, Ints: []int64{1}}
		},
	} {
		other := base()
		change(other)
		if sameDefinition(base(), other) {
			t.Errorf("another %s is the same definition", what)
		}
	}
}
