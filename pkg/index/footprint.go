package index

import "github.com/gyr-db/gyr/pkg/vector/diskann"

// Footprint is what an opened index takes on a node, besides the raw vectors.
type Footprint struct {
	Memory int64 // bytes that lie in memory
	Disk   int64 // bytes of the node's disk cache
}

// EstimateFootprint says what an index over rows rows takes when it is opened. fileBytes is the size of its file, 0 when it
// is not built yet. A wrong specification takes nothing: it is refused elsewhere.
func EstimateFootprint(spec Spec, rows int, fileBytes int64) Footprint {
	p, err := parse(spec)
	if err != nil || IsScan(p.kind) {
		return Footprint{}
	}
	if p.kind == TypeDiskANN {
		memory, disk := diskann.EstimateBytes(p.dim, p.elem, p.disk.degree, rows)
		return Footprint{Memory: memory, Disk: max(disk, fileBytes)}
	}
	if fileBytes > 0 {
		return Footprint{Memory: fileBytes}
	}
	perRow := 8
	switch {
	case isGraph(p.kind):
		perRow += p.graphRowBytes()
	case isLists(p.kind):
		perRow += p.listRowBytes()
	}
	return Footprint{Memory: int64(rows) * int64(perRow)}
}
