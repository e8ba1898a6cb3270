package segment

import (
	"context"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Growing holds one partition's rows of one shard since a seal.
type Growing struct{}

// NewGrowing returns an empty segment.
func NewGrowing(partition int64, s *schema.Schema) *Growing { return &Growing{} }

// Append adds rows, whose timestamps are not below those of earlier rows. position is their place in the log.
func (g *Growing) Append(rows Rows, position uint64) error { return nil }

// Export returns the rows up to and including position, in log order, for a seal.
func (g *Growing) Export(position uint64) Rows { return Rows{} }

func (g *Growing) Partition() int64                                           { return 0 }
func (g *Growing) Position() uint64                                           { return 0 }
func (g *Growing) Rows() int                                                  { return 0 }
func (g *Growing) Column(field int64) (*schema.Column, error)                 { return nil, nil }
func (g *Growing) Bytes() int64                                               { return 0 }
func (g *Growing) Retain() bool                                               { return true }
func (g *Growing) Release()                                                   {}
func (g *Growing) ApplyDeletes(d Deletes, behind uint64) int                  { return 0 }
func (g *Growing) SetSchema(sc *schema.Schema)                                {}
func (g *Growing) Keys(rows []uint32) schema.Keys                             { return schema.Keys{} }
func (g *Growing) Timestamps(rows []uint32) []uint64                          { return nil }
func (g *Growing) Fetch(rows []uint32, fields []int64) (*schema.Batch, error) { return nil, nil }
func (g *Growing) Select(ctx context.Context, p *plan.Plan, readTS, expireBelow uint64) (bitset.Set, error) {
	return nil, nil
}
func (g *Growing) Search(ctx context.Context, spec SearchSpec) (index.Hits, index.Stats, error) {
	return index.Hits{}, index.Stats{}, nil
}
