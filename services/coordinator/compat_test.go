package coordinator

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/schema"
)

// TestIndexPerPath: a field of documents may have an index per path, and one of each only.
func TestIndexPerPath(t *testing.T) {
	c := &catalog.Collection{Schema: schema.Schema{Fields: []schema.Field{{ID: 101, Name: "doc", Type: schema.JSON}}}}
	add := func(name, path string) error {
		same, err := addIndex(c, catalog.Index{FieldID: 101, Name: name, Type: "INVERTED", Params: map[string]string{jsonPath: path}})
		if same != nil {
			t.Errorf("%s exists", name)
		}
		return err
	}
	for name, path := range map[string]string{"x": "doc/a", "y": "doc/b"} {
		if err := add(name, path); err != nil {
			t.Fatal(err)
		}
	}
	if add("z", "doc/a") == nil || add("x", "doc/c") == nil || len(c.Indexes) != 2 {
		t.Errorf("%d indexes", len(c.Indexes))
	}
}
