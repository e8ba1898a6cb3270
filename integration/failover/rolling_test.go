package failover

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

// rollingRestart: every process is stopped by SIGTERM and started again, one after the other as soon as CheckHealth is
// content with the cluster, under load. Each stops with exit code 0 within 10 s; no search fails of clients that ask the other proxy once more; nothing acknowledged is
// lost.
func rollingRestart(t *testing.T, s *stand) {
	const name, busy = "rollsearch", "rollinsert"
	f := NewField(4000, 16, 10, 5)
	s.create(t, client.Spec{Name: name, Dim: 16, Shards: 2, Consistent: commonpb.ConsistencyLevel_Bounded}, 1, f)
	ctx := s.create(t, client.Spec{Name: busy, Dim: 8, Shards: 4, Consistent: commonpb.ConsistencyLevel_Strong}, 1, nil)
	w := s.writer(busy, 40)
	search := s.search(f, name)
	l := NewLoad(ctx)
	l.Go("search", 4, 10*time.Millisecond, func(ctx context.Context, worker, n int) error {
		// Wide enough for both attempts: each proxy may use half of the time.
		first, cancel := context.WithTimeout(ctx, Deadline/2)
		defer cancel()
		err := search(first, worker, 2*n)
		if err == nil || kindOf(err) == Wrong {
			return err
		}
		return search(ctx, worker, 2*n+1)
	})
	l.Go("insert", 2, 20*time.Millisecond, w.insert)
	time.Sleep(time.Second)
	begin := time.Now()
	for _, m := range s.cluster.Members {
		if m.Metrics == "" {
			continue // a server, not Gyr
		}
		at := time.Now()
		m.Signal(syscall.SIGTERM)
		code, err := m.Wait(10 * time.Second)
		stopped := time.Since(at)
		if err != nil || code != 0 {
			t.Errorf("%s: exit code %d, %v after %s", m.Name, code, err, ms(stopped))
			m.Kill()
		}
		m.Restart(s.owner)
		whole := s.waitHealthy(ctx, t)
		time.Sleep(lasts(500*time.Millisecond, 5*time.Second))
		calls := l.Calls().EndedAfter(at)
		t.Logf("%s stopped in %s, the cluster was healthy after %s: %s; longest search %s, inserts paused for %s", m.Name, ms(stopped), ms(whole), calls, ms(calls.Of("search").Longest()),
			ms(calls.Of("insert").Gap(at, time.Now())))
	}
	time.Sleep(time.Second)
	l.Stop()
	if bad := l.Calls().Of("search").Bad(); len(bad) > 0 {
		t.Errorf("searches fail:%s", bad.Examples(begin))
	}
	if hard := l.Calls().Of("insert").Except(OK, Retriable, Transport); len(hard) > 0 {
		t.Errorf("inserts that do not say whether to try again:%s", hard.Examples(begin))
	}
	check(ctx, t, s.clients[0], busy, w.model)
}

// waitHealthy waits until every proxy calls the cluster healthy, 15 s at most, and returns how long that took.
func (s *stand) waitHealthy(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	for _, c := range s.clients {
		for {
			call, cancel := context.WithTimeout(ctx, 2*time.Second)
			r, err := c.CheckHealth(call, &milvuspb.CheckHealthRequest{})
			cancel()
			if err == nil && r.IsHealthy {
				break
			}
			if time.Since(begin) > 15*time.Second {
				t.Errorf("the cluster is not healthy after 15 s: %v, %v", r.GetReasons(), err)
				return time.Since(begin)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return time.Since(begin)
}
