package proxy

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// database reports whether a database exists.
func (p *Proxy) database(db string) (*catalog.Database, error) {
	d := p.deps.Cache.Database(db)
	if d == nil {
		return nil, databaseNotFound(db)
	}
	return d, nil
}

// collection finds a collection by its name or an alias.
func (p *Proxy) collection(db, name string) (*catalog.Collection, error) {
	if _, err := p.database(db); err != nil {
		return nil, err
	}
	c := p.deps.Cache.Collection(db, name)
	if c == nil {
		if err := checkCollectionName(name); err != nil {
			return nil, err
		}
		return nil, collectionNotFound(db, name)
	}
	return c, nil
}

// partition finds a partition of a collection; a name that none can have is told from one that happens to be free.
func partition(c *catalog.Collection, name string) (*catalog.Partition, error) {
	part := livePartition(c, name)
	if part != nil {
		return part, nil
	}
	if err := checkPartitionName(name); err != nil {
		return nil, err
	}
	return nil, partitionNotFound(name)
}

func livePartition(c *catalog.Collection, name string) *catalog.Partition {
	for i := range c.Partitions {
		if part := &c.Partitions[i]; part.Name == name && part.State != catalog.Dropping {
			return part
		}
	}
	return nil
}

// partitionIDs translates names; none are all, which is an empty list.
func partitionIDs(c *catalog.Collection, names []string) ([]int64, error) {
	var out []int64
	seen := map[int64]bool{}
	for _, name := range names {
		part := livePartition(c, name)
		if part == nil {
			return nil, partitionNotFound(name)
		}
		if !seen[part.ID] {
			seen[part.ID] = true
			out = append(out, part.ID)
		}
	}
	return out, nil
}

// partitionKeyField returns the partition key, or nil.
func partitionKeyField(c *catalog.Collection) int64 {
	for i := range c.Schema.Fields {
		if c.Schema.Fields[i].PartitionKey {
			return c.Schema.Fields[i].ID
		}
	}
	return 0
}

func refuseNamedPartitions(c *catalog.Collection, names int) error {
	if names > 0 && partitionKeyField(c) != 0 {
		return errs.Invalid("not support manually specifying the partition names if partition key mode is used")
	}
	return nil
}

// changed waits until this proxy shows a change of the catalog that was answered.
func (p *Proxy) changed(ctx context.Context, ack *pb.Ack, err error) error {
	if err != nil {
		return err
	}
	return p.deps.Cache.WaitRevision(ctx, ack.Revision)
}

// catchUp waits until this proxy shows what the metadata store holds now.
func (p *Proxy) catchUp(ctx context.Context) error {
	_, rev, err := p.deps.Meta.List(ctx, catalog.ClusterKey)
	if err != nil {
		return fmt.Errorf("read the catalog's revision: %w", err)
	}
	return p.deps.Cache.WaitRevision(ctx, rev)
}

func ref(db, name string) *pb.CollectionRef { return &pb.CollectionRef{Db: db, Name: name} }
