package index

import (
	"context"
	"sync"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/binary"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Flat returns an index that looks at every raw vector: for segments without an index file, and for type FLAT. Whatever
// type the specification names, only its metric counts.
func Flat(spec Spec, raw Rows) (Index, error) {
	metric, err := parseMetric(spec.Metric, raw.Elem())
	if err != nil {
		return nil, err
	}
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	if raw.Elem() == kernel.Bit {
		return &bitIndex{scan: binary.Scanner{Set: set, Metric: metric, Rows: raw}}, nil
	}
	return &flatIndex{scan: flat.Scanner{Set: set, Metric: metric, Rows: raw, Scratch: &flat.Scratch{}}}, nil
}

// FlatChunks is Flat over rows that lie in several row-major chunks of spec.Dim columns; only the first limit rows count
// (a negative limit means all). Row ids count through the chunks. Scores and order are those of any other index.
func FlatChunks(spec Spec, chunks [][]byte, limit int) (Index, error) {
	if spec.Dim < 1 {
		return nil, errs.Invalid("invalid dimension: %d", spec.Dim)
	}
	return Flat(spec, vector.NewChunks(spec.Elem, spec.Dim, chunks, limit))
}

// Block returns Rows over one row-major block of dim float32 columns.
func Block(dim int, data []float32) Rows { return vector.Matrix{Data: data, D: dim} }

// FloatQueries shows float32 queries as the bytes that Search takes, without copying.
func FloatQueries(queries []float32) []byte { return kernel.Bytes(queries) }

type flatIndex struct {
	scan flat.Scanner

	mu     sync.RWMutex // held for reading by searches, for writing by Close
	closed bool
}

func (f *flatIndex) Search(ctx context.Context, queries []byte, k int, _ Effort, filter Filter) (Hits, Stats, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return Hits{}, Stats{}, vector.ErrClosed
	}
	floats, err := decode(f.scan, queries, k)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	hits, stats, err := f.scan.Search(ctx, floats, k, engine(filter))
	return asHits(hits), Stats(stats), err
}

func (f *flatIndex) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, filter Filter) (Hits, Stats, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return Hits{}, Stats{}, vector.ErrClosed
	}
	return rangeScan(ctx, f.scan, query, flat.Window{Radius: radius, Bound: bound}, limit, filter)
}

// Bytes is 0: the rows belong to the caller.
func (f *flatIndex) Bytes() int64 { return 0 }

func (f *flatIndex) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func rangeScan(ctx context.Context, s flat.Scanner, query []byte, w flat.Window, limit int, filter Filter) (Hits, Stats, error) {
	floats, err := decode(s, query, limit)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	if len(floats) != s.Rows.Dim() {
		return Hits{}, Stats{}, errs.Invalid("a range search takes one query vector")
	}
	hits, stats, err := s.Range(ctx, floats, w, limit, engine(filter))
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits([][]vector.Hit{hits}), Stats(stats), nil
}

func engine(f Filter) vector.Filter {
	if f == nil {
		return nil
	}
	return engineFilter{f}
}

// decode returns queries, stored as the rows of a scan are, as numbers.
func decode(s flat.Scanner, queries []byte, k int) ([]float32, error) {
	if err := checkQueries(s.Rows, queries, k); err != nil {
		return nil, err
	}
	return s.Set.Decode(s.Rows.Elem(), queries, nil), nil
}

// checkQueries checks that a search asks for a number of rows near whole vectors.
func checkQueries(rows Rows, queries []byte, k int) error {
	size := rows.Elem().RowBytes(rows.Dim())
	switch {
	case k < 0:
		return errs.Invalid("limit %d is negative", k)
	case size < 1 || len(queries)%size != 0:
		return errs.Invalid("vector dimension mismatch, expected vector size(byte) %d, actual %d", size, len(queries))
	}
	return nil
}

func asHits(in [][]vector.Hit) Hits {
	out := Hits{IDs: make([][]uint32, len(in)), Scores: make([][]float32, len(in))}
	for q, hits := range in {
		ids, scores := make([]uint32, len(hits)), make([]float32, len(hits))
		for i, h := range hits {
			ids[i], scores[i] = h.ID, h.Score
		}
		out.IDs[q], out.Scores[q] = ids, scores
	}
	return out
}
