// Package index is the seam between Gyr's segments and the vector engine: Milvus's index names and parameters on one
// side, package vector on the other.
package index

import (
	"context"
	"io"

	"github.com/gyr-db/gyr/pkg/bitset"
)

// Spec says what to build.
type Spec struct {
	Type   string // FLAT, HNSW, IVF_FLAT, IVF_SQ8
	Metric string // L2, IP, COSINE
	Dim    int
	Params map[string]string // M, efConstruction, nlist
}

// Rows gives random access to a segment's raw vectors (float32, row-major, in memory or mapped).
type Rows interface {
	Len() int
	Dim() int
	// Vector returns row i without copying; valid until the owner of Rows closes it.
	Vector(i int) []float32
}

// Progress is told the finished share, 0 to 1.
type Progress func(float32)

// File is a built index, ready to be written to the bucket.
type File interface {
	io.WriterTo
	Size() int64
}

// Filter is the predicate that an index applies while it walks: only allowed rows may be returned.
type Filter interface {
	// Test reports for up to 64 rows which are allowed (bit j for ids[j]).
	Test(ids []uint32) uint64
	// Count estimates the number of allowed rows.
	Count() int
	// Bitmap returns the allowed rows as a set, made on demand.
	Bitmap() bitset.Set
}

// Effort is how hard a search shall try; zero values mean the index's default. An index takes from it what is its own.
type Effort struct {
	Ef     int // size of the candidate pool of HNSW
	NProbe int // lists that an IVF index looks at
}

// Hits are the results of nq queries: row ids and scores as the API reports them (L2 squared, IP, COSINE), best first.
type Hits struct {
	IDs    [][]uint32
	Scores [][]float32
}

// Stats counts the work of a search.
type Stats struct {
	Distances int
	Hops      int
}

// Index answers searches over one segment and one vector field. It is safe for concurrent use.
type Index interface {
	// Search returns for each query (row-major, nq x dim) up to k allowed rows. A nil filter allows all. Scores are exact.
	Search(ctx context.Context, queries []float32, k int, effort Effort, f Filter) (Hits, Stats, error)
	// Range returns every allowed row whose score is better than radius, and not better than bound when bound is
	// set, up to limit rows, best first: L2: bound <= d < radius; IP and COSINE: radius < s <= bound.
	Range(ctx context.Context, query []float32, radius float32, bound *float32, limit int, effort Effort, f Filter) (Hits, Stats, error)
	// Bytes is the memory held.
	Bytes() int64
	Close() error
}
