package proxy

import (
	"context"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// defaultGroup is the resource group that always exists.
const defaultGroup = "__default_resource_group"

func collectionNotLoaded(c *catalog.Collection) error {
	return errs.Input(errs.CollectionNotLoaded, "collection not loaded[collection=%d]", c.ID)
}

// LoadCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) LoadCollection(ctx context.Context, req *milvuspb.LoadCollectionRequest) (*commonpb.Status, error) {
	return p.load(ctx, req.DbName, req.CollectionName, req.ResourceGroups, &pb.LoadRequest{
		Replicas: req.ReplicaNumber, Fields: req.LoadFields, Refresh: req.Refresh,
	})
}

// LoadPartitions implements milvuspb.MilvusServiceServer.
func (p *Proxy) LoadPartitions(ctx context.Context, req *milvuspb.LoadPartitionsRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if len(req.PartitionNames) == 0 {
		return nil, errs.Invalid("due to no partition specified: invalid parameter[expected=any partition][actual=empty partition]")
	}
	if err := refuseNamedPartitions(c, len(req.PartitionNames)); err != nil {
		return nil, errs.Invalid("disable load partitions if partition key mode is used")
	}
	return p.load(ctx, req.DbName, req.CollectionName, req.ResourceGroups, &pb.LoadRequest{
		Partitions: req.PartitionNames, Replicas: req.ReplicaNumber, Fields: req.LoadFields, Refresh: req.Refresh,
	})
}

func (p *Proxy) load(ctx context.Context, db, name string, groups []string, req *pb.LoadRequest) (*commonpb.Status, error) {
	c, err := p.collection(db, name)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g != defaultGroup && g != "" {
			return nil, errs.Input(300, "resource group not found[rg=%s]", g)
		}
	}
	req.Collection = ref(db, c.Name)
	ack, err := p.deps.Peers.Coordinator().Load(ctx, req)
	return success(), p.changed(ctx, ack, err)
}

// ReleaseCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) ReleaseCollection(ctx context.Context, req *milvuspb.ReleaseCollectionRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().Release(ctx, &pb.ReleaseRequest{Collection: ref(c.DB, c.Name)})
	return success(), p.changed(ctx, ack, err)
}

// ReleasePartitions implements milvuspb.MilvusServiceServer.
func (p *Proxy) ReleasePartitions(ctx context.Context, req *milvuspb.ReleasePartitionsRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	switch {
	case len(req.PartitionNames) == 0:
		return nil, errs.Invalid("due to no partition specified: invalid parameter[expected=any partition][actual=empty partition]")
	case partitionKeyField(c) != 0:
		return nil, errs.Invalid("disable release partitions if partition key mode is used")
	}
	ack, err := p.deps.Peers.Coordinator().Release(ctx, &pb.ReleaseRequest{Collection: ref(c.DB, c.Name), Partitions: req.PartitionNames})
	return success(), p.changed(ctx, ack, err)
}

// GetLoadingProgress implements milvuspb.MilvusServiceServer. SDKs poll it after a load until it says 100.
func (p *Proxy) GetLoadingProgress(ctx context.Context, req *milvuspb.GetLoadingProgressRequest) (*milvuspb.GetLoadingProgressResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	st, err := p.loadState(ctx, c, req.PartitionNames)
	if err != nil {
		return nil, err
	}
	if !st.Requested {
		if len(req.PartitionNames) > 0 && c.Load != nil {
			return nil, errs.Input(errs.PartitionNotLoaded, "partition not loaded[partition=%v]", req.PartitionNames)
		}
		return nil, collectionNotLoaded(c)
	}
	if st.Progress >= 100 {
		if err := p.catchUp(ctx); err != nil { // so that a search that comes next finds the views
			return nil, err
		}
	}
	return &milvuspb.GetLoadingProgressResponse{Status: success(), Progress: int64(st.Progress), RefreshProgress: int64(st.Progress)}, nil
}

// loadState asks how far a collection, or some partitions, are loaded. With a partition key all partitions are loaded
// together: names need only exist.
func (p *Proxy) loadState(ctx context.Context, c *catalog.Collection, names []string) (*pb.LoadStateResponse, error) {
	if partitionKeyField(c) != 0 {
		if _, err := partitionIDs(c, names); err != nil {
			return nil, err
		}
		names = nil
	}
	return p.deps.Peers.Coordinator().LoadState(ctx, &pb.LoadStateRequest{Collection: ref(c.DB, c.Name), Partitions: names})
}

// GetLoadState implements milvuspb.MilvusServiceServer. What is not there or not loaded is a state, no failure.
func (p *Proxy) GetLoadState(ctx context.Context, req *milvuspb.GetLoadStateRequest) (*milvuspb.GetLoadStateResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if errs.Is(err, errs.CollectionNotFound) {
		return &milvuspb.GetLoadStateResponse{Status: success(), State: commonpb.LoadState_LoadStateNotExist}, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := p.loadState(ctx, c, req.PartitionNames)
	if err != nil {
		return nil, err
	}
	state := commonpb.LoadState_LoadStateLoading
	switch {
	case !st.Requested:
		state = commonpb.LoadState_LoadStateNotLoad
	case st.Progress >= 100:
		state = commonpb.LoadState_LoadStateLoaded
	}
	return &milvuspb.GetLoadStateResponse{Status: success(), State: state}, nil
}

// GetReplicas implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetReplicas(_ context.Context, req *milvuspb.GetReplicasRequest) (*milvuspb.GetReplicasResponse, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	if err != nil {
		return nil, err
	}
	byReplica := map[int]*milvuspb.ReplicaInfo{}
	var order []int
	for _, v := range p.deps.Cache.Views(c.ID) {
		info := byReplica[v.Replica]
		if info == nil {
			info = &milvuspb.ReplicaInfo{ReplicaID: c.ID<<8 | int64(v.Replica), CollectionID: c.ID, PartitionIds: loadedPartitions(c), ResourceGroupName: defaultGroup}
			byReplica[v.Replica] = info
			order = append(order, v.Replica)
		}
		shard := &milvuspb.ShardReplica{LeaderID: v.Leader, NodeIds: viewNodes(v), DmChannelName: virtualChannel(c.ID, v.Shard, c.ShardLogs[v.Shard])}
		if n := p.deps.Cache.Node(catalog.RoleQueryNode, v.Leader); n != nil {
			shard.LeaderAddr = n.Addr
		}
		info.ShardReplicas = append(info.ShardReplicas, shard)
		info.NodeIds = append(info.NodeIds, shard.NodeIds...)
	}
	if len(order) == 0 {
		return nil, errs.Input(errs.ReplicaNotFound, "replica not found[collection=%d]", c.ID)
	}
	out := &milvuspb.GetReplicasResponse{Status: success()}
	slices.Sort(order)
	for _, r := range order {
		info := byReplica[r]
		slices.Sort(info.NodeIds)
		info.NodeIds = slices.Compact(info.NodeIds)
		out.Replicas = append(out.Replicas, info)
	}
	return out, nil
}

func loadedPartitions(c *catalog.Collection) []int64 {
	var out []int64
	for _, part := range livePartitions(c) {
		if partitionLoaded(c, part.ID) {
			out = append(out, part.ID)
		}
	}
	return out
}

// viewNodes are the nodes that have a part in a view, by id.
func viewNodes(v *catalog.View) []int64 {
	out := []int64{v.Leader}
	for _, nodes := range v.Segments {
		if len(nodes) > 0 {
			out = append(out, nodes[0])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
