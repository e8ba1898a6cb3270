package segment

import (
	"context"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Write sorts rows (given in log order) by primary key and timestamp and writes both files below dir.
func Write(ctx context.Context, store objstore.Store, dir string, s *schema.Schema, rows Rows) (Info, error) {
	return Info{}, nil
}

// Merge writes one segment of several.
func Merge(ctx context.Context, store objstore.Store, cfg MergeConfig) (Info, map[int64][]uint32, error) {
	return Info{}, nil, nil
}

// MergeConfig says what to merge.
type MergeConfig struct {
	Dir     string // of the new segment
	Schema  *schema.Schema
	Sources []*Sealed
	// Drop decides whether a row of timestamp ts, killed at deadTS (0: alive), is left out.
	Drop func(ts, deadTS uint64) bool
}

// WriteDelta writes a delta file and returns its size.
func WriteDelta(ctx context.Context, store objstore.Store, path string, d Deletes) (int64, error) {
	return 0, nil
}

// ReadDelta reads a delta file.
func ReadDelta(ctx context.Context, store objstore.Store, path string) (Deletes, error) {
	return Deletes{}, nil
}
