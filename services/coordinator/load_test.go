package coordinator

import (
	"slices"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

func loadRequest(name string, replicas int32, partitions ...string) *pb.LoadRequest {
	return &pb.LoadRequest{Collection: ref(name), Replicas: replicas, Partitions: partitions}
}

func (w *world) state(name string, partitions ...string) *pb.LoadStateResponse {
	w.t.Helper()
	st, err := w.c.LoadState(w.ctx, &pb.LoadStateRequest{Collection: ref(name), Partitions: partitions})
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *world) loaded(name string) {
	w.t.Helper()
	w.until("collection "+name+" is loaded", func() bool { return w.state(name).Progress == 100 })
}

func TestLoadChecks(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.must(w.c.CreateCollection(w.ctx, createRequest("a", 1)))
		coll := w.cache.Collection("default", "a")
		w.refused2(w.c.Load(w.ctx, loadRequest("nope", 1)))(errs.CollectionNotFound, "collection not found[database=default][collection=nope]")
		w.refused2(w.c.Load(w.ctx, loadRequest("a", 1)))(errs.IndexNotFound, "index not found[collection=a]")
		w.must(w.c.CreateIndex(w.ctx, indexRequest("a", "", "HNSW")))
		refresh := loadRequest("a", 1)
		refresh.Refresh = true
		w.refused2(w.c.Load(w.ctx, refresh))(errs.CollectionNotLoaded, "collection not loaded[collection=")
		w.refused2(w.c.Load(w.ctx, loadRequest("a", 1, "p")))(errs.PartitionNotFound, "partition not found[partition=p]")
		w.refused2(w.c.Load(w.ctx, loadRequest("a", 2)))(codeInsufficient, "2 replicas")
		fields := loadRequest("a", 1)
		fields.Fields = []string{"vector"}
		w.refused2(w.c.Load(w.ctx, fields))(errs.InvalidParameter, "primary key field id")
		if st := w.state("a"); st.Requested {
			t.Errorf("state before the load: %v", st)
		}
		w.must(w.c.Load(w.ctx, loadRequest("a", 0)))
		if st := w.state("a"); !st.Requested || st.Progress != 0 {
			t.Errorf("state without nodes: %v", st)
		}
		w.until("the reason is told", func() bool { return contains(w.state("a").Reason, "no querynode is live") })
		rev := w.cache.ModRev(catalog.CollectionKey(coll.ID))
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		if w.cache.ModRev(catalog.CollectionKey(coll.ID)) != rev {
			t.Error("loading again with the same parameters changed the collection")
		}
		w.node(catalog.RoleQueryNode, 3, true)
		w.loaded("a")
		w.must(w.c.Load(w.ctx, refresh))
	})
}

func TestUnindexedVectorIsNamed(t *testing.T) {
	coll := &catalog.Collection{Name: "a", Schema: vectorSchema(), Indexes: []catalog.Index{{FieldID: 100}}}
	if err := checkLoadIndexes(coll, nil); err == nil || !contains(err.Error(), "there is no vector index on field: [vector], please create index firstly") {
		t.Errorf("got %v", err)
	}
	if err := checkLoadIndexes(coll, []int64{100}); err != nil {
		t.Errorf("a vector that is not to be loaded needs an index: %v", err)
	}
}

func TestLoadServeRelease(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		w.node(catalog.RoleDataNode, 7, true)
		w.node(catalog.RoleProxy, 5, true)
		w.own(0, 7)
		w.own(1, 7)
		coll := w.create("a", 2)
		w.seal(coll.ID, 0, 40, segmentOf(11, coll.Partitions[0].ID, 5), segmentOf(12, coll.Partitions[0].ID, 7))
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		if w.peers.flushes["datanode-7"] != 2 {
			t.Errorf("the owner was asked %d times to flush, want once per log", w.peers.flushes["datanode-7"])
		}
		w.loaded("a")
		v := w.cache.View(coll.ID, 0, 0)
		if v.Leader != 3 || v.From != 40 || len(v.Segments) != 2 || v.Number == 0 {
			t.Errorf("view %+v", v)
		}
		// A seal hands over.
		w.seal(coll.ID, 0, 60, segmentOf(13, coll.Partitions[0].ID, 5))
		w.until("the new segment is served", func() bool { return len(w.cache.View(coll.ID, 0, 0).Segments) == 3 })
		if next := w.cache.View(coll.ID, 0, 0); next.From != 60 || next.Number <= v.Number {
			t.Errorf("after %+v comes %+v", v, next)
		}
		ack := w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a")}))
		if len(w.cache.Views(coll.ID)) != 0 || w.state("a").Requested || w.peers.syncedAt("proxy-5") < ack.Revision {
			t.Error("the release left views, the load, or a proxy that does not know of it")
		}
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a")}))
		time.Sleep(20 * time.Second)
		if len(w.cache.Views(coll.ID)) != 0 {
			t.Error("a view was published after the release")
		}
	})
}

func TestLoadPartitions(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		coll := w.create("a", 1)
		p1 := w.must(w.c.CreatePartition(w.ctx, &pb.PartitionRequest{Collection: ref("a"), Partition: "p1"})).Id
		p2 := w.must(w.c.CreatePartition(w.ctx, &pb.PartitionRequest{Collection: ref("a"), Partition: "p2"})).Id
		w.seal(coll.ID, 0, 10, segmentOf(11, p1, 5), segmentOf(12, p2, 5), segmentOf(13, coll.Partitions[0].ID, 5))
		served := func() (ids []int64) {
			if v := w.cache.View(coll.ID, 0, 0); v != nil {
				for id := range v.Segments {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			return ids
		}
		w.must(w.c.Load(w.ctx, loadRequest("a", 1, "p1")))
		w.loaded("a")
		if !slices.Equal(served(), []int64{11}) || w.state("a", "p2").Requested || w.state("a", "p1").Progress != 100 {
			t.Errorf("loaded p1: segments %v, p2 %v", served(), w.state("a", "p2"))
		}
		w.must(w.c.Load(w.ctx, loadRequest("a", 1, "p2")))
		if st := w.state("a", "p2"); !st.Requested || st.Progress == 100 && !slices.Equal(served(), []int64{11, 12}) {
			t.Errorf("p2 right after the load: %v, served %v", st, served())
		}
		w.until("p2 is served too", func() bool { return slices.Equal(served(), []int64{11, 12}) })
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.until("all is served", func() bool { return len(served()) == 3 })
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a"), Partitions: []string{"p1"}}))
		w.until("p1 is not served any more", func() bool { return slices.Equal(served(), []int64{12, 13}) })
		p3 := w.must(w.c.CreatePartition(w.ctx, &pb.PartitionRequest{Collection: ref("a"), Partition: "p3"})).Id
		w.seal(coll.ID, 0, 20, segmentOf(14, p3, 5))
		time.Sleep(5 * time.Second)
		if slices.Contains(served(), 14) {
			t.Error("a partition made after a partial release is served")
		}
		w.must(w.c.Release(w.ctx, &pb.ReleaseRequest{Collection: ref("a"), Partitions: []string{"p2", "_default"}}))
		if w.state("a").Requested || len(w.cache.Views(coll.ID)) != 0 {
			t.Error("releasing the last partitions did not release the collection")
		}
	})
}

func TestStuckNodeHoldsUpNoOther(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		w.create("a", 1)
		w.create("b", 1)
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		w.peers.set(func() { w.peers.unready["querynode-4"] = "memory is full" })
		w.node(catalog.RoleQueryNode, 4, true)
		w.must(w.c.Load(w.ctx, loadRequest("b", 1))) // its log gets the new node as leader
		b := w.cache.Collection("default", "b")
		w.until("b is being prepared", func() bool { return w.state("b").Progress > 0 })
		if st := w.state("b"); st.Progress != 50 || !contains(st.Reason, "node 4: memory is full") {
			t.Errorf("state of b: %v", st)
		}
		a := w.cache.Collection("default", "a")
		if v := w.cache.View(a.ID, 0, 0); v.Leader != 3 {
			t.Errorf("a is taken from the node that serves it: %+v", v)
		}
		time.Sleep(35 * time.Second)
		if p := w.c.Problems(); !slices.ContainsFunc(p, func(s string) bool { return contains(s, "querynode 4 does not become ready") }) {
			t.Errorf("problems %q do not tell of the node", p)
		}
		w.until("b is loaded elsewhere", func() bool { return w.state("b").Progress == 100 })
		if v := w.cache.View(b.ID, 0, 0); v.Leader != 3 {
			t.Errorf("view %+v", v)
		}
		w.seal(a.ID, 0, 30, segmentOf(21, a.Partitions[0].ID, 5))
		began := time.Now()
		w.until("a is handed over", func() bool { return w.cache.View(a.ID, 0, 0).From == 30 })
		if took := time.Since(began); took > time.Second {
			t.Errorf("a node that is stuck holds up a handoff for %s", took)
		}
	})
}

func TestLostNodeIsReplacedAtOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		w.node(catalog.RoleQueryNode, 4, true)
		coll := w.create("a", 1)
		for i := range int64(6) {
			w.seal(coll.ID, 0, uint64(10+i), segmentOf(30+i, coll.Partitions[0].ID, 100))
		}
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		if n := nodesOfView(w.cache.View(coll.ID, 0, 0)); len(n) != 2 {
			t.Errorf("served by %v", n)
		}
		began := time.Now()
		w.node(catalog.RoleQueryNode, 3, false)
		w.until("the other node serves all", func() bool { return slices.Equal(nodesOfView(w.cache.View(coll.ID, 0, 0)), []int64{4}) })
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

func TestNewLeaderAdoptsViews(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		w.node(catalog.RoleQueryNode, 4, true)
		coll := w.create("a", 2)
		w.seal(coll.ID, 0, 10, segmentOf(11, coll.Partitions[0].ID, 5))
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		before := []uint64{w.cache.View(coll.ID, 0, 0).Number, w.cache.View(coll.ID, 1, 0).Number}
		w.halt()
		w.start(2, nil)
		time.Sleep(30 * time.Second)
		if got := []uint64{w.cache.View(coll.ID, 0, 0).Number, w.cache.View(coll.ID, 1, 0).Number}; !slices.Equal(got, before) {
			t.Errorf("a new leader replaced the views %v by %v", before, got)
		}
		w.seal(coll.ID, 0, 20, segmentOf(12, coll.Partitions[0].ID, 5))
		w.until("the new leader hands over", func() bool { return w.cache.View(coll.ID, 0, 0).From == 20 })
		if got := w.cache.View(coll.ID, 0, 0).Number; got <= before[0] {
			t.Errorf("number %d after %d", got, before[0])
		}
	})
}

func TestReplicasGrowAndShrink(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for n := range int64(4) {
			w.node(catalog.RoleQueryNode, 3+n, true)
		}
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(11, coll.Partitions[0].ID, 5), segmentOf(12, coll.Partitions[0].ID, 5))
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		w.must(w.c.Load(w.ctx, loadRequest("a", 2)))
		w.until("two replicas are served by different nodes", func() bool {
			v0, v1 := w.cache.View(coll.ID, 0, 0), w.cache.View(coll.ID, 0, 1)
			if v0 == nil || v1 == nil {
				return false
			}
			for _, n := range nodesOfView(v0) {
				if slices.Contains(nodesOfView(v1), n) {
					return false
				}
			}
			return true
		})
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.until("the second replica is gone", func() bool { return w.cache.View(coll.ID, 0, 1) == nil })
		w.loaded("a")
	})
}

// TestIdleViewsAdvance: a view follows seals that bring it nothing, so that it does not hold the log back for ever.
func TestIdleViewsAdvance(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		coll := w.create("a", 1)
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		w.loaded("a")
		w.put(catalog.MarksKey(coll.ShardLogs[0]), catalog.LogMarks{Checkpoint: 700})
		w.seal(coll.ID, 0, 500)
		time.Sleep(30 * time.Second)
		if v := w.cache.View(coll.ID, 0, 0); v.From != 0 {
			t.Errorf("the view moved on at once: %+v", v)
		}
		time.Sleep(time.Minute)
		if v := w.cache.View(coll.ID, 0, 0); v.From != 500 {
			t.Errorf("the view is at %d, want the shard's seal at 500 and nothing between seals", v.From)
		}
	})
}

// TestStaleStartIsReplanned: a node cannot follow from a position that was truncated; the next seal's is taken at once.
func TestStaleStartIsReplanned(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 100, segmentOf(11, coll.Partitions[0].ID, 5))
		w.peers.set(func() { w.peers.truncated = 150 })
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		time.Sleep(5 * time.Second)
		w.seal(coll.ID, 0, 200, segmentOf(12, coll.Partitions[0].ID, 5))
		began := time.Now()
		w.loaded("a")
		if v := w.cache.View(coll.ID, 0, 0); v.From != 200 || time.Since(began) > 3*time.Second {
			t.Errorf("view %+v after %s", v, time.Since(began))
		}
	})
}

func TestLoadWithoutOwnerGoesOn(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleQueryNode, 3, true)
		w.node(catalog.RoleDataNode, 7, true)
		w.create("a", 1)
		w.own(0, 7)
		w.peers.set(func() { w.peers.silent["datanode-7"] = true })
		began := time.Now()
		w.must(w.c.Load(w.ctx, loadRequest("a", 1)))
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("a silent owner held the load up for %s", took)
		}
		w.loaded("a")
	})
}
