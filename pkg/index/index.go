// Package index is the seam between Gyr's segments and the vector engine: Milvus's index names and parameters on one
// side, package vector on the other.
package index

import (
	"context"
	"io"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/vector"
)

// Spec says what to build.
type Spec struct {
	Type   string // FLAT, HNSW, HNSW_PQ, IVF_FLAT, IVF_SQ8, DISKANN; BIN_FLAT, BIN_IVF_FLAT
	Metric string // L2, IP, COSINE; HAMMING, JACCARD, SUBSTRUCTURE, SUPERSTRUCTURE
	Dim    int
	Elem   vector.Elem       // how the field stores components; float32 unless set
	Params map[string]string // M, efConstruction, nlist, max_degree, search_list_size
}

// Rows gives random access to a segment's raw vectors. Those of a build lie in memory; those of an index that is opened
// may be a vector.Fetcher.
type Rows = vector.Rows

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

	SearchList int     // size of the candidate pool of DISKANN
	ReorderK   int     // candidates of SCANN that are scored exactly
	RefineK    float64 // candidates of refined indexes that are scored exactly, as a multiple of k
	QueryBits  int     // bits per component of a query of IVF_RABITQ

	// TargetRecall, in (0, 1), asks the index to choose the effort by itself; the fields above are then 0.
	TargetRecall float64
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
	// Search returns for each query up to k allowed rows. Queries are stored as the field's rows are, one behind the other.
	// A nil filter allows all. Scores are exact.
	Search(ctx context.Context, queries []byte, k int, effort Effort, f Filter) (Hits, Stats, error)
	// Range returns every allowed row whose score is better than radius, and not better than bound when bound is
	// set, up to limit rows, best first: L2 and metrics of bits: bound <= d < radius; IP and COSINE: radius < s <= bound.
	Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, effort Effort, f Filter) (Hits, Stats, error)
	// Bytes is the memory held.
	Bytes() int64
	Close() error
}
