package catalog

import (
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/schema"
)

func TestScalarIndexed(t *testing.T) {
	c := &Collection{
		Schema: schema.Schema{Fields: []schema.Field{
			{ID: 100, Type: schema.Int64, PrimaryKey: true},
			{ID: 101, Type: schema.FloatVector, Dim: 4},
			{ID: 102, Type: schema.VarChar},
			{ID: 103, Type: schema.JSON},
			{ID: 104, Type: schema.Array, Elem: schema.Int8},
			{ID: 105, Type: schema.Bool},
		}},
		Indexes: []Index{{FieldID: 105}, {FieldID: 101}, {FieldID: 102}, {FieldID: 103}, {FieldID: 104}, {FieldID: 102}, {FieldID: 999}},
	}
	if got := c.ScalarIndexed(); !slices.Equal(got, []int64{102, 105}) {
		t.Fatal(got)
	}
}
