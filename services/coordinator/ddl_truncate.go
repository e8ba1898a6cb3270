package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// truncateCollection takes all rows out of a collection, at one timestamp: those written before it are in no answer from the
// transaction on. The change is answered when every proxy reads by it and every owner has settled the writes that it had
// admitted before, so a write that is acknowledged later was stamped later and stays. The segments go afterwards, shard by
// shard; nobody sees them by then.
func (t *term) truncateCollection(ctx context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	found, unlock, err := t.ddl.lockNamed(ctx, req.GetDb(), req.GetName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		coll, err := t.current(req.GetDb(), req.GetName(), found.ID)
		if err != nil {
			return err
		}
		changed := *coll
		changed.TruncatedTS = max(coll.TruncatedTS, ts)
		put(b, catalog.CollectionKey(coll.ID), &changed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ack, err := t.finish(ctx, rev, found.ID, found.ShardLogs...)
	if err != nil {
		return nil, err
	}
	if coll := t.c.deps.Cache.CollectionByID(found.ID); coll != nil {
		if err := t.dropTruncated(ctx, coll); err != nil {
			t.log.Warn("coordinator: segments of a truncated collection stay for now", "collection", coll.Name, "id", coll.ID, "error", err)
		}
	}
	return ack, nil
}

// dropTruncated takes segments out of the manifests in which every row was written before the collection was truncated.
func (t *term) dropTruncated(ctx context.Context, coll *catalog.Collection) error {
	if coll.TruncatedTS == 0 {
		return nil
	}
	var failed []error
	for _, s := range t.c.deps.Cache.Shards(coll.ID) {
		gone := func(s catalog.Segment) bool { return s.MaxTS <= coll.TruncatedTS }
		for i := range s.Segments {
			if !gone(s.Segments[i]) {
				continue
			}
			if err := t.retireWhere(ctx, coll.ID, s.Index, gone); err != nil {
				failed = append(failed, fmt.Errorf("shard %d: %w", s.Index, err))
			}
			t.place.poke()
			break
		}
	}
	return errors.Join(failed...)
}
