package segment

import "github.com/gyr-db/gyr/pkg/schema"

// rowOverhead is the memory per row for its key, timestamp and death.
const rowOverhead = 32

// EstimateBytes is roughly the memory that a sealed segment takes when it is open, without its indexes: its raw vectors,
// which lie in memory as they lie in the file, and the rest of its files. Scalars are in these twice, compressed both
// times, which is about what they take decoded. fields are those to be loaded, nil means all.
func EstimateBytes(s *schema.Schema, fields map[int64]bool, rows int, fileBytes int64) int64 {
	var vectors, loaded int64
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Type.IsVector() {
			continue
		}
		bytes := int64(rows) * int64(f.Type.RowBytes(f.Dim))
		vectors += bytes
		if fields == nil || fields[f.ID] {
			loaded += bytes
		}
	}
	return loaded + max(0, fileBytes-vectors) + int64(rows)*rowOverhead
}
