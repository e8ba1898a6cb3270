package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
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

// CheckAll reads every row under Strong and count(*), and compares them with the model. Requests that the workload gave
// up may still be on their way, so it reads until two scans with a count between them agree.
func CheckAll(ctx context.Context, t *testing.T, c *client.Client, m *Model, name string, round int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	before := scan(ctx, t, c, name, round)
	for {
		count, err := c.Count(ctx, name)
		if err != nil {
			t.Fatalf("round %d: count(*): %v", round, err)
		}
		after := scan(ctx, t, c, name, round)
		if slices.EqualFunc(before, after, func(a, b client.Row) bool { return a.Key == b.Key && a.Version == b.Version }) {
			if count != int64(len(after)) {
				t.Fatalf("round %d: count(*) = %d between two scans that both have %d rows; the scan against the model: %v", round, count, len(after), m.Check(after))
			}
			break
		}
		before = after
	}
	if err := m.Check(before); err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
}

// scan reads every row; until the collection is served again, retriable statuses are right answers.
func scan(ctx context.Context, t *testing.T, c *client.Client, name string, round int) []client.Row {
	t.Helper()
	for {
		rows, err := c.QueryRows(ctx, name, "key >= 0", 0)
		if err == nil {
			return rows
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("round %d: scan: %v", round, err)
		}
	}
}
