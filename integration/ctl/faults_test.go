package ctl

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

// noticed bounds the time from a fault to its sentence: a lease of 3 s, a look of the probes, and a busy machine.
const noticed = 30 * time.Second

// healed bounds the time from a repair to "All is well.": woodpecker reads its log from storage, nodes load segments.
const healed = 40 * time.Second

// stand is a cluster with one loaded collection.
type stand struct {
	*harness.Cluster
	owner testing.TB // the test whose end ends the processes
	c     *client.Client
	ctx   context.Context
	m     *crash.Model
	next  int64
}

const collection = "faults"

func (s *stand) address() string { return s.Proxies[0] }

// insert inserts n new rows.
func (s *stand) insert(t *testing.T, n int64) {
	t.Helper()
	rows := make([]client.Row, n)
	for i := range rows {
		rows[i] = s.m.Row(s.next+int64(i), 1)
	}
	s.next += n
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if err := s.c.InsertRows(ctx, collection, rows); err != nil {
		t.Fatalf("insert: %v", err)
	}
}

func (s *stand) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if err := s.c.FlushWait(ctx, collection); err != nil {
		t.Fatalf("flush: %v", err)
	}
}

func (s *stand) kill(role string) {
	for _, m := range s.ByRole(role) {
		m.Kill()
	}
}

func (s *stand) restart(role string) {
	for _, m := range s.ByRole(role) {
		if m.Ended() {
			m.Restart(s.owner)
		}
	}
}

func (s *stand) signal(role string, sig syscall.Signal) {
	for _, m := range s.ByRole(role) {
		m.Signal(sig)
	}
}

// fault is something that is taken away and given back.
type fault struct {
	name   string
	breaks func(t *testing.T, s *stand)
	says   []string // each in some sentence
	silent []string // in none: other faults have these sentences
	mends  func(s *stand)
}

var otherFaults = map[string]string{
	"leader": "no leader", "owner": "has no owner", "querynode": "querynode", "index": "index build", "storage": "object storage",
}

// others are the words of all faults but some.
func others(own ...string) []string {
	var out []string
	for name, words := range otherFaults {
		if !strings.Contains(strings.Join(own, " "), name) {
			out = append(out, words)
		}
	}
	return out
}

func faults() []fault {
	return []fault{
		{
			name:   "NoLeader",
			breaks: func(_ *testing.T, s *stand) { s.kill("coordinator") },
			says:   []string{"the coordinator has no leader: writes wait for timestamps"},
			silent: others("leader"),
			mends:  func(s *stand) { s.restart("coordinator") },
		},
		{
			name:   "LogWithoutOwner",
			breaks: func(_ *testing.T, s *stand) { s.kill("datanode") },
			says:   []string{"no datanode is live", "log 0 has no owner: writes to its shards, and Strong reads of them, wait", "log 3 has no owner"},
			silent: others("owner"),
			mends:  func(s *stand) { s.restart("datanode") },
		},
		{
			name:   "QueryNodeDead",
			breaks: func(_ *testing.T, s *stand) { s.kill("querynode") },
			says:   []string{"no querynode is live", "collection default.faults shard 1 replica 0 is served by view"},
			silent: others("querynode"),
			mends:  func(s *stand) { s.restart("querynode") },
		},
		{
			name: "IndexBuildWaits",
			breaks: func(t *testing.T, s *stand) {
				s.kill("indexnode")
				s.insert(t, 5000)
				s.flush(t)
			},
			says:   []string{"no indexnode is live", "for an indexnode to take it"},
			silent: others("index"),
			mends:  func(s *stand) { s.restart("indexnode") },
		},
		{
			name:   "StorageHangs",
			breaks: func(_ *testing.T, s *stand) { s.signal("s3", syscall.SIGSTOP) },
			says:   []string{"object storage does not answer: nothing is sealed, loaded, indexed or compacted until it does"},
			silent: others("storage"),
			mends:  func(s *stand) { s.signal("s3", syscall.SIGCONT) },
		},
		{
			name:   "StorageDead",
			breaks: func(_ *testing.T, s *stand) { s.kill("s3") },
			says:   []string{"object storage does not answer: nothing is sealed, loaded, indexed or compacted until it does"},
			silent: others("storage"),
			mends:  func(s *stand) { s.restart("s3") },
		},
	}
}

// TestFaultsOfACluster stages one fault after the other.
func TestFaultsOfACluster(t *testing.T) {
	t.Setenv("GYR_COORDINATOR_PROBE_INTERVAL", "500ms")
	t.Setenv("GYR_COORDINATOR_PROBE_INDEXSTUCK", "2s")
	s := &stand{owner: t, m: crash.NewModel(8), Cluster: harness.StartCluster(t, harness.ClusterSpec{Proxies: 1, QueryNodes: 1})}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s.ctx = ctx
	c, err := client.Dial(s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.c = c
	if err := c.Create(ctx, client.Spec{Name: collection, Dim: 8, Shards: 2, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	s.insert(t, 500)
	s.flush(t)
	untilWell(t, s.address(), healed)
	for _, f := range faults() {
		passed := t.Run(f.name, func(t *testing.T) {
			f.breaks(t, s)
			a := untilSays(t, s.address(), noticed, f.says...)
			for _, words := range f.silent {
				if a.says(words) {
					t.Errorf("%q is said, which belongs to another fault: %s", words, a)
				}
			}
			f.mends(s)
			untilWell(t, s.address(), healed)
			// It is well indeed: a write and a Strong read go through at once.
			s.insert(t, 10)
			if n, err := s.c.Count(ctx, collection); err != nil || n != s.next {
				t.Errorf("count(*) = %d, %v; %d rows were inserted", n, err, s.next)
			}
		})
		if !passed {
			break // what follows wants a whole cluster
		}
	}
}
