package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
)

// GetPersistentSegmentInfo implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetPersistentSegmentInfo(_ context.Context, req *milvuspb.GetPersistentSegmentInfoRequest) (*milvuspb.GetPersistentSegmentInfoResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	out := &milvuspb.GetPersistentSegmentInfoResponse{Status: success()}
	for _, shard := range p.deps.Cache.Shards(c.ID) {
		for i := range shard.Segments {
			s := &shard.Segments[i]
			out.Infos = append(out.Infos, &milvuspb.PersistentSegmentInfo{
				SegmentID: s.ID, CollectionID: c.ID, PartitionID: s.Partition, NumRows: int64(s.Rows),
				State: commonpb.SegmentState_Flushed, Level: commonpb.SegmentLevel_L1, IsSorted: true, StorageVersion: 1,
			})
		}
	}
	return out, nil
}

// GetQuerySegmentInfo implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetQuerySegmentInfo(_ context.Context, req *milvuspb.GetQuerySegmentInfoRequest) (*milvuspb.GetQuerySegmentInfoResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	served := map[int64][]int64{}
	for _, v := range p.deps.Cache.Views(c.ID) {
		for id, nodes := range v.Segments {
			if len(nodes) > 0 {
				served[id] = append(served[id], nodes[0])
			}
		}
	}
	out := &milvuspb.GetQuerySegmentInfoResponse{Status: success()}
	for _, shard := range p.deps.Cache.Shards(c.ID) {
		for i := range shard.Segments {
			if nodes := served[shard.Segments[i].ID]; len(nodes) > 0 {
				out.Infos = append(out.Infos, querySegment(c, &shard.Segments[i], nodes))
			}
		}
	}
	return out, nil
}

func querySegment(c *catalog.Collection, s *catalog.Segment, nodes []int64) *milvuspb.QuerySegmentInfo {
	out := &milvuspb.QuerySegmentInfo{
		SegmentID: s.ID, CollectionID: c.ID, PartitionID: s.Partition, NumRows: int64(s.Rows), MemSize: s.Bytes,
		NodeID: nodes[0], NodeIds: nodes, State: commonpb.SegmentState_Sealed, Level: commonpb.SegmentLevel_L1, IsSorted: true, StorageVersion: 1,
	}
	if len(s.Indexes) > 0 {
		out.IndexID = s.Indexes[0].IndexID
		for i := range c.Indexes {
			if c.Indexes[i].ID == out.IndexID {
				out.IndexName = c.Indexes[i].Name
			}
		}
	}
	return out
}
