package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

// coordinatorLeader: when the leading coordinator is killed no search fails, no insert fails but by a retriable Status
// (inserts may wait for the oracle), and within 5 s collections can be created and dropped again.
func coordinatorLeader(t *testing.T, s *stand) {
	const name, busy = "coordsearch", "coordinsert"
	f := NewField(2000, 16, 10, 3)
	s.create(t, client.Spec{Name: name, Dim: 16, Shards: 2, Consistent: commonpb.ConsistencyLevel_Bounded}, 1, f)
	ctx := s.create(t, client.Spec{Name: busy, Dim: 8, Shards: 2, Consistent: commonpb.ConsistencyLevel_Strong}, 1, nil)
	w := s.writer(busy, 10)
	l := NewLoad(ctx)
	l.Go("search", 4, 5*time.Millisecond, s.search(f, name))
	l.Go("insert", 2, 10*time.Millisecond, w.insert)
	l.Go("ddl", 1, 50*time.Millisecond, s.ddl)
	time.Sleep(time.Second)
	leader := s.leader(t)
	killed := time.Now()
	leader.Kill()
	time.Sleep(lasts(6*time.Second, 15*time.Second))
	end := time.Now()
	leader.Restart(s.owner)
	time.Sleep(time.Second)
	l.Stop()
	after := l.Calls().EndedAfter(killed)
	first, ok := after.Of("ddl").Since(killed).Good().FirstEnd()
	t.Logf("kill -9 %s, the leader: %s; first DDL after %s (%v), inserts paused for %s, longest search %s", leader.Name, after,
		ms(first.Sub(killed)), ok, ms(after.Of("insert").Gap(killed, end)), ms(after.Of("search").Longest()))
	if bad := l.Calls().Of("search").Bad(); len(bad) > 0 {
		t.Errorf("searches fail:%s", bad.Examples(killed))
	}
	if d := after.Of("search").Longest(); d > time.Second {
		t.Errorf("a search took %s", ms(d))
	}
	if hard := l.Calls().Except(OK, Retriable); len(hard) > 0 {
		t.Errorf("not a retriable Status:%s", hard.Examples(killed))
	}
	if !ok || first.Sub(killed) > 5*time.Second {
		t.Errorf("no DDL within 5 s:%s", after.Of("ddl").Bad().Examples(killed))
	}
	check(ctx, t, s.clients[0], busy, w.model)
}

// ddl creates and drops a collection. What an attempt before left is dropped first.
func (s *stand) ddl(ctx context.Context, worker, n int) error {
	c := s.client(worker, n)
	name := fmt.Sprintf("ddl%d", worker)
	st, err := c.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name})
	if err := client.Check(st, err); err != nil && !absent(st) {
		return fmt.Errorf("drop: %w", err)
	}
	return c.Create(ctx, client.Spec{Name: name, Dim: 4, NoLoad: true})
}

// absent: the collection is not there.
func absent(st *commonpb.Status) bool { return st.GetCode() == 100 }
