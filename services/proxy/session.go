package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/version"
)

// Connect implements milvuspb.MilvusServiceServer. SDKs call it first and refuse a server whose identifier is 0.
func (p *Proxy) Connect(ctx context.Context, _ *milvuspb.ConnectRequest) (*milvuspb.ConnectResponse, error) {
	if db := headerDatabase(ctx); p.deps.Cache.Database(db) == nil && db != defaultDB {
		return nil, databaseNotFound(db)
	}
	return &milvuspb.ConnectResponse{
		Status: success(), Identifier: time.Now().UnixNano(),
		ServerInfo: &commonpb.ServerInfo{
			BuildTags: version.String(), BuildTime: p.started.UTC().Format(time.RFC3339), GitCommit: version.Gyr,
			GoVersion: runtime.Version(), DeployMode: p.cfg.DeployMode,
		},
	}, nil
}

// GetVersion implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetVersion(context.Context, *milvuspb.GetVersionRequest) (*milvuspb.GetVersionResponse, error) {
	return &milvuspb.GetVersionResponse{Status: success(), Version: version.String()}, nil
}

// AllocTimestamp implements milvuspb.MilvusServiceServer.
func (p *Proxy) AllocTimestamp(ctx context.Context, _ *milvuspb.AllocTimestampRequest) (*milvuspb.AllocTimestampResponse, error) {
	ts, err := p.allocTimestamp(ctx)
	if err != nil {
		return nil, err
	}
	return &milvuspb.AllocTimestampResponse{Status: success(), Timestamp: ts}, nil
}

func (p *Proxy) allocTimestamp(ctx context.Context) (uint64, error) {
	resp, err := p.deps.Peers.Coordinator().AllocTimestamp(ctx, &pb.AllocTimestampRequest{Count: 1})
	if err != nil {
		return 0, fmt.Errorf("allocate a timestamp: %w", err)
	}
	return resp.First, nil
}

// CheckHealth implements milvuspb.MilvusServiceServer. An unhealthy cluster is a successful answer.
// It says what gyr-ctl status says.
func (p *Proxy) CheckHealth(ctx context.Context, _ *milvuspb.CheckHealthRequest) (*milvuspb.CheckHealthResponse, error) {
	reasons := p.ailments(ctx)
	return &milvuspb.CheckHealthResponse{Status: success(), IsHealthy: len(reasons) == 0, Reasons: reasons}, nil
}

const noLease = "this proxy has no lease in the metadata store"

// problems says what the cluster lacks, as far as the catalog shows.
func (p *Proxy) problems() []string {
	var out []string
	if !p.leased.Load() {
		out = append(out, noLease)
	}
	if leader, _ := p.deps.Cache.Leader(); leader == nil {
		out = append(out, "the coordinator has no leader")
	}
	for _, log := range p.deps.Cache.Logs() {
		if p.deps.Cache.Owner(log.Number) == nil {
			out = append(out, fmt.Sprintf("log %d has no owner", log.Number))
		}
	}
	if len(p.deps.Cache.Nodes(catalog.RoleQueryNode)) == 0 {
		out = append(out, "there is no query node")
	}
	return out
}

// GetComponentStates implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetComponentStates(context.Context, *milvuspb.GetComponentStatesRequest) (*milvuspb.ComponentStates, error) {
	state := commonpb.StateCode_Healthy
	if !p.serves.Load() {
		state = commonpb.StateCode_Initializing
	}
	return &milvuspb.ComponentStates{
		Status: success(), State: &milvuspb.ComponentInfo{NodeID: p.cfg.NodeID, Role: "proxy", StateCode: state},
	}, nil
}

// systemNode is one process in the answer to GetMetrics.
type systemNode struct {
	Infos      systemInfos `json:"infos"`
	Connected  []any       `json:"connected"`
	Identifier int64       `json:"identifier"`
}

type systemInfos struct {
	HasError  bool   `json:"has_error"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	ID        int64  `json:"id"`
	IP        string `json:"ip"`
	Version   string `json:"version"`
	CreatedAt string `json:"created_time"`
	Mode      string `json:"deploy_mode"`
}

// GetMetrics implements milvuspb.MilvusServiceServer for the kind of request that tools send, and for gyr-ctl.
func (p *Proxy) GetMetrics(ctx context.Context, req *milvuspb.GetMetricsRequest) (*milvuspb.GetMetricsResponse, error) {
	var ask struct {
		Type string `json:"metric_type"`
	}
	if err := json.Unmarshal([]byte(req.Request), &ask); err != nil {
		return nil, errs.Invalid("the request for metrics is no JSON object: %v", err)
	}
	if what, ok := strings.CutPrefix(ask.Type, inspectPrefix); ok {
		return p.inspect(ctx, what)
	}
	if ask.Type != "system_info" {
		return nil, errs.Input(errs.Unimplemented, "metric type %q is not supported, only system_info", ask.Type)
	}
	var nodes []systemNode
	for _, role := range []catalog.Role{catalog.RoleProxy, catalog.RoleCoordinator, catalog.RoleDataNode, catalog.RoleQueryNode, catalog.RoleIndexNode} {
		for _, n := range p.deps.Cache.Nodes(role) {
			nodes = append(nodes, systemNode{Connected: []any{}, Identifier: n.ID, Infos: systemInfos{
				Name: fmt.Sprintf("%s%d", n.Role, n.ID), Type: string(n.Role), ID: n.ID, IP: n.Addr, Version: n.Version,
				CreatedAt: time.UnixMilli(n.Started).UTC().Format(time.RFC3339), Mode: p.cfg.DeployMode,
			}})
		}
	}
	raw, err := json.Marshal(map[string]any{"nodes_info": nodes})
	if err != nil {
		return nil, err
	}
	return &milvuspb.GetMetricsResponse{Status: success(), Response: string(raw), ComponentName: "proxy"}, nil
}
