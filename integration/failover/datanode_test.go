package failover

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
)

// dataNode: within 5 s of the kill of either data node every log accepts writes again, calls fail by a retriable Status
// at most, and nothing acknowledged is lost or doubled.
func dataNode(t *testing.T, s *stand) {
	const name = "datanode"
	ctx := s.create(t, client.Spec{Name: name, Dim: 8, Shards: 4, Consistent: commonpb.ConsistencyLevel_Strong}, 1, nil)
	w := s.writer(name, 40)
	l := NewLoad(ctx)
	l.Go("insert", 4, 10*time.Millisecond, w.insert)
	time.Sleep(time.Second)
	for _, node := range s.cluster.ByRole("datanode") {
		killed := time.Now()
		node.Kill()
		time.Sleep(lasts(5*time.Second, 8*time.Second))
		after := l.Calls().EndedAfter(killed)
		// A batch has rows in every shard, so each log has accepted one when it is acknowledged.
		first, ok := after.Since(killed).Good().FirstEnd()
		t.Logf("kill -9 %s: all logs accept after %s (%v); %s; longest insert %s", node.Name, ms(first.Sub(killed)), ok, after, ms(after.Longest()))
		if !ok || first.Sub(killed) > 5*time.Second {
			t.Errorf("kill -9 %s: writes are not accepted within 5 s:%s", node.Name, after.Bad().Examples(killed))
		}
		node.Restart(s.owner)
		time.Sleep(time.Second)
	}
	l.Stop()
	if hard := l.Calls().Except(OK, Retriable); len(hard) > 0 {
		t.Errorf("not a retriable Status:%s", hard.Examples(time.Now()))
	}
	check(ctx, t, s.clients[0], name, w.model)
}

// ownerPaused: a data node stands still for 10 s, which its lease of 2 s does not survive, and wakes up believing that
// it owns its logs: nothing acknowledged is lost, nothing is doubled, by whomever it was acknowledged.
func ownerPaused(t *testing.T, s *stand) {
	const name = "ownerpaused"
	ctx := s.create(t, client.Spec{Name: name, Dim: 8, Shards: 4, Consistent: commonpb.ConsistencyLevel_Strong}, 1, nil)
	w := &crash.Workload{Model: crash.NewModel(8), Collection: name, Addrs: s.cluster.Proxies, Writers: 4}
	work, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.Run(work, t, uint64(time.Now().UnixNano())) }()
	time.Sleep(500 * time.Millisecond)
	node := pick(s.cluster.ByRole("datanode"))
	before := w.Acks.Load()
	node.Signal(syscall.SIGSTOP)
	time.Sleep(10 * time.Second)
	during := w.Acks.Load() - before
	node.Signal(syscall.SIGCONT)
	time.Sleep(lasts(2*time.Second, 5*time.Second))
	stop()
	<-done
	time.Sleep(time.Second) // a write whose client has gone may still land, and shall not land between the scan and the count
	t.Logf("%s stood still for 10 s: %d requests acknowledged before, %d meanwhile, %d afterwards", node.Name, before, during, w.Acks.Load()-before-during)
	if during == 0 {
		t.Error("nothing was acknowledged in 10 s: no other data node took the logs over")
	}
	check(ctx, t, s.clients[0], name, w.Model)
}
