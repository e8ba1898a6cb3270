package proxy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/version"
)

// internal is what other processes of the cluster may ask of a proxy.
type internal struct {
	pb.UnimplementedProxyServer
	p *Proxy
}

// SyncCatalog answers when requests that begin from now on see the catalog of that revision.
func (i internal) SyncCatalog(ctx context.Context, req *pb.SyncCatalogRequest) (*pb.SyncCatalogResponse, error) {
	if err := i.p.deps.Cache.WaitRevision(ctx, req.Revision); err != nil {
		return nil, err
	}
	return &pb.SyncCatalogResponse{Revision: i.p.deps.Cache.Revision()}, nil
}

// nodeStatus is what gyr-ctl shows of a proxy.
type nodeStatus struct {
	Node     int64         `json:"node"`
	Role     string        `json:"role"`
	Version  string        `json:"version"`
	Uptime   time.Duration `json:"uptime_ns"`
	Leased   bool          `json:"leased"`
	Revision int64         `json:"catalog_revision"`
	Requests int           `json:"requests"`
	Bytes    int64         `json:"request_bytes"`
	Logs     []logStatus   `json:"logs,omitempty"`
}

// NodeStatus implements pb.ProxyServer.
func (i internal) NodeStatus(context.Context, *pb.NodeStatusRequest) (*pb.NodeStatusResponse, error) {
	p := i.p
	st := nodeStatus{
		Node: p.cfg.NodeID, Role: "proxy", Version: version.String(), Uptime: time.Since(p.started),
		Leased: p.leased.Load(), Revision: p.deps.Cache.Revision(), Logs: p.reads.status(),
	}
	st.Requests, st.Bytes = p.gate.load()
	raw, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return &pb.NodeStatusResponse{StatusJson: raw}, nil
}
