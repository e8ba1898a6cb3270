package index

import (
	"github.com/gyr-db/gyr/pkg/vector/diskann"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

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
	case p.kind == TypeHNSW:
		// A code, its weight, 2M links on level 0 and on the average a tenth more above.
		perRow += kernel.CodeStride(p.dim) + 4 + 2*p.m*4*11/10
	case isLists(p.kind):
		perRow += p.listRowBytes()
	}
	return Footprint{Memory: int64(rows) * int64(perRow)}
}
