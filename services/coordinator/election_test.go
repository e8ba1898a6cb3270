package coordinator

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

func TestFirstStart(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		cluster := w.cache.Cluster()
		if cluster == nil || cluster.Logs != 2 || cluster.Format != Format || cluster.UUID == "" {
			t.Errorf("cluster record %+v", cluster)
		}
		if w.cache.Database(DefaultDatabase) == nil {
			t.Error("no default database")
		}
		logs := w.cache.Logs()
		if len(logs) != 2 || !logs[0].Created || logs[1].UUID == logs[0].UUID || w.queue.logs[logs[1].Name] != logs[1].UUID {
			t.Errorf("logs %+v, queue %v", logs, w.queue.logs)
		}
		w.halt()
		creates := w.queue.creates
		w.start(2, func(c *Config) { c.Logs = 7 })
		if got := w.cache.Cluster(); *got != *cluster || len(w.cache.Logs()) != 2 || w.queue.creates != creates {
			t.Errorf("a restart with other settings changed the cluster: %+v, %d logs, %d creates", got, len(w.cache.Logs()), w.queue.creates)
		}
	})
}

func TestLogCreationIsResumed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.halt()
		log := *w.cache.Log(1)
		log.Created = false
		w.put(catalog.LogKey(1), log)
		w.start(2, nil)
		if got := w.cache.Log(1); !got.Created || got.UUID != log.UUID {
			t.Errorf("log %+v: its creation was not completed", got)
		}
	})
}

func TestQueueThatFailsAtFirst(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.halt()
		log := *w.cache.Log(1)
		log.Created, log.Name = false, "another"
		w.put(catalog.LogKey(1), log)
		w.queue.fail = errors.New("queue is down")
		w.start(2, nil)
		if !w.cache.Log(1).Created {
			t.Error("the log was not created after the queue came back")
		}
	})
}

func TestStandbyTakesOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		first, err := w.c.AllocTimestamp(w.ctx, &pb.AllocTimestampRequest{Count: 5})
		if err != nil {
			t.Fatal(err)
		}
		standby, stop, done := w.launch(2, nil)
		time.Sleep(10 * time.Second)
		if _, err := standby.AllocTimestamp(w.ctx, &pb.AllocTimestampRequest{}); !errs.Is(err, errs.NotLeader) || !contains(err.Error(), "coordinator-1") {
			t.Errorf("a standby answers %v", err)
		}
		if !w.c.Leading() || standby.Leading() {
			t.Fatal("a standby leads beside the leader")
		}
		old := w.c.term.Load()
		began := time.Now()
		if !w.meta.Expire(w.leaderLease()) {
			t.Fatal("no lease to expire")
		}
		w.until("one leads again", func() bool { return standby.Leading() || w.c.Leading() && w.c.term.Load() != old })
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("taking over took %s", took)
		}
		leader := standby
		if !standby.Leading() { // the former one, which may not know of its loss yet, is no answer
			leader = w.c
		}
		next, err := leader.AllocTimestamp(w.ctx, &pb.AllocTimestampRequest{})
		if err != nil || next.First < first.First+5 || next.CoordinatorEpoch <= first.CoordinatorEpoch {
			t.Errorf("after %v comes %v (%v)", first, next, err)
		}
		if _, err := old.commit(w.ctx, nil, nil); !errs.Is(err, errs.NotLeader) {
			t.Errorf("a transaction of the former term gives %v", err)
		}
		if err := old.raiser(catalog.OracleKey)(w.ctx, 1<<63); !errs.Is(err, errs.NotLeader) {
			t.Errorf("the former term raises the oracle's bound: %v", err)
		}
		stop()
		<-done
	})
}

func (w *world) leaderLease() int64 {
	kv, err := w.meta.Get(w.ctx, catalog.LeaderKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return kv.Lease
}

func TestManyTermsNeverRepeatIDs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		seen := map[int64]bool{}
		var last uint64
		for round := range 6 {
			for range 3 {
				id, err := w.c.AllocID(w.ctx, &pb.AllocIDRequest{Count: 10})
				if err != nil {
					t.Fatal(err)
				}
				ts, err := w.c.AllocTimestamp(w.ctx, &pb.AllocTimestampRequest{Count: 100})
				if err != nil || ts.First <= last {
					t.Fatalf("round %d: timestamp %v after %d: %v", round, ts, last, err)
				}
				last = ts.First + 99
				for k := range int64(10) {
					if seen[id.First+k] {
						t.Fatalf("round %d: id %d again", round, id.First+k)
					}
					seen[id.First+k] = true
				}
			}
			old := w.c.term.Load()
			w.meta.Expire(w.leaderLease())
			w.until(fmt.Sprint("it leads again, round ", round), func() bool { return w.c.Leading() && w.c.term.Load() != old })
		}
	})
}
