package catalog

import (
	"strconv"
	"strings"
)

// MmapKey is the API's property, of a collection or one of its fields, by which vectors are kept on the querynodes' disks.
const MmapKey = "mmap.enabled"

// Cold reports whether the raw vectors of a field are to lie in the querynodes' disk caches and not in their memory: by
// the field's own mmap.enabled, else the collection's, or because the field's index keeps its vectors on disk anyway.
func (c *Collection) Cold(field int64) bool {
	for i := range c.Indexes {
		if x := &c.Indexes[i]; x.FieldID == field && strings.EqualFold(x.Type, "DISKANN") {
			return true
		}
	}
	value := c.Properties[MmapKey]
	if f := c.Schema.FieldByID(field); f != nil {
		for _, kv := range f.TypeParams {
			if kv.Key == MmapKey {
				value = kv.Value
			}
		}
	}
	on, err := strconv.ParseBool(value)
	return err == nil && on
}
