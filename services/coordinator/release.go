package coordinator

import (
	"context"
	"fmt"
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// release ends the serving of a collection, or of some partitions. What is not loaded counts as released.
func (t *term) release(ctx context.Context, req *pb.ReleaseRequest) (*pb.Ack, error) {
	ref := req.GetCollection()
	found, unlock, err := t.ddl.lockNamed(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		coll, err := t.current(ref.GetDb(), ref.GetName(), found.ID)
		if err != nil {
			return err
		}
		gone, err := partitionIDs(coll, req.GetPartitions())
		if err != nil {
			return err
		}
		load := afterRelease(coll, gone)
		if sameLoad(load, coll.Load) || load == nil && coll.Load == nil {
			return nil
		}
		changed := *coll
		changed.Load = load
		put(b, catalog.CollectionKey(coll.ID), &changed)
		if load == nil {
			b.removeAll(fmt.Sprintf("%s%d/", catalog.ViewPrefix, coll.ID))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.place.poke()
	return t.finish(ctx, rev, found.ID)
}

// afterRelease is what stays loaded when some partitions are released; no partitions means all.
func afterRelease(coll *catalog.Collection, gone []int64) *catalog.Load {
	if len(gone) == 0 || coll.Load == nil {
		return nil
	}
	var kept []int64
	for _, p := range coll.Partitions {
		if loaded(coll, p.ID) && !slices.Contains(gone, p.ID) {
			kept = append(kept, p.ID)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if len(kept) == len(coll.Load.Partitions) {
		return coll.Load // nothing of it was loaded
	}
	slices.Sort(kept)
	load := *coll.Load
	load.Partitions = kept
	return &load
}

// loadState tells how far a load is.
func (t *term) loadState(ctx context.Context, req *pb.LoadStateRequest) (*pb.LoadStateResponse, error) {
	ref := req.GetCollection()
	coll, err := t.find(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, err
	}
	ids, err := partitionIDs(coll, req.GetPartitions())
	if err != nil {
		return nil, err
	}
	if coll.Load == nil {
		return &pb.LoadStateResponse{}, nil
	}
	for _, id := range ids {
		if !loaded(coll, id) {
			return &pb.LoadStateResponse{}, nil
		}
	}
	progress, reason := t.loadProgress(coll, ids)
	return &pb.LoadStateResponse{Requested: true, Progress: progress, Reason: reason}, nil
}

// loadProgress counts the published views that serve the given partitions, or all that are to be loaded. It is 100 only
// when none is missing.
func (t *term) loadProgress(coll *catalog.Collection, partitions []int64) (int32, string) {
	if partitions == nil {
		partitions = coll.Load.Partitions
	}
	var sum float32
	missing, reason := 0, ""
	for i := range coll.ShardLogs {
		for r := range max(coll.Load.Replicas, 1) {
			v := t.c.deps.Cache.View(coll.ID, i, r)
			if v != nil && covers(v, partitions) {
				sum++
				continue
			}
			missing++
			done, why := t.place.state(viewID{coll.ID, i, r})
			sum += min(done, 0.99)
			if reason == "" {
				reason = why
			}
		}
	}
	if missing == 0 {
		return 100, ""
	}
	return min(99, int32(100*sum/float32(len(coll.ShardLogs)*max(coll.Load.Replicas, 1)))), reason
}

// covers reports whether a view serves the partitions; nil means all.
func covers(v *catalog.View, partitions []int64) bool {
	if v.Partitions == nil {
		return true
	}
	if partitions == nil {
		return false
	}
	for _, p := range partitions {
		if !slices.Contains(v.Partitions, p) {
			return false
		}
	}
	return true
}
