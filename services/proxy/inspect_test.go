package proxy

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// inspectPeers have a coordinator that answers Inspect only.
type inspectPeers struct {
	worldPeers
	pb.UnimplementedCoordinatorServer
	err error
}

func (p *inspectPeers) Coordinator() pb.CoordinatorClient { return rpc.LocalCoordinator{Server: p} }

func (p *inspectPeers) Inspect(_ context.Context, req *pb.InspectRequest) (*pb.InspectResponse, error) {
	if p.err != nil {
		return nil, p.err
	}
	if req.What == "problems" {
		return &pb.InspectResponse{Json: []byte(`{"problems":["the disk is full"]}`)}, nil
	}
	return &pb.InspectResponse{Json: []byte(`{"asked":"` + req.What + `"}`)}, nil
}

func TestInspect(t *testing.T) {
	w := newWorld(t)
	peers := &inspectPeers{worldPeers: worldPeers{w}}
	p := New(Config{}, Deps{Cache: w.cache, Meta: w.store, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
	ask := func(what string) (string, error) {
		resp, err := p.GetMetrics(t.Context(), &milvuspb.GetMetricsRequest{Request: `{"metric_type":"` + what + `"}`})
		if err != nil {
			return "", err
		}
		return resp.Response, nil
	}
	for _, what := range []string{"status", "gc"} {
		if got, err := ask("gyr." + what); err != nil || got != `{"asked":"`+what+`"}` {
			t.Fatalf("gyr.%s: %s, %v", what, got, err)
		}
	}
	peers.err = errs.Invalid("nothing to inspect is called that")
	if _, err := ask("gyr.status"); errs.CodeOf(err) != errs.InvalidParameter {
		t.Fatalf("a refusal: %v", err)
	}

	// The leader is registered and does not answer.
	peers.err = errs.New(errs.Unavailable, "connection refused")
	problems := reduced(t, ask)
	if !strings.HasPrefix(problems[0], "the coordinator has no leader: node 1 at coordinator is registered, but does not answer (connection refused)") {
		t.Fatalf("problems: %q", problems)
	}
	if _, err := ask("gyr.gc"); errs.CodeOf(err) != errs.Unavailable {
		t.Fatalf("gc without a leader: %v", err)
	}

	// Its lease has ended, and log 1 has lost its owner.
	rev, _, err := w.store.Txn(t.Context(), nil, []meta.Op{{Key: catalog.LeaderKey, Delete: true}, {Key: catalog.OwnerKey(1), Delete: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cache.WaitRevision(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	problems = reduced(t, ask)
	all := strings.Join(problems, "\n")
	if !strings.HasPrefix(all, "the coordinator has no leader: writes wait") || strings.Count(all, "no leader") != 1 || !strings.Contains(all, "log 1 has no owner") {
		t.Fatalf("problems: %q", problems)
	}
}

// TestCheckHealthSaysWhatStatusSays: the coordinator's sentences, and without a coordinator the proxy's own.
func TestCheckHealthSaysWhatStatusSays(t *testing.T) {
	w := newWorld(t)
	peers := &inspectPeers{worldPeers: worldPeers{w}}
	p := New(Config{}, Deps{Cache: w.cache, Meta: w.store, Peers: peers, Logger: slog.New(slog.DiscardHandler)})
	for _, tc := range []struct {
		err    error
		leased bool
		want   string
	}{
		{nil, true, "the disk is full"},
		{nil, false, "this proxy has no lease in the metadata store; the disk is full"},
		{errs.New(errs.Unavailable, "connection refused"), true, "does not answer (connection refused)"},
		{errs.Invalid("no such question"), true, "does not say what is wrong"},
	} {
		peers.err = tc.err
		p.leased.Store(tc.leased)
		r, err := p.CheckHealth(t.Context(), &milvuspb.CheckHealthRequest{})
		if all := strings.Join(r.GetReasons(), "; "); err != nil || r.IsHealthy || !strings.Contains(all, tc.want) {
			t.Errorf("%v: %v %q, %v; want %q", tc.err, r.GetIsHealthy(), all, err, tc.want)
		}
	}
}

// reduced asks for the status and returns its problems, of which there must be some.
func reduced(t *testing.T, ask func(string) (string, error)) []string {
	t.Helper()
	raw, err := ask("gyr.status")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Nodes    map[string][]struct{ ID int64 } `json:"nodes"`
		Logs     []struct{ Number int }          `json:"logs"`
		Problems []string                        `json:"problems"`
	}
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Nodes["querynode"]) != worldNodes || len(r.Logs) != 2 || len(r.Problems) == 0 {
		t.Fatalf("the reduced report is %s", raw)
	}
	return r.Problems
}
