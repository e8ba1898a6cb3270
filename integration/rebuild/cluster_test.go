package rebuild

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

// TestClusterLosesEtcd: every process of a cluster is killed under load and etcd starts anew, empty. With GYR_LONG it runs on
// Kafka too.
func TestClusterLosesEtcd(t *testing.T) {
	queues := []string{"woodpecker"}
	if os.Getenv("GYR_LONG") != "" {
		queues = append(queues, "kafka")
	}
	for _, queue := range queues {
		t.Run(queue, func(t *testing.T) { clusterLosesEtcd(t, queue) })
	}
}

func clusterLosesEtcd(t *testing.T, queue string) {
	t.Setenv("GYR_COORDINATOR_CATALOGCOPY_AFTERCHANGE", "200ms")
	cluster := harness.StartCluster(t, harness.ClusterSpec{MQ: queue, Coordinators: 1, Proxies: 1, DataNodes: 2, QueryNodes: 1, IndexNodes: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := client.Dial(cluster.Proxies[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	prepare(ctx, t, c)
	w := &crash.Workload{Model: crash.NewModel(16), Collection: name, Addrs: cluster.Proxies, Writers: 4}
	work, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.Run(work, t, 1) }()
	time.Sleep(5 * time.Second)
	coordinator, etcd := cluster.ByRole("coordinator")[0], cluster.ByRole("etcd")[0]

	// While processes run, or while there is a catalog, nothing is rebuilt.
	args := append([]string{"catalog", "rebuild", "--role", "coordinator"}, coordinator.Args()...)
	code, out := ctl(t, coordinator.Env(), args...)
	say(t, code, 2, out, "processes are running")

	for _, m := range cluster.Members {
		if !stays(m) {
			m.Kill()
		}
	}
	stop()
	<-done
	if err := os.RemoveAll(cluster.Dir("etcd")); err != nil {
		t.Fatal(err)
	}
	etcd.Restart(t)
	code, out = ctl(t, coordinator.Env(), args...)
	say(t, code, 0, out, "Restored catalog/", "2 collections (1 of them to be loaded), 1 aliases")
	for _, m := range cluster.Members {
		if !stays(m) && m.Role != "etcd" {
			m.Restart(t)
		}
	}
	check(ctx, t, c, w, 0)
	if w.Acks.Load() < 50 {
		t.Fatalf("only %d writes were acknowledged: the test has no bite", w.Acks.Load())
	}
	t.Logf("%d acknowledged requests, %d rows at the end", w.Acks.Load(), w.Model.Len())
}

// stays says that a member is storage that is not lost.
func stays(m *harness.Member) bool { return m.Role == "s3" || m.Role == "kafka" }
