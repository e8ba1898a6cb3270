package catalog

import (
	"slices"

	"github.com/gyr-db/gyr/pkg/schema"
)

// ScalarIndexed returns the scalar fields for which somebody asked for an index, ascending. Files that are written from
// then on have it. Documents are left out: their frequent paths become columns without being asked for.
func (c *Collection) ScalarIndexed() []int64 {
	var out []int64
	for i := range c.Indexes {
		f := c.Schema.FieldByID(c.Indexes[i].FieldID)
		if f != nil && !f.Type.IsVector() && f.Type != schema.JSON && f.Type != schema.Array {
			out = append(out, f.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
