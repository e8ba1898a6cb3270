package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// TestKillCluster kills each role, and the servers that Gyr stands on, at random instants under load.
func TestKillCluster(t *testing.T) {
	queues := []string{"woodpecker", "kafka"}
	if q := os.Getenv("GYR_TEST_QUEUES"); q != "" {
		queues = []string{q}
	}
	for _, q := range queues {
		t.Run(q, func(t *testing.T) { killCluster(t, q) })
	}
}

func killCluster(t *testing.T, queue string) {
	cl := harness.StartCluster(t, harness.ClusterSpec{MQ: queue})
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Minute)
	defer cancel()
	c, err := client.Dial(cl.Proxies[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const name = "crash"
	if err := c.Create(ctx, client.Spec{Name: name, Dim: 16, Shards: 3, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	w := &Workload{Model: NewModel(16), Collection: name, Addrs: cl.Proxies, Writers: 4}
	round := 0
	for range rounds(2, 10) {
		for _, role := range []string{"datanode", "querynode", "coordinator", "proxy", "indexnode", "s3", "etcd", "kafka"} {
			members := cl.ByRole(role)
			if only := os.Getenv("GYR_TEST_VICTIMS"); len(members) == 0 || (only != "" && !strings.Contains(only, role)) {
				continue
			}
			victim := members[rand.IntN(len(members))]
			t.Logf("round %d: kill %s", round, victim.Name)
			work, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() { defer close(done); w.Run(work, t, uint64(round)) }()
			time.Sleep(time.Duration(200+rand.IntN(800)) * time.Millisecond)
			victim.Kill()
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
			victim.Restart(t)
			time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
			stop()
			<-done
			CheckAll(ctx, t, c, w.Model, name, round)
			round++
		}
	}
	for _, m := range cl.Members {
		if m.Ended() {
			t.Errorf("%s has ended by itself:\n%s", m.Name, m.Output())
		}
	}
	if w.Acks.Load() < 100 {
		t.Fatalf("only %d writes were acknowledged: the test has no bite", w.Acks.Load())
	}
	t.Logf("%d acknowledged requests, %d rows at the end", w.Acks.Load(), w.Model.Len())
}
