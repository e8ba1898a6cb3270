// Package segment holds rows: how they lie in the bucket, and how they are read at a timestamp.
//
// It owns three kinds of files (rows.parquet, columns.gyrc, delta files), the immutable Sealed segment that is read from
// them, the Growing segment that takes rows from the log, and Merge, which makes one segment of several. It knows no
// log, no catalog and no network: positions and ids are numbers that callers give.
//
// Invariants:
//   - A row is visible at T iff its timestamp is at most T and no delete that concerns it has a timestamp at most T.
//     Of all deletes that concern a row the earliest one counts, so applying deletes twice or in any order is harmless.
//   - The rows of a sealed segment are sorted by (primary key, timestamp); row numbers are positions in that order.
//     The rows of a growing segment are numbered in log order. Row numbers never change.
//   - What is read from a file is checked against its checksum first: a damaged byte is an ErrCorrupt, never a wrong answer.
//   - Paths of documents, scalar indexes, samples and bounds change no answer: a file may lack any of them.
package segment

import (
	"context"
	"errors"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// ErrCorrupt: a file's bytes are not what was written. It is wrapped in an error that names the file.
var ErrCorrupt = errors.New("corrupt segment file")

// Names of a segment's files below its folder.
const (
	ParquetName = "rows.parquet"
	ColumnsName = "columns.gyrc"
)

// TimestampColumn is the name of the timestamps' column in rows.parquet.
const TimestampColumn = "__timestamp"

// DeletedColumn is the name of the column with the timestamps of deletes in rows.parquet; it is there only when some
// row of the file was known to be dead when it was written (compaction).
const DeletedColumn = "__deleted"

// Rows are rows on their way into a file or a growing segment. TS has Batch.N entries.
type Rows struct {
	Batch *schema.Batch
	TS    []uint64
	// Dead is nil or has per row the timestamp of the earliest delete that is known to concern it, 0 when none is.
	Dead []uint64
	// Indexed are the scalar fields for which an index was asked; for files only.
	Indexed []int64
}

// Info describes a written segment. Bytes counts all its files.
type Info struct {
	Rows         int
	Bytes        int64
	MinTS, MaxTS uint64
}

// Deletes is a list of deletes. Entry i kills the versions of its key with ts < TS[i], and ts <= ReadTS[i] if that is
// not 0, and in Partition[i] if that is not 0. Position is its place in the log. ReadTS, Partition and Position may be
// nil, which means zeros.
type Deletes struct {
	Keys      schema.Keys
	TS        []uint64
	ReadTS    []uint64
	Partition []int64
	Position  []uint64
}

// SearchSpec is one search over one segment. Queries are NQ vectors as the field stores its own, one behind the other.
type SearchSpec struct {
	Field   int64
	Queries []byte
	NQ, K   int
	Metric  string
	Effort  index.Effort
	Plan    *plan.Plan // nil: every row passes
	ReadTS  uint64
	// ExpireBelow hides rows with a timestamp below it (time to live); 0 hides none.
	ExpireBelow uint64
	// Radius asks for rows better than it, RangeFilter for rows not better than that (see index.Index.Range).
	Radius, RangeFilter *float32
}

// Segment is what reads need of a segment, sealed or growing. All methods are safe for concurrent use. Row numbers of
// one segment stay valid as long as it is retained.
type Segment interface {
	plan.Source
	Partition() int64
	// Bytes is the memory held, on the heap and off it.
	Bytes() int64
	// ApplyDeletes applies the entries with a position above behind and returns how many rows they killed (or killed
	// earlier than known).
	ApplyDeletes(d Deletes, behind uint64) int
	// Search returns for each query up to K rows that are visible and match, best first.
	Search(ctx context.Context, spec SearchSpec) (index.Hits, index.Stats, error)
	// Excludes reports whether it is cheap to see that p selects no row; false means that nobody knows. A growing
	// segment answers for the rows that it has now.
	Excludes(p *plan.Plan) bool
	// Select returns the rows that are visible at readTS and match p (nil matches all). The set is the caller's.
	Select(ctx context.Context, p *plan.Plan, readTS, expireBelow uint64) (bitset.Set, error)
	// Keys and Timestamps return the rows' primary keys and timestamps, in the given order.
	Keys(rows []uint32) schema.Keys
	Timestamps(rows []uint32) []uint64
	// Fetch returns the rows' values of the given fields, in the given order. A field that the rows were written
	// without comes as its default or as null.
	Fetch(rows []uint32, fields []int64) (*schema.Batch, error)
	// Retain takes a reference and reports whether there was one left; memory is freed when the last is released.
	Retain() bool
	Release()
}

// errClosed is what a read returns when the last reference was released under it.
func errClosed(id int64) error {
	return errs.New(errs.SegmentNotFound, "segment %d is released", id)
}

var (
	_ Segment = (*Sealed)(nil)
	_ Segment = (*Growing)(nil)
)
