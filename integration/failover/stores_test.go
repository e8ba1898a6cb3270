package failover

import (
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
)

// storeAway: a server that Gyr stands on (etcd or S3) stands still, or dies and comes back, for 6 s (30 s in the long
// run) under load. Every call ends within 10 s, by success or by a retriable Status; no process exits; writes and Strong
// searches succeed again within 5 s of its return; no process grows by 200 MB; nothing acknowledged is lost.
func storeAway(role string, dies bool) func(*testing.T, *stand) {
	return func(t *testing.T, s *stand) {
		name, busy := role+"search", role+"insert"
		f := NewField(2000, 16, 10, 4)
		s.create(t, client.Spec{Name: name, Dim: 16, Shards: 2, Consistent: commonpb.ConsistencyLevel_Bounded}, 1, f)
		ctx := s.create(t, client.Spec{Name: busy, Dim: 8, Shards: 4, Consistent: commonpb.ConsistencyLevel_Strong}, 1, nil)
		w := s.writer(busy, 40)
		l := NewLoad(ctx)
		l.Go("search", 4, 10*time.Millisecond, s.search(f, name))
		l.Go("insert", 4, 10*time.Millisecond, w.insert)
		l.Go("ddl", 1, 200*time.Millisecond, s.ddl)
		time.Sleep(time.Second)
		small := s.sizes(t)
		server := s.cluster.ByRole(role)[0]
		away := time.Now()
		if dies {
			server.Kill()
		} else {
			server.Signal(syscall.SIGSTOP)
		}
		time.Sleep(lasts(6*time.Second, 30*time.Second))
		if dies {
			server.Restart(s.owner)
		} else {
			server.Signal(syscall.SIGCONT)
		}
		back := time.Now()
		time.Sleep(5 * time.Second)
		big := s.sizes(t)
		l.Stop()

		all := l.Calls().EndedAfter(away)
		t.Logf("%s away for %s: %s; longest call %s", role, ms(back.Sub(away)), all, ms(all.Longest()))
		for _, what := range []string{"insert", "search"} {
			first, ok := all.Of(what).Since(back).Good().FirstEnd()
			t.Logf("first %s %s after its return (%v)", what, ms(first.Sub(back)), ok)
			if !ok || first.Sub(back) > 5*time.Second {
				t.Errorf("no %s within 5 s of its return:%s", what, all.Of(what).Since(back).Bad().Examples(back))
			}
		}
		if hard := all.Except(OK, Retriable); len(hard) > 0 {
			t.Errorf("neither success nor a retriable Status within 10 s: %s%s%s", hard, hard.Except(Late).Examples(away), hard.Examples(away))
		}
		for pid, mb := range small {
			if grown := big[pid] - mb; grown > 200 {
				t.Errorf("process %s grew from %d to %d MB", pid, mb, big[pid])
			}
		}
		t.Logf("memory in MB before: %v, after: %v", small, big)
		check(ctx, t, s.clients[0], busy, w.model)
	}
}

// sizes is the resident memory of Gyr's processes in MB, by name. A process that has ended fails the test.
func (s *stand) sizes(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, m := range s.cluster.Members {
		if m.Metrics == "" {
			continue // a server, not Gyr
		}
		if m.Ended() {
			t.Errorf("%s has ended", m.Name)
			continue
		}
		out[m.Name] = rss(t, m.Pid())
	}
	return out
}
