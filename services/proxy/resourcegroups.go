package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/rgpb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
)

// ListResourceGroups implements milvuspb.MilvusServiceServer. There is one group, with every query node.
func (p *Proxy) ListResourceGroups(context.Context, *milvuspb.ListResourceGroupsRequest) (*milvuspb.ListResourceGroupsResponse, error) {
	return &milvuspb.ListResourceGroupsResponse{Status: success(), ResourceGroups: []string{defaultGroup}}, nil
}

// DescribeResourceGroup implements milvuspb.MilvusServiceServer.
func (p *Proxy) DescribeResourceGroup(_ context.Context, req *milvuspb.DescribeResourceGroupRequest) (*milvuspb.DescribeResourceGroupResponse, error) {
	if req.ResourceGroup != defaultGroup {
		return nil, errs.Input(300, "resource group not found[rg=%s]", req.ResourceGroup)
	}
	nodes := p.deps.Cache.Nodes(catalog.RoleQueryNode)
	group := &milvuspb.ResourceGroup{
		Name: defaultGroup, Capacity: int32(len(nodes)), NumAvailableNode: int32(len(nodes)), NumLoadedReplica: map[string]int32{},
		Config: &rgpb.ResourceGroupConfig{Requests: &rgpb.ResourceGroupLimit{}, Limits: &rgpb.ResourceGroupLimit{NodeNum: 1_000_000}},
	}
	for _, c := range p.deps.Cache.AllCollections() {
		if c.Load != nil {
			group.NumLoadedReplica[c.Name] = int32(max(c.Load.Replicas, 1))
		}
	}
	return &milvuspb.DescribeResourceGroupResponse{Status: success(), ResourceGroup: group}, nil
}
