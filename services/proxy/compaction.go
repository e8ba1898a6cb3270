package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// ManualCompaction implements milvuspb.MilvusServiceServer. The kinds of compaction that Milvus tells apart are one here.
func (p *Proxy) ManualCompaction(ctx context.Context, req *milvuspb.ManualCompactionRequest) (*milvuspb.ManualCompactionResponse, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	if err != nil {
		return nil, err
	}
	resp, err := p.deps.Peers.Coordinator().Compact(ctx, ref(c.DB, c.Name))
	if err != nil {
		return nil, err
	}
	return &milvuspb.ManualCompactionResponse{Status: success(), CompactionID: resp.Compaction, CompactionPlanCount: resp.Plans}, nil
}

// GetCompactionState implements milvuspb.MilvusServiceServer. Id 0 and -1 stand for a compaction with nothing to do.
func (p *Proxy) GetCompactionState(ctx context.Context, req *milvuspb.GetCompactionStateRequest) (*milvuspb.GetCompactionStateResponse, error) {
	st, err := p.compactionState(ctx, req.CompactionID)
	if err != nil {
		return nil, err
	}
	return &milvuspb.GetCompactionStateResponse{
		Status: success(), State: compactionStateOf(st), ExecutingPlanNo: int64(st.Executing),
		CompletedPlanNo: int64(st.Completed), FailedPlanNo: int64(st.Failed),
	}, nil
}

func (p *Proxy) compactionState(ctx context.Context, id int64) (*pb.CompactionStateResponse, error) {
	if id <= 0 {
		return &pb.CompactionStateResponse{}, nil
	}
	return p.deps.Peers.Coordinator().CompactionState(ctx, &pb.CompactionStateRequest{Compaction: id})
}

func compactionStateOf(st *pb.CompactionStateResponse) commonpb.CompactionState {
	if st.Executing > 0 {
		return commonpb.CompactionState_Executing
	}
	return commonpb.CompactionState_Completed
}

// GetCompactionStateWithPlans implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetCompactionStateWithPlans(ctx context.Context, req *milvuspb.GetCompactionPlansRequest) (*milvuspb.GetCompactionPlansResponse, error) {
	st, err := p.compactionState(ctx, req.CompactionID)
	if err != nil {
		return nil, err
	}
	out := &milvuspb.GetCompactionPlansResponse{Status: success(), State: compactionStateOf(st)}
	for _, plan := range st.Plans {
		out.MergeInfos = append(out.MergeInfos, &milvuspb.CompactionMergeInfo{Sources: plan.Sources, Target: plan.Target})
	}
	return out, nil
}
