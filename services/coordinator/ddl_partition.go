package coordinator

import (
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// createPartition makes a partition; one that exists is success.
func (t *term) createPartition(ctx context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	name := req.GetPartition()
	if err := checkPartitionName(name); err != nil {
		return nil, err
	}
	id, err := t.id(ctx)
	if err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	coll, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		if c.NumPartitions > 0 {
			return false, errs.Invalid("disable create partition if partition key mode is used")
		}
		if p := findPartition(c, name); p != nil {
			id = p.ID
			return false, nil
		}
		if slices.ContainsFunc(c.Partitions, func(p catalog.Partition) bool { return p.Name == name }) {
			return false, errs.New(errs.Unavailable, "partition %s is still being dropped", name)
		}
		if limit := t.c.cfg.Limits.Partitions; len(c.Partitions) >= limit {
			return false, errs.Invalid("partition number (%d) exceeds max configuration (%d), collection: %s", len(c.Partitions), limit, c.Name)
		}
		c.Partitions = append(slices.Clone(c.Partitions), catalog.Partition{ID: id, Name: name, State: catalog.Ready, CreatedTS: ts})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id, coll.ShardLogs...)
}

// dropPartition refuses writes to the partition first, then takes its segments out of the manifests, then removes its
// record. A partition that is not there counts as dropped.
func (t *term) dropPartition(ctx context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	name, ref := req.GetPartition(), req.GetCollection()
	if name == catalog.DefaultPartition {
		return nil, errs.Invalid("default partition cannot be deleted")
	}
	found, unlock, err := t.ddl.lockNamed(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	var id int64
	coll, rev, err := t.editLocked(ctx, ref, found.ID, func(c *catalog.Collection) (bool, error) {
		return markPartitionDropping(c, name, &id)
	})
	if err != nil {
		return nil, err
	}
	if id == 0 {
		return &pb.Ack{Revision: rev}, nil
	}
	if err := t.sync(ctx, rev, coll.ShardLogs...); err != nil {
		return nil, err
	}
	for i := range coll.ShardLogs {
		if err := t.retireWhere(ctx, coll.ID, i, func(s catalog.Segment) bool { return s.Partition == id }); err != nil {
			return nil, err
		}
	}
	_, rev, err = t.editLocked(ctx, ref, coll.ID, func(c *catalog.Collection) (bool, error) {
		c.Partitions = slices.DeleteFunc(slices.Clone(c.Partitions), func(p catalog.Partition) bool { return p.ID == id })
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id)
}

// markPartitionDropping sets the partition's state; id stays 0 when there is no such partition.
func markPartitionDropping(c *catalog.Collection, name string, id *int64) (bool, error) {
	if c.NumPartitions > 0 {
		return false, errs.Invalid("disable drop partition if partition key mode is used")
	}
	i := slices.IndexFunc(c.Partitions, func(p catalog.Partition) bool { return p.Name == name })
	if i < 0 {
		return false, nil
	}
	p := c.Partitions[i]
	if p.State == catalog.Ready && c.Load != nil && (c.Load.Partitions == nil || slices.Contains(c.Load.Partitions, p.ID)) {
		return false, errs.Invalid("partition cannot be dropped, partition is loaded, please release it first")
	}
	*id = p.ID
	if p.State == catalog.Dropping {
		return false, nil
	}
	c.Partitions = slices.Clone(c.Partitions)
	c.Partitions[i].State = catalog.Dropping
	return true, nil
}

// findPartition finds a partition that is not being dropped.
func findPartition(c *catalog.Collection, name string) *catalog.Partition {
	for i := range c.Partitions {
		if c.Partitions[i].Name == name && c.Partitions[i].State != catalog.Dropping {
			return &c.Partitions[i]
		}
	}
	return nil
}
