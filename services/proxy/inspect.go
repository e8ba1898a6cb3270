package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// inspectPrefix starts the metric types of GetMetrics that are Gyr's own: gyr.status and gyr.gc. gyr-ctl asks for them.
const inspectPrefix = "gyr."

// inspectTimeout is below what gyr-ctl waits, so that a coordinator that hangs does not keep this proxy from answering.
const inspectTimeout = 5 * time.Second

// inspect forwards a question to the coordinator. When no coordinator answers, this proxy tells what it knows itself.
func (p *Proxy) inspect(ctx context.Context, what string) (*milvuspb.GetMetricsResponse, error) {
	raw, err := p.askCoordinator(ctx, what)
	switch {
	case err == nil:
	case what == "status" && nobodyAnswers(err):
		if raw, err = json.Marshal(p.reducedReport(err)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("ask the coordinator: %w", err)
	}
	return &milvuspb.GetMetricsResponse{Status: success(), Response: string(raw), ComponentName: "coordinator"}, nil
}

// ailments says what is wrong with the cluster: what the coordinator's leader knows, and without one what this proxy sees.
func (p *Proxy) ailments(ctx context.Context) []string {
	var report struct {
		Problems []string `json:"problems"`
	}
	raw, err := p.askCoordinator(ctx, "problems")
	if err == nil {
		err = json.Unmarshal(raw, &report)
	}
	if err != nil {
		leader, _ := p.deps.Cache.Leader()
		if nobodyAnswers(err) {
			return p.withoutLeader(leader, err)
		}
		return append(p.problems(), fmt.Sprintf("the coordinator does not say what is wrong: %v", err))
	}
	if !p.leased.Load() {
		return append([]string{noLease}, report.Problems...)
	}
	return report.Problems
}

// askCoordinator does not wait for a leader: that there is none is the answer.
func (p *Proxy) askCoordinator(ctx context.Context, what string) ([]byte, error) {
	if leader, _ := p.deps.Cache.Leader(); leader == nil {
		return nil, errs.New(errs.Unavailable, "the coordinator has no leader at present")
	}
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	resp, err := p.deps.Peers.Coordinator().Inspect(ctx, &pb.InspectRequest{What: what})
	return resp.GetJson(), err
}

// nobodyAnswers tells that there is no coordinator to answer from one that refuses the question.
func nobodyAnswers(err error) bool {
	switch errs.CodeOf(err) {
	case errs.Unavailable, errs.NotLeader, errs.NotReady, errs.Timeout:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// reducedReport has the shape of the coordinator's status; what only the coordinator knows is left out.
type reducedReport struct {
	Cluster  *catalog.Cluster                 `json:"cluster"`
	Leader   *catalog.Node                    `json:"leader"`
	Revision int64                            `json:"revision"`
	Nodes    map[catalog.Role][]*catalog.Node `json:"nodes"`
	Logs     []reducedLog                     `json:"logs"`
	Problems []string                         `json:"problems"`
}

type reducedLog struct {
	Number int             `json:"number"`
	URL    string          `json:"url"`
	Owner  *catalog.NodeID `json:"owner"`
	Epoch  uint64          `json:"epoch"`
}

func (p *Proxy) reducedReport(why error) *reducedReport {
	cache := p.deps.Cache
	r := &reducedReport{Cluster: cache.Cluster(), Revision: cache.Revision(), Nodes: map[catalog.Role][]*catalog.Node{}}
	r.Leader, _ = cache.Leader()
	for _, role := range []catalog.Role{catalog.RoleProxy, catalog.RoleCoordinator, catalog.RoleDataNode, catalog.RoleQueryNode, catalog.RoleIndexNode} {
		r.Nodes[role] = cache.Nodes(role)
	}
	for _, log := range cache.Logs() {
		row := reducedLog{Number: log.Number, URL: log.URL, Epoch: cache.Epoch(log.Number)}
		if owner := cache.Owner(log.Number); owner != nil {
			row.Owner = &owner.Node
		}
		r.Logs = append(r.Logs, row)
	}
	r.Problems = p.withoutLeader(r.Leader, why)
	return r
}

// withoutLeader are the problems that this proxy sees, the coordinator's absence first.
func (p *Proxy) withoutLeader(leader *catalog.Node, why error) []string {
	const effect = "writes wait for timestamps, collections cannot be made, changed or loaded; reads go on"
	out := []string{"the coordinator has no leader: " + effect}
	if leader != nil {
		out[0] = fmt.Sprintf("the coordinator has no leader: node %d at %s is registered, but does not answer (%v); %s", leader.ID, leader.Addr, why, effect)
	}
	for _, problem := range p.problems() {
		if problem != "the coordinator has no leader" {
			out = append(out, problem)
		}
	}
	return out
}
