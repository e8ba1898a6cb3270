package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// rounds is short in `make test` and long in `make test-long`.
func rounds(short, long int) int {
	if os.Getenv("GYR_LONG") != "" {
		return long
	}
	return short
}

// TestKillStandalone: SIGKILL at random instants under inserts, upserts, deletes, flushes and searches.
func TestKillStandalone(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const name = "crash"
	if err := c.Create(ctx, client.Spec{Name: name, Dim: 16, Shards: 2, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	w := &Workload{Model: NewModel(16), Collection: name, Addrs: []string{s.Addr}, Writers: 4}
	for round := range rounds(10, 50) {
		work, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); w.Run(work, t, uint64(round)) }()
		time.Sleep(time.Duration(200+rand.IntN(1200)) * time.Millisecond)
		s.Kill()
		stop()
		<-done
		s.Restart(t)
		CheckAll(ctx, t, c, w.Model, name, round)
	}
	if w.Acks.Load() < 100 {
		t.Fatalf("only %d writes were acknowledged: the test has no bite", w.Acks.Load())
	}
	t.Logf("%d acknowledged requests, %d rows at the end", w.Acks.Load(), w.Model.Len())
}
