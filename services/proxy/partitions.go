package proxy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
)

// CreatePartition implements milvuspb.MilvusServiceServer.
func (p *Proxy) CreatePartition(ctx context.Context, req *milvuspb.CreatePartitionRequest) (*commonpb.Status, error) {
	if err := p.checkPartitionCall(req.DbName, req.CollectionName, req.PartitionName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().CreatePartition(ctx, &pb.PartitionRequest{
		Collection: ref(req.DbName, req.CollectionName), Partition: req.PartitionName,
	})
	return success(), p.changed(ctx, ack, err)
}

// checkPartitionCall checks that there is the collection and that a partition of it can have the name.
func (p *Proxy) checkPartitionCall(db, collection, name string) error {
	if _, err := p.collection(db, collection); err != nil {
		return err
	}
	return checkPartitionName(name)
}

// DropPartition implements milvuspb.MilvusServiceServer.
func (p *Proxy) DropPartition(ctx context.Context, req *milvuspb.DropPartitionRequest) (*commonpb.Status, error) {
	if err := p.checkPartitionCall(req.DbName, req.CollectionName, req.PartitionName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().DropPartition(ctx, &pb.PartitionRequest{
		Collection: ref(req.DbName, req.CollectionName), Partition: req.PartitionName,
	})
	return success(), p.changed(ctx, ack, err)
}

// HasPartition implements milvuspb.MilvusServiceServer.
func (p *Proxy) HasPartition(_ context.Context, req *milvuspb.HasPartitionRequest) (*milvuspb.BoolResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if err := checkPartitionName(req.PartitionName); err != nil {
		return nil, err
	}
	_, err = partition(c, req.PartitionName)
	return &milvuspb.BoolResponse{Status: success(), Value: err == nil}, nil
}

// ShowPartitions implements milvuspb.MilvusServiceServer.
func (p *Proxy) ShowPartitions(_ context.Context, req *milvuspb.ShowPartitionsRequest) (*milvuspb.ShowPartitionsResponse, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	if err != nil {
		return nil, err
	}
	parts := livePartitions(c)
	if len(req.PartitionNames) > 0 {
		parts = nil
		for _, name := range req.PartitionNames {
			part, err := partition(c, name)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
	}
	if req.Type == milvuspb.ShowType_InMemory && c.Load == nil {
		return nil, collectionNotLoaded(c)
	}
	out := &milvuspb.ShowPartitionsResponse{Status: success()}
	for _, part := range parts {
		if req.Type == milvuspb.ShowType_InMemory && !partitionLoaded(c, part.ID) {
			continue
		}
		out.PartitionNames = append(out.PartitionNames, part.Name)
		out.PartitionIDs = append(out.PartitionIDs, part.ID)
		out.CreatedTimestamps = append(out.CreatedTimestamps, part.CreatedTS)
		out.CreatedUtcTimestamps = append(out.CreatedUtcTimestamps, uint64(tso.UnixMS(part.CreatedTS)))
		percent := int64(0)
		if partitionLoaded(c, part.ID) {
			percent = p.publishedPercent(c)
		}
		out.InMemoryPercentages = append(out.InMemoryPercentages, percent)
	}
	return out, nil
}

// partitionLoaded reports whether a load covers a partition.
func partitionLoaded(c *catalog.Collection, id int64) bool {
	if c.Load == nil {
		return false
	}
	if c.Load.Partitions == nil {
		return true
	}
	for _, p := range c.Load.Partitions {
		if p == id {
			return true
		}
	}
	return false
}

// GetPartitionStatistics implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetPartitionStatistics(ctx context.Context, req *milvuspb.GetPartitionStatisticsRequest) (*milvuspb.GetPartitionStatisticsResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if req.PartitionName == "" {
		return nil, errs.Invalid("Invalid partition name: %s. Partition name should not be empty.", req.PartitionName)
	}
	part, err := partition(c, req.PartitionName)
	if err != nil {
		return nil, err
	}
	rows, err := p.rows(ctx, c, part.ID)
	return &milvuspb.GetPartitionStatisticsResponse{Status: success(), Stats: rowCount(rows)}, err
}

// rowsTimeout bounds the question to the logs' owners how many rows they hold.
const rowsTimeout = 5 * time.Second

// rows counts the rows of a collection, or of one partition, dead or not: those in the bucket and those that the owners
// of its logs have not sealed yet.
//
// Rows move from the owners' memory to the manifests while this proxy asks, so it asks again when the manifests changed
// meanwhile: otherwise rows would count twice or not at all.
func (p *Proxy) rows(ctx context.Context, c *catalog.Collection, partition int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		before := p.deps.Cache.Shards(c.ID)
		unsealed, err := p.unsealedRows(ctx, c, partition)
		if err != nil {
			return 0, fmt.Errorf("count the rows that are not sealed: %w", err)
		}
		if err := p.catchUp(ctx); err != nil {
			return 0, err
		}
		sealed := p.sealedRows(c, func(s *catalog.Segment) bool { return partition == 0 || s.Partition == partition })
		if attempt == rowsAttempts || slices.Equal(before, p.deps.Cache.Shards(c.ID)) {
			return unsealed + sealed, nil
		}
	}
}

// rowsAttempts bounds how often the owners are asked while seals follow each other.
const rowsAttempts = 10

func (p *Proxy) unsealedRows(ctx context.Context, c *catalog.Collection, partition int64) (int64, error) {
	var unsealed atomic.Int64
	err := p.eachLog(ctx, c, func(ctx context.Context, owner pb.DataNodeClient, log int, shards []int32) error {
		resp, err := owner.FlushState(ctx, &pb.FlushStateRequest{Collection: c.ID, Log: int32(log), Shards: shards})
		for id, n := range resp.GetUnsealedRows() {
			if partition == 0 || id == partition {
				unsealed.Add(n)
			}
		}
		return err
	})
	return unsealed.Load(), err
}

// sealedRows counts the rows in the sealed segments that want accepts; nil accepts all.
func (p *Proxy) sealedRows(c *catalog.Collection, want func(*catalog.Segment) bool) int64 {
	var n int64
	for _, shard := range p.deps.Cache.Shards(c.ID) {
		for i := range shard.Segments {
			if c.TruncatedTS > 0 && shard.Segments[i].MaxTS <= c.TruncatedTS {
				continue
			}
			if want == nil || want(&shard.Segments[i]) {
				n += int64(shard.Segments[i].Rows)
			}
		}
	}
	return n
}

func rowCount(n int64) []*commonpb.KeyValuePair {
	return []*commonpb.KeyValuePair{{Key: "row_count", Value: strconv.FormatInt(n, 10)}}
}
