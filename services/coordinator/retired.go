package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
)

// retiredPrefix holds the segments that were replaced while published views may still name them. The collector removes
// their files, and then these records, when no view does any more.
const retiredPrefix = "retired/"

// retired is a segment that is in no manifest any more.
type retired struct {
	Collection int64           `json:"collection"`
	Segment    catalog.Segment `json:"segment"`
	AtMS       int64           `json:"at_ms"` // unix ms
}

func retiredKey(collection, segment int64) string {
	return fmt.Sprintf("%s%d/%d", retiredPrefix, collection, segment)
}

func retire(b *batch, collection int64, segments []catalog.Segment, now time.Time) {
	for _, s := range segments {
		put(b, retiredKey(collection, s.ID), &retired{Collection: collection, Segment: s, AtMS: now.UnixMilli()})
	}
}

// maxRetire bounds the segments retired in one transaction.
const maxRetire = 100

// retireWhere takes the segments that match out of a shard's manifest.
func (t *term) retireWhere(ctx context.Context, collection int64, shard int, match func(catalog.Segment) bool) error {
	for {
		more, err := t.editShard(ctx, collection, shard, func(s *catalog.Shard, b *batch) bool {
			var kept, gone []catalog.Segment
			for _, seg := range s.Segments {
				if match(seg) && len(gone) < maxRetire {
					gone = append(gone, seg)
				} else {
					kept = append(kept, seg)
				}
			}
			s.Segments = kept
			retire(b, collection, gone, t.c.now())
			return len(gone) > 0
		})
		if err != nil || !more {
			return err
		}
	}
}

// editShard changes a shard's manifest by a transaction that compares it, so that it never undoes what the log's owner
// committed meanwhile. edit gets a copy whose slices it must not write into, and says whether anything changed; it may
// run several times. A manifest that is not there is left alone.
func (t *term) editShard(ctx context.Context, collection int64, shard int, edit func(s *catalog.Shard, b *batch) bool) (bool, error) {
	key := catalog.ShardKey(collection, shard)
	for {
		s, kv, err := catalog.Read[catalog.Shard](ctx, t.c.deps.Meta, key)
		if errors.Is(err, meta.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		b := batch{cmps: []meta.Compare{{Key: key, ModRev: kv.ModRev}}}
		if !edit(s, &b) {
			return false, b.err
		}
		put(&b, key, s)
		if b.err != nil {
			return false, b.err
		}
		rev, err := t.commit(ctx, b.cmps, b.ops)
		if errors.Is(err, errConflict) {
			continue
		}
		if err != nil {
			return false, err
		}
		return true, t.c.deps.Cache.WaitRevision(ctx, rev)
	}
}
