package coordinator

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
)

func TestTruncateCollection(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node(catalog.RoleDataNode, 4, true)
		w.own(0, 4)
		w.own(1, 4)
		coll := w.create("a", 2)
		before, err := w.c.leader()
		if err != nil {
			t.Fatal(err)
		}
		old, err := before.timestamp(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		future := old + 1<<40
		sealed := func(id int64, ts uint64) catalog.Segment {
			s := segmentOf(id, coll.Partitions[0].ID, 5)
			s.MinTS, s.MaxTS = old, ts
			return s
		}
		w.seal(coll.ID, 0, 10, sealed(11, old), sealed(12, future))
		w.seal(coll.ID, 1, 10, sealed(13, old))
		ack := w.must(w.c.TruncateCollection(w.ctx, ref("a")))
		got := w.cache.CollectionByID(coll.ID)
		if got.TruncatedTS <= old || got.TruncatedTS >= future || len(got.Partitions) != 1 || got.Partitions[0].ID != coll.Partitions[0].ID || len(got.Indexes) != 1 {
			t.Errorf("after the truncation: %+v", got)
		}
		if synced := w.peers.syncedAt("datanode-4"); synced < w.cache.ModRev(catalog.CollectionKey(coll.ID)) {
			t.Errorf("the owner confirmed revision %d, the answer says %d", synced, ack.Revision)
		}
		if s := w.cache.Shard(coll.ID, 0); len(s.Segments) != 1 || s.Segments[0].ID != 12 {
			t.Errorf("a segment with later rows must stay, others go: %+v", s.Segments)
		}
		if s := w.cache.Shard(coll.ID, 1); len(s.Segments) != 0 || s.Checkpoint != 10 {
			t.Errorf("%+v", s)
		}
		none, err := w.c.TruncateCollection(w.ctx, ref("nope"))
		w.refused(none, err, errs.CollectionNotFound, "nope")
	})
}

// TestInterruptedTruncationIsFinished: a leader that died behind the transaction left the segments; the next one removes
// them, and those of seals that an owner commits late.
func TestInterruptedTruncationIsFinished(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		coll := w.create("a", 1)
		w.seal(coll.ID, 0, 10, segmentOf(11, coll.Partitions[0].ID, 5))
		w.halt()
		changed := *coll
		changed.TruncatedTS = 1 << 60
		op, err := catalog.Put(catalog.CollectionKey(coll.ID), changed)
		if err != nil {
			t.Fatal(err)
		}
		w.txn(op)
		w.start(2, nil)
		w.until("the segment is gone", func() bool { return len(w.cache.Shard(coll.ID, 0).Segments) == 0 })
		w.seal(coll.ID, 0, 20, segmentOf(12, coll.Partitions[0].ID, 5))
		w.until("the late one too", func() bool { return len(w.cache.Shard(coll.ID, 0).Segments) == 0 })
	})
}
