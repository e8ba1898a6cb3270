package consistency

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// Bounded reads may be as old as the graceful time; the margin is for the clocks and scheduling of a busy machine.
const (
	gracefulTime  = 5 * time.Second
	boundedMargin = 500 * time.Millisecond
)

// marks remembers when which version of a key was acknowledged.
type marks struct {
	mu    sync.Mutex
	at    []time.Time
	acked []int64
}

func (m *marks) add(version int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.acked = append(m.at, time.Now()), append(m.acked, version)
}

// before is the newest version that was acknowledged before a time.
func (m *marks) before(when time.Time) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := int64(Absent)
	for i, at := range m.at {
		if at.Before(when) {
			v = m.acked[i]
		}
	}
	return v
}

// when is the time at which a version was acknowledged.
func (m *marks) when(version int64) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range m.acked {
		if v == version {
			return m.at[i]
		}
	}
	return time.Now()
}

// bounded: a Bounded read shows every write that was acknowledged 5.5 s before it began, and never goes back by more.
func bounded(t *testing.T, s *system) {
	const name, key = "bounded", 7
	ctx := s.create(t, name, 1)
	work, stop := context.WithTimeout(ctx, lasts(8*time.Second, time.Minute))
	defer stop()
	var m marks
	var reads atomic.Int64
	var oldest atomic.Int64 // ns
	var wg sync.WaitGroup
	wg.Go(func() {
		for v := int64(1); work.Err() == nil; v++ {
			if _, err := upsert(work, s.clients[0], name, row(key, v)); err == nil {
				m.add(v)
			}
			sleep(work, 20*time.Millisecond)
		}
	})
	for i := range 3 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 5))
			for work.Err() == nil {
				c, proxy := s.any(rng)
				begin := time.Now()
				rows, _, err := query(work, c, ask{name: name, expr: "key == 7", level: commonpb.ConsistencyLevel_Bounded})
				if err != nil {
					sleep(work, 20*time.Millisecond)
					continue
				}
				reads.Add(1)
				got := one(rows)
				if got != Absent && got != Doubled {
					oldest.Store(max(oldest.Load(), int64(begin.Sub(m.when(got+1)))))
				}
				if want := m.before(begin.Add(-gracefulTime - boundedMargin)); got < want {
					t.Errorf("a Bounded read through proxy %d shows version %d; %d was acknowledged %s before it began", proxy+1, got, want, begin.Sub(m.when(want)))
					return
				}
				sleep(work, 10*time.Millisecond)
			}
		})
	}
	s.flushing(work, &wg, name, time.Second)
	wg.Wait()
	t.Logf("%d Bounded reads, the oldest %s behind", reads.Load(), time.Duration(oldest.Load()).Round(time.Millisecond))
	if reads.Load() < 50 || m.before(time.Now()) < 20 {
		t.Errorf("%d reads and %d writes: the test has no bite", reads.Load(), m.before(time.Now()))
	}
}

// withoutOwner: while every data node stands still for 4 s, Eventually answers within 1 s, and Strong waits or answers
// a retriable Status within its own deadline of 2 s; if it answers rows they are the right ones. Within 5 s of the data
// nodes' return Strong is right again.
func withoutOwner(t *testing.T, s *system) {
	const name = "noowner"
	ctx := s.create(t, name, 2)
	for key := range int64(20) {
		if _, err := upsert(ctx, s.clients[0], name, row(key, 100+key)); err != nil {
			t.Fatal(err)
		}
	}
	all := ask{name: name, expr: "key >= 0", level: commonpb.ConsistencyLevel_Strong}
	for _, c := range s.clients { // each proxy knows the collection and a pair of each log
		if rows, _, err := query(ctx, c, all); err != nil || len(rows) != 20 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
	}
	owners := s.cluster.ByRole("datanode")
	signal(owners, syscall.SIGSTOP)
	resumed := false
	resume := func() {
		if !resumed {
			signal(owners, syscall.SIGCONT)
			resumed = true
		}
	}
	defer resume()
	begin := time.Now()
	for n := 0; time.Since(begin) < lasts(4*time.Second, 20*time.Second); n++ {
		c := s.clients[n%len(s.clients)]
		eventually(ctx, t, c, all)
		strongOrNothing(ctx, t, c, all)
	}
	resume()
	begin = time.Now()
	for {
		rows, err := within(ctx, 2*time.Second, s.clients[0], all)
		if err == nil && len(rows) == 20 {
			break
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("5 s after the data nodes' return Strong answers %d rows, %v", len(rows), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("Strong answers %s after the data nodes' return", time.Since(begin).Round(time.Millisecond))
}

func signal(members []*harness.Member, sig syscall.Signal) {
	for _, m := range members {
		m.Signal(sig)
	}
}

func within(ctx context.Context, d time.Duration, c *client.Client, a ask) ([]seen, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	rows, _, err := query(ctx, c, a)
	return rows, err
}

func eventually(ctx context.Context, t *testing.T, c *client.Client, a ask) {
	t.Helper()
	a.level = commonpb.ConsistencyLevel_Eventually
	begin := time.Now()
	rows, err := within(ctx, 3*time.Second, c, a)
	if took := time.Since(begin); err != nil || len(rows) != 20 || took > time.Second {
		t.Errorf("without owner Eventually answers %d rows, %v after %s; want 20 within 1 s", len(rows), err, took.Round(time.Millisecond))
	}
}

func strongOrNothing(ctx context.Context, t *testing.T, c *client.Client, a ask) {
	t.Helper()
	begin := time.Now()
	rows, err := within(ctx, 2*time.Second, c, a)
	took := time.Since(begin)
	switch {
	case took > 2500*time.Millisecond:
		t.Errorf("Strong with a deadline of 2 s answers after %s", took)
	case err == nil && len(rows) != 20:
		t.Errorf("without owner Strong answers %d of 20 rows", len(rows))
	case err != nil && !mayWait(err):
		t.Errorf("without owner Strong answers %v; want rows, a retriable Status, or nothing until the deadline", err)
	}
}
