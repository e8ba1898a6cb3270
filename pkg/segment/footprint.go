package segment

import "github.com/gyr-db/gyr/pkg/schema"

// rowOverhead is the memory per row for its key, timestamp and death.
const rowOverhead = 32

// EstimateBytes is roughly what a sealed segment takes when it is open, without its indexes: its raw vectors, which lie as
// they lie in the file, in memory or, for cold fields, in the disk cache; and in memory the rest of its files. Scalars are in
// these twice, compressed both times, which is about what they take decoded.
func EstimateBytes(s *schema.Schema, cold func(field int64) bool, rows int, fileBytes int64) (memory, disk int64) {
	rest := fileBytes
	for i := range s.Fields {
		f := &s.Fields[i]
		if !f.Type.IsVector() {
			continue
		}
		bytes := int64(rows) * int64(f.Type.RowBytes(f.Dim))
		rest -= bytes
		if cold(f.ID) {
			disk += bytes
		} else {
			memory += bytes
		}
	}
	return memory + max(0, rest) + int64(rows)*rowOverhead, disk
}
