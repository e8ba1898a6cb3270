// Package background checks that what the system does in the background is never seen by those who read: while rows
// are sealed, indexed, compacted, loaded and their old files collected, every read succeeds and is complete.
package background

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

const (
	dim    = 16
	stable = 300 // keys below are written once, before everything
)

// tables are the collections under test; each is written and read by everybody.
var tables = []string{"FLAT", "HNSW"}

// stand is a running system.
type stand struct {
	t       *testing.T
	clients []*client.Client // one per proxy
	cluster *harness.Cluster // nil: standalone
	model   map[string]*crash.Model
	failed  atomic.Int64
	counts  counts
	times   times
}

// change reports a change that failed. While coordinators die one may have got an honest error: nobody knows whether it
// happened.
func (s *stand) change(what string, err error) {
	if s.cluster != nil && (strings.Contains(err.Error(), "is not reachable") || strings.Contains(err.Error(), "lost its leadership")) {
		s.t.Logf("%s, while coordinators die: %v", what, err)
		return
	}
	s.fail("%s: %v", what, err)
}

// counts say how much was done.
type counts struct{ writes, searches, queries, scans, flushes, compactions, loads atomic.Int64 }

// fail reports a read or write that was wrong; a few are enough.
func (s *stand) fail(format string, args ...any) {
	if s.failed.Add(1) <= 10 {
		s.t.Errorf(format, args...)
	}
}

// call bounds one request.
func call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
}

func (s *stand) any(n int) *client.Client { return s.clients[n%len(s.clients)] }

// constantly makes garbage collection and what makes garbage run all the time.
func constantly(t *testing.T) {
	t.Setenv("GYR_COORDINATOR_GC_INTERVAL", "200ms")
	t.Setenv("GYR_COORDINATOR_GC_GRACE", "300ms")
	t.Setenv("GYR_COORDINATOR_CATALOGCOPY_INTERVAL", "2s") // what a copy names is no garbage until two newer ones are there
	t.Setenv("GYR_COORDINATOR_COMPACTION_RETENTION", "5s")
}

func TestStandalone(t *testing.T) {
	constantly(t)
	st := harness.StartStandalone(t, t.TempDir())
	s := newStand(t, st.Addr)
	s.run(nil)
	if st.Ended() {
		t.Fatal("the process has ended")
	}
	s.finish([]*harness.Process{st.Process}, st.Addr)
}

func TestCluster(t *testing.T) {
	constantly(t)
	t.Setenv("GYR_QUERYNODE_RETIREAFTER", "1s")
	cl := harness.StartCluster(t, harness.ClusterSpec{})
	s := newStand(t, cl.Proxies...)
	s.cluster = cl
	s.run(s.restartCoordinators)
	var all []*harness.Process
	for _, m := range cl.Members {
		if m.Ended() {
			t.Errorf("%s has ended", m.Name)
		}
		all = append(all, m.Process)
	}
	s.finish(all, cl.Proxies[0])
}

func newStand(t *testing.T, addrs ...string) *stand {
	s := &stand{t: t, model: map[string]*crash.Model{}}
	for _, addr := range addrs {
		c, err := client.Dial(addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s.clients = append(s.clients, c)
	}
	for _, table := range tables {
		s.create(table)
	}
	return s
}

// create makes a collection with the stable rows in it.
func (s *stand) create(table string) {
	ctx, cancel := call(context.Background())
	defer cancel()
	c, m := s.any(0), crash.NewModel(dim)
	s.model[table] = m
	if err := c.Create(ctx, client.Spec{Name: table, Dim: dim, Shards: 2, Index: table, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		s.t.Fatal(err)
	}
	var rows []client.Row
	for key := range int64(stable) {
		rows = append(rows, m.Row(key, 1))
	}
	if err := c.InsertRows(ctx, table, rows); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range rows {
		m.Acked(r.Key, 1)
	}
}

// lasts is the time that the background works.
func lasts() time.Duration {
	if os.Getenv("GYR_LONG") != "" {
		return 5 * time.Minute
	}
	return 20 * time.Second
}

// run works and reads for a while; extra may do more meanwhile.
func (s *stand) run(extra func(context.Context)) {
	ctx, stop := context.WithTimeout(s.t.Context(), lasts())
	defer stop()
	var wg sync.WaitGroup
	for _, table := range tables {
		for i := range 2 {
			wg.Go(func() { s.write(ctx, table, i) })
		}
		wg.Go(func() { s.flush(ctx, table) })
		wg.Go(func() { s.compact(ctx, table) })
		wg.Go(func() { s.search(ctx, table) })
		wg.Go(func() { s.query(ctx, table) })
		wg.Go(func() { s.scan(ctx, table) })
	}
	wg.Go(func() { s.load(ctx) })
	if extra != nil {
		wg.Go(func() { extra(ctx) })
	}
	wg.Wait()
	c := &s.counts
	s.t.Logf("%d writes, %d searches, %d queries, %d pairs of pinned scans; %d flushes, %d compactions, %d loads of another collection",
		c.writes.Load(), c.searches.Load(), c.queries.Load(), c.scans.Load(), c.flushes.Load(), c.compactions.Load(), c.loads.Load())
	s.t.Log(s.times.String())
	if c.writes.Load() < 50 || c.searches.Load() < 50 || c.queries.Load() < 50 || c.scans.Load() < 5 || c.flushes.Load() < 5 || c.compactions.Load() < 2 || c.loads.Load() < 1 {
		s.t.Error("the test has no bite")
	}
	if n := s.failed.Load(); n > 0 {
		s.t.Errorf("%d reads and writes were wrong", n)
	}
}

// restartCoordinators kills the leader or stops it in order, by turns.
func (s *stand) restartCoordinators(ctx context.Context) {
	for n := 0; ; n++ {
		pause(ctx, 5*time.Second)
		if ctx.Err() != nil {
			return
		}
		for _, m := range s.cluster.ByRole("coordinator") {
			if n%2 == 0 {
				m.Kill()
			} else {
				m.Signal(syscall.SIGTERM)
				if code, err := m.Wait(20 * time.Second); err != nil || code != 0 {
					s.t.Errorf("%s ends in order with %d, %v", m.Name, code, err)
				}
			}
			pause(ctx, time.Second)
			m.Restart(s.t)
			pause(ctx, time.Second)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// times are how long reads took.
type times struct {
	mu  sync.Mutex // guards all
	all map[string][]time.Duration
}

// since notes the time of a read that began at begin.
func (x *times) since(what string, begin time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all == nil {
		x.all = map[string][]time.Duration{}
	}
	x.all[what] = append(x.all[what], time.Since(begin))
}

func (x *times) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []string
	for what, d := range x.all {
		slices.Sort(d)
		out = append(out, fmt.Sprintf("%s: median %s, 99 %% %s, longest %s", what, ms(d[len(d)/2]), ms(d[len(d)*99/100]), ms(d[len(d)-1])))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
