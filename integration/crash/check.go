package crash

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/client"
)

// CheckAll reads every row under Strong and count(*), and compares them with the model. Requests that the workload gave
// up may still be on their way, so it reads until two scans with a count between them agree.
func CheckAll(ctx context.Context, t testing.TB, c *client.Client, m *Model, name string, round int) {
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
func scan(ctx context.Context, t testing.TB, c *client.Client, name string, round int) []client.Row {
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
