package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/grpc"

	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/services/process"
)

// fakeProxy answers GetMetrics by metric type.
type fakeProxy struct {
	milvuspb.UnimplementedMilvusServiceServer
	answers map[string]string
	status  *commonpb.Status
}

func (p *fakeProxy) GetMetrics(_ context.Context, req *milvuspb.GetMetricsRequest) (*milvuspb.GetMetricsResponse, error) {
	var ask struct {
		Type string `json:"metric_type"`
	}
	if err := json.Unmarshal([]byte(req.Request), &ask); err != nil {
		return nil, err
	}
	return &milvuspb.GetMetricsResponse{Status: p.status, Response: p.answers[ask.Type]}, nil
}

// serve starts a proxy that gives these answers and returns its address.
func serve(t *testing.T, p *fakeProxy) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if p.status == nil {
		p.status = &commonpb.Status{}
	}
	s := grpc.NewServer()
	milvuspb.RegisterMilvusServiceServer(s, p)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

// run calls gyr-ctl.
func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	level := "info"
	roles := []process.Role{
		{Name: "gyr-proxy", Public: true, Defaults: process.ServesAPI},
		{Name: "gyr-datanode", Register: func(s *config.Set) { s.String(&level, "dataNode.color", "a color") }},
	}
	code = Main(args, &o, &e, RoleSettings(roles, []string{"GYR_LOG_LEVEL=debug"}))
	return code, o.String(), e.String()
}

const wellJSON = `{"cluster":{"uuid":"u","logs":1},"leader":{"id":2,"addr":"h:2"},
 "nodes":{"proxy":[{"id":1,"addr":"h:1","started":1000}],"coordinator":[{"id":2,"addr":"h:2","started":1000},{"id":3,"addr":"h:3","started":1000}],
  "datanode":[{"id":4,"addr":"h:4","started":1000,"logs":[0,2],"draining":true}],"querynode":[{"id":5,"addr":"h:5","started":1000,"leads":1,"segments":3,"bytes":2097152}]},
 "logs":[{"number":0,"url":"woodpecker:///d","owner":4,"epoch":3,"checkpoint":17,"truncated":5,"shards":1},{"number":1,"url":"woodpecker:///d","owner":null}],
 "collections":[{"db":"default","name":"b","state":"ready","shards":[{"index":0,"segments":1}]},
  {"db":"default","name":"a","loaded":true,"progress":100,"shards":[{"index":0,"log":0,"segments":2,"rows":1000,"bytes":3221225472,"unindexed":1,"views":[{"replica":0,"number":9,"leader":5}]}]}],
 "tasks":[{"id":7,"kind":"index","state":"running","attempt":2,"progress":0.5,"failures":1,"error":"disk is full"}],
 "problems":null}`

func TestStatusTables(t *testing.T) {
	var r Report
	if err := json.Unmarshal([]byte(wellJSON), &r); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.print(&out, time.UnixMilli(61_000))
	want := `ROLE         NODE  ADDRESS  UP    DOING
proxy        1     h:1      1m0s  
coordinator  2     h:2      1m0s  leads
coordinator  3     h:3      1m0s  stands by
datanode     4     h:4      1m0s  owns logs [0 2], draining
querynode    5     h:5      1m0s  leads 1 views, serves 3 segments, 2.0 MiB

LOG  OWNER  EPOCH  CHECKPOINT  TRUNCATED  SHARDS  QUEUE
0    4      3      17          5          1       woodpecker:///d
1    none   0      0           0          0       woodpecker:///d

COLLECTION  STATE         SHARD  LOG  SEGMENTS  SEALED ROWS  BYTES    UNINDEXED  VIEWS
default.a   loaded 100 %  0      0    2         1000         3.0 GiB  1          #9 on 5
default.b   ready         0      0    1         0            0 KiB    0          

TASK  KIND   STATE    DONE  ATTEMPT  FAILURES  ERROR
7     index  running  50 %  2        1         disk is full

All is well.
`
	if out.String() != want {
		t.Fatalf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestExitCodes(t *testing.T) {
	well := serve(t, &fakeProxy{answers: map[string]string{
		"gyr.status": wellJSON,
		"gyr.gc":     `[{"key":"segments/1/x","size":2048,"remove":true,"why":"nothing names it"},{"key":"segments/2/y","size":1,"why":"a manifest names it"}]`,
	}})
	ill := serve(t, &fakeProxy{answers: map[string]string{"gyr.status": `{"problems":["log 1 has no owner: writes wait","no querynode is live"]}`}})
	refuses := serve(t, &fakeProxy{status: &commonpb.Status{Code: 5, Reason: "no such thing"}})
	garbled := serve(t, &fakeProxy{answers: map[string]string{"gyr.status": "<html>"}})
	cases := []struct {
		args string
		code int
		want string // in stdout or stderr
	}{
		{"status --address " + well, exitFine, "All is well."},
		{"status --json --address " + well, exitFine, `"uuid":"u"`},
		{"status --address " + ill, exitProblem, "What is wrong:\n  - log 1 has no owner: writes wait\n  - no querynode is live\n"},
		{"status --json --address " + ill, exitProblem, `"problems":["log 1`},
		{"status --address " + refuses, exitUsage, "answers: no such thing"},
		{"status --address " + garbled, exitUsage, "is not understood"},
		{"status --address 127.0.0.1:1 --timeout 3s", exitUsage, "give another with --address"},
		{"status --nope", exitUsage, "flag provided but not defined"},
		{"status --help", exitFine, "Usage: gyr-ctl"},
		{"gc --dry-run --address " + well, exitFine, "1 objects (2 KiB) would be removed, 1 objects (1 KiB) stay. Nothing was removed."},
		{"gc --dry-run --json --address " + well, exitFine, `"key":"segments/1/x"`},
		{"gc --address " + well, exitUsage, "wants --dry-run"},
		{"", exitFine, "Usage: gyr-ctl"},
		{"version", exitFine, "gyr-ctl 2.6"},
		{"dance", exitUsage, `unknown command "dance"`},
		{"config", exitUsage, "usage: gyr-ctl config show"},
		{"config show --role baker", exitUsage, `no role "baker"; roles are proxy, datanode`},
		{"config show --role datanode --dance", exitUsage, "flag provided but not defined: -dance"},
		{"config show --role datanode --help", exitFine, "Usage: gyr-datanode"},
	}
	for _, c := range cases {
		code, out, errOut := run(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errOut, c.want) {
			t.Errorf("gyr-ctl %s: exit %d, want %d with %q; got:\n%s%s", c.args, code, c.code, c.want, out, errOut)
		}
	}
}

func TestVerdictsAreListed(t *testing.T) {
	var out bytes.Buffer
	printVerdicts(&out, []verdict{{Key: "a", Size: 1 << 20, Remove: true, Why: "nothing names it"}, {Key: "b", Why: "task 3 reads it"}})
	want := "WOULD   BYTES    OBJECT  WHY\nremove  1.0 MiB  a       nothing names it\nkeep    0 KiB    b       task 3 reads it\n\n" +
		"1 objects (1.0 MiB) would be removed, 1 objects (0 KiB) stay. Nothing was removed.\n"
	if out.String() != want {
		t.Fatalf("got:\n%s", out.String())
	}
}

func TestConfigShowNamesOrigins(t *testing.T) {
	for _, args := range [][]string{
		{"config", "show", "--role", "datanode", "--dataNode.color", "red"},
		{"config", "show", "--dataNode.color=red", "--role=gyr-datanode"},
	} {
		code, out, errOut := run(t, args...)
		if code != exitFine {
			t.Fatalf("%v: exit %d %s", args, code, errOut)
		}
		for _, want := range []string{"# flag --dataNode.color", "# env GYR_LOG_LEVEL", "# default"} {
			if !strings.Contains(out, want) {
				t.Errorf("%v: no %q in\n%s", args, want, out)
			}
		}
	}
}
