package failover

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

// twoReplicas: with two replicas on two query nodes, a node that is killed (its connections break at once) fails no
// search that begins more than 0.5 s later, a node that stands still (its lease of 2 s must end first) none that begins
// more than 3 s later. Until then a search may fail by a retriable Status; an answer is never partial.
func twoReplicas(t *testing.T, s *stand) {
	const name = "tworeplicas"
	f := NewField(4000, 16, 10, 1)
	ctx := s.create(t, client.Spec{Name: name, Dim: 16, Shards: 2, Consistent: commonpb.ConsistencyLevel_Bounded}, 2, f)
	s.waitReplicas(ctx, t, name, 2)
	nodes := s.cluster.ByRole("querynode")
	l := NewLoad(ctx)
	l.Go("search", 4, 5*time.Millisecond, s.search(f, name))
	time.Sleep(time.Second)
	before := l.Calls()
	if bad := before.Bad(); len(bad) > 0 {
		t.Errorf("before any fault: %s%s", before, bad.Examples(time.Now()))
	}

	killed := time.Now()
	nodes[0].Kill()
	time.Sleep(lasts(4*time.Second, 15*time.Second))
	judge(t, "kill -9", l.Calls().EndedAfter(killed), killed, 500*time.Millisecond)
	nodes[0].Restart(s.owner)
	s.waitReplicas(ctx, t, name, 2)

	stopped := time.Now()
	nodes[1].Signal(syscall.SIGSTOP)
	time.Sleep(lasts(5*time.Second, 15*time.Second))
	nodes[1].Signal(syscall.SIGCONT)
	time.Sleep(time.Second)
	l.Stop()
	judge(t, "standstill", l.Calls().EndedAfter(stopped), stopped, 3*time.Second)
}

// judge looks at the searches that ended after a fault.
func judge(t *testing.T, fault string, calls Calls, at time.Time, detected time.Duration) {
	t.Helper()
	bad := calls.Bad()
	last := time.Duration(0)
	if len(bad) > 0 {
		last = bad.LastBegin().Sub(at)
	}
	t.Logf("%s: %s; the last failure began %s after it, longest search %s", fault, calls, ms(last), ms(calls.Longest()))
	if hard := calls.Except(OK, Retriable); len(hard) > 0 {
		t.Errorf("%s: not a retriable Status:%s", fault, hard.Examples(at))
	}
	if late := bad.Since(at.Add(detected)); len(late) > 0 {
		t.Errorf("%s: searches fail after %s:%s", fault, detected, late.Examples(at))
	}
	if d := calls.Since(at.Add(detected)).Longest(); d > time.Second+500*time.Millisecond {
		t.Errorf("%s: a search that began after detection took %s", fault, ms(d))
	}
	if len(calls.Good()) < 20 {
		t.Errorf("%s: only %d searches: the test has no bite", fault, len(calls.Good()))
	}
}

// waitReplicas waits until a collection is served by n replicas on n live query nodes, 15 s at most.
func (s *stand) waitReplicas(ctx context.Context, t *testing.T, name string, n int) {
	t.Helper()
	begin := time.Now()
	for {
		r, err := s.clients[0].GetReplicas(ctx, &milvuspb.GetReplicasRequest{CollectionName: name})
		var nodes []int64
		live := true
		for _, rep := range r.GetReplicas() {
			nodes = append(nodes, rep.NodeIds...)
			for _, sh := range rep.ShardReplicas {
				live = live && sh.LeaderAddr != "" // a leader that is gone has no address
			}
		}
		slices.Sort(nodes)
		if err == nil && live && len(r.Replicas) == n && len(nodes) == n && len(slices.Compact(nodes)) == n {
			return
		}
		if time.Since(begin) > 15*time.Second {
			t.Fatalf("not served by %d replicas on nodes of their own after 15 s: %v, %v", n, r.GetReplicas(), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// oneReplica: with one replica of 100,000 rows x 32 dimensions on two query nodes, results are complete again within
// 10 s of the kill of either node, and until then a search fails by a retriable Status or waits; it is never partial.
func oneReplica(t *testing.T, s *stand) {
	const name = "onereplica"
	f := NewField(100_000, 32, 10, 2)
	ctx := s.create(t, client.Spec{Name: name, Dim: 32, Shards: 2, Consistent: commonpb.ConsistencyLevel_Bounded}, 1, f)
	l := NewLoad(ctx)
	l.Go("search", 4, 20*time.Millisecond, s.search(f, name))
	time.Sleep(500 * time.Millisecond)
	for _, node := range s.cluster.ByRole("querynode") {
		killed := time.Now()
		node.Kill()
		complete := time.Duration(0)
		for time.Since(killed) < 12*time.Second {
			time.Sleep(100 * time.Millisecond)
			since := l.Calls().Since(killed)
			if bad := since.Bad(); len(since.Good()) > 20 && (len(bad) == 0 || len(since.Since(bad.LastBegin()).Good()) > 20) {
				break
			}
		}
		after := l.Calls().EndedAfter(killed)
		if first, ok := after.Since(killed).Good().FirstEnd(); ok {
			complete = first.Sub(killed)
		}
		if bad := after.Bad(); len(bad) > 0 {
			complete = max(complete, bad.LastBegin().Sub(killed))
		}
		t.Logf("kill -9 %s: complete after %s; %s; longest search %s", node.Name, ms(complete), after, ms(after.Longest()))
		if complete == 0 || complete > 10*time.Second {
			t.Errorf("kill -9 %s: not complete within 10 s:%s", node.Name, after.Bad().Examples(killed))
		}
		if hard := after.Except(OK, Retriable); len(hard) > 0 {
			t.Errorf("kill -9 %s: not a retriable Status:%s", node.Name, hard.Examples(killed))
		}
		node.Restart(s.owner)
		time.Sleep(lasts(2*time.Second, 6*time.Second)) // let rows move to the new node
	}
	l.Stop()
}
