package failover

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

// lasts is short in `make test` and long in `make test-long`.
func lasts(short, long time.Duration) time.Duration {
	if os.Getenv("GYR_LONG") != "" {
		return long
	}
	return short
}

// stand is a cluster with a client per proxy.
type stand struct {
	owner   testing.TB // the test whose end ends the processes
	cluster *harness.Cluster
	clients []*client.Client
}

// TestCluster takes one thing after the other away from one cluster.
func TestCluster(t *testing.T) {
	queue := os.Getenv("GYR_TEST_QUEUES")
	if queue == "" {
		queue = "woodpecker"
	}
	s := &stand{owner: t, cluster: harness.StartCluster(t, harness.ClusterSpec{MQ: queue})}
	for _, addr := range s.cluster.Proxies {
		c, err := client.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s.clients = append(s.clients, c)
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *stand)
	}{
		{"QueryNodeOfTwoReplicas", twoReplicas},
		{"QueryNodeOfOneReplica", oneReplica},
		{"DataNode", dataNode},
		{"OwnerPaused", ownerPaused},
		{"CoordinatorLeader", coordinatorLeader},
		{"EtcdStops", storeAway("etcd", false)},
		{"EtcdDies", storeAway("etcd", true)},
		{"S3Stops", storeAway("s3", false)},
		{"S3Dies", storeAway("s3", true)},
		{"RollingRestart", rollingRestart},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, s) })
		for _, m := range s.cluster.Members {
			if m.Ended() {
				t.Errorf("%s has ended in %s:\n%s", m.Name, part.name, m.Output())
				m.Restart(t)
			}
		}
	}
}

// client is a worker's client for its n-th call: workers begin at different proxies and change between them.
func (s *stand) client(worker, n int) *client.Client { return s.clients[(worker+n)%len(s.clients)] }

// create makes a collection, fills it with a field's rows (nil: none), flushes and loads it.
func (s *stand) create(t *testing.T, spec client.Spec, replicas int32, f *Field) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	made, stop := context.WithTimeout(ctx, 90*time.Second)
	defer stop()
	c := s.clients[0]
	spec.NoLoad = true
	if err := c.Create(made, spec); err != nil {
		t.Fatalf("create %s: %v", spec.Name, err)
	}
	t.Cleanup(func() {
		gone, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, _ = c.DropCollection(gone, &milvuspb.DropCollectionRequest{CollectionName: spec.Name}) // the next test has its own
	})
	if f != nil {
		if err := f.Insert(made, c, spec.Name); err != nil {
			t.Fatalf("insert: %v", err)
		}
		if err := c.FlushWait(made, spec.Name); err != nil {
			t.Fatalf("flush: %v", err)
		}
	}
	st, err := c.LoadCollection(made, &milvuspb.LoadCollectionRequest{CollectionName: spec.Name, ReplicaNumber: replicas})
	if err := client.Check(st, err); err != nil {
		t.Fatalf("load: %v", err)
	}
	if err := c.Load(made, spec.Name); err != nil { // waits
		t.Fatal(err)
	}
	return ctx
}

// search is a load's search of a field: even workers read under Strong, odd ones under Bounded.
func (s *stand) search(f *Field, name string) func(context.Context, int, int) error {
	return func(ctx context.Context, worker, n int) error {
		level := commonpb.ConsistencyLevel_Strong
		if worker%2 == 1 {
			level = commonpb.ConsistencyLevel_Bounded
		}
		return f.Search(ctx, s.client(worker, n), name, n, level)
	}
}

// writer inserts rows with keys that nobody else uses, and remembers them in a model.
type writer struct {
	s     *stand
	name  string
	model *crash.Model
	next  atomic.Int64
	batch int64
}

func (s *stand) writer(name string, batch int64) *writer {
	return &writer{s: s, name: name, model: crash.NewModel(8), batch: batch}
}

// insert is a load's call. The rows of a batch fall into every shard.
func (w *writer) insert(ctx context.Context, worker, n int) error {
	first := w.next.Add(w.batch) - w.batch
	rows := make([]client.Row, w.batch)
	for i := range rows {
		rows[i] = w.model.Row(1_000_000+first+int64(i), 1)
		w.model.Sent(rows[i].Key, 1)
	}
	if err := w.s.client(worker, n).InsertRows(ctx, w.name, rows); err != nil {
		return err
	}
	for _, r := range rows {
		w.model.Acked(r.Key, 1)
	}
	return nil
}

// check reads every row under Strong: within 20 s it is answered, with all that was acknowledged and nothing twice.
func check(ctx context.Context, t *testing.T, c *client.Client, name string, m *crash.Model) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		rows, err := c.QueryRows(ctx, name, "key >= 0", 0)
		if err == nil {
			if err := m.Check(rows); err != nil {
				t.Error(err)
			}
			count, err := c.Count(ctx, name)
			if err != nil || count != int64(len(rows)) {
				t.Errorf("count(*) = %d, %v; the scan has %d rows", count, err, len(rows))
			}
			t.Logf("%d rows are there at the end", len(rows))
			return
		}
		if ctx.Err() != nil {
			t.Errorf("the rows cannot be read 20 s after the fault: %v", err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// leader is the coordinator that says so of itself.
func (s *stand) leader(t *testing.T) *harness.Member {
	t.Helper()
	for range 100 {
		for _, m := range s.cluster.ByRole("coordinator") {
			if !m.Ended() && metric(m.Metrics, "gyr_coordinator_leader") == "1" {
				return m
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no coordinator leads")
	return nil
}

// metric reads one value of a process's metrics, "" if it does not answer.
func metric(addr, name string) string {
	c := http.Client{Timeout: 2 * time.Second}
	resp, err := c.Get("http://" + addr + "/metrics")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// rss is a process's resident memory in MB.
func rss(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kb / 1024
		}
	}
	return 0
}

func pick(members []*harness.Member) *harness.Member { return members[rand.IntN(len(members))] }

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
