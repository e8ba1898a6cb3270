package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// dropCollection marks a collection as dropping, waits until no proxy reads it and no owner admits writes to it, and
// removes its records. Its objects are then named by nothing and go with the next collection of garbage. A collection
// that is not there counts as dropped.
func (t *term) dropCollection(ctx context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	coll, unlock, err := t.ddl.lockNamed(ctx, req.GetDb(), req.GetName())
	if errs.Is(err, errs.CollectionNotFound) {
		return &pb.Ack{Revision: t.c.deps.Cache.Revision()}, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	if coll.Name != req.GetName() {
		return nil, errs.Invalid("cannot drop the collection via alias = %s", req.GetName())
	}
	rev, err := t.markDropping(ctx, req, coll.ID)
	if err != nil {
		return nil, err
	}
	if rev, err = t.finishDrop(ctx, coll.ID, rev); err != nil {
		return nil, err
	}
	return &pb.Ack{Revision: rev, Id: coll.ID}, nil
}

func (t *term) markDropping(ctx context.Context, req *pb.CollectionRef, id int64) (int64, error) {
	return t.ddl.change(ctx, func(b *batch) error {
		coll := t.c.deps.Cache.CollectionByID(id)
		if coll == nil || coll.State == catalog.Dropping {
			return nil // the call before this one did it
		}
		if coll.Name != req.GetName() || coll.DB != req.GetDb() {
			return noCollection(req.GetDb(), req.GetName()) // renamed while this call waited
		}
		if aliases := t.c.deps.Cache.AliasesOf(id); len(aliases) > 0 {
			names := make([]string, len(aliases))
			for i, a := range aliases {
				names[i] = a.Name
			}
			return errs.Invalid("unable to drop the collection [%s] because it has associated aliases %v, please remove all aliases before dropping the collection", coll.Name, names)
		}
		changed := *coll
		changed.State, changed.Load = catalog.Dropping, nil
		put(b, catalog.CollectionKey(id), &changed)
		b.removeAll(fmt.Sprintf("%s%d/", catalog.ViewPrefix, id))
		return nil
	})
}

// finishDrop removes what is left of a collection that is marked as dropping. The caller holds its lock.
func (t *term) finishDrop(ctx context.Context, id, revision int64) (int64, error) {
	coll := t.c.deps.Cache.CollectionByID(id)
	if coll == nil {
		return revision, t.sync(ctx, revision)
	}
	if err := t.sync(ctx, revision, coll.ShardLogs...); err != nil {
		return 0, err
	}
	return t.ddl.change(ctx, func(b *batch) error {
		b.remove(catalog.CollectionKey(id))
		b.removeAll(fmt.Sprintf("%s%d/", catalog.ShardPrefix, id))
		b.removeAll(fmt.Sprintf("%s%d/", catalog.ViewPrefix, id))
		b.removeAll(fmt.Sprintf("%s%d/", retiredPrefix, id))
		return nil
	})
}

// dropRetry is how often drops that were interrupted are taken up again.
const dropRetry = 10 * time.Second

// finishDrops completes drops of collections and partitions, and truncations, that a former leader, or a call that ran out of time, left
// half done.
func (d *ddl) finishDrops(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, coll := range d.t.c.deps.Cache.AllCollections() {
			if err := d.finishDropsOf(ctx, coll); err != nil && ctx.Err() == nil {
				d.t.log.Warn("coordinator: finish a drop", "collection", coll.Name, "id", coll.ID, "error", err)
			}
		}
		sleep(ctx, dropRetry)
	}
	return nil
}

func (d *ddl) finishDropsOf(ctx context.Context, coll *catalog.Collection) error {
	ctx, cancel := context.WithTimeout(ctx, d.t.c.cfg.DDLTimeout)
	defer cancel()
	if coll.State == catalog.Dropping {
		return d.finishOne(ctx, coll.ID)
	}
	if err := d.t.dropTruncated(ctx, coll); err != nil {
		return err
	}
	for _, p := range coll.Partitions {
		if p.State != catalog.Dropping {
			continue
		}
		_, err := d.t.dropPartition(ctx, &pb.PartitionRequest{Collection: &pb.CollectionRef{Db: coll.DB, Name: coll.Name}, Partition: p.Name})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *ddl) finishOne(ctx context.Context, id int64) error {
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = d.t.finishDrop(ctx, id, d.t.c.deps.Cache.Revision())
	return err
}
