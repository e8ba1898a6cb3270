package segment

import (
	"context"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

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
