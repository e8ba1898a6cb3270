package querynode

import (
	"context"
	"strconv"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/segment"
	"github.com/gyr-db/gyr/pkg/tso"
)

// part is one segment that a request reads, at its shard's snapshot.
type part struct {
	seg    segment.Segment
	shard  int32
	id     int64 // sealed: the segment's id; growing: 0
	base   int64 // growing: the ordinal in the upper half of row handles; sealed: 0
	readTS uint64
}

// handle is the number by which a later phase of the request names a row of the part.
func (p *part) handle(row uint32) int64 { return p.base | int64(row) }

// scope is what a request reads on this node. It holds its views until close.
type scope struct {
	node        *Node
	views       []*viewState
	parts       []part
	expireBelow uint64 // rows written before are not shown: by time to live, or truncated
}

// ttlProperty is the collection property with the rows' time to live, in seconds.
const ttlProperty = "collection.ttl.seconds"

// openScope fixes what a request reads: it waits until each view is ready and each log is applied through P.
func (n *Node) openScope(ctx context.Context, req *pb.Scope) (*scope, error) {
	if err := n.isMe(req.Node); err != nil {
		return nil, err
	}
	sc := &scope{node: n}
	if req.TruncatedTs > 0 {
		sc.expireBelow = req.TruncatedTs + 1
	}
	snapshots := make(map[int]*pb.Snapshot, len(req.Snapshots))
	for _, s := range req.Snapshots {
		snapshots[int(s.Log)] = s
	}
	for _, ref := range req.Views {
		if err := sc.addView(ctx, req, ref, snapshots); err != nil {
			sc.close()
			return nil, err
		}
	}
	if c := n.deps.Cache.CollectionByID(req.Collection); c != nil {
		if ttl, err := strconv.ParseInt(c.Properties[ttlProperty], 10, 64); err == nil && ttl > 0 && req.NowTs > 0 {
			now := tso.Time(req.NowTs)
			sc.expireBelow = max(sc.expireBelow, tso.FromTime(now.Add(-time.Duration(ttl)*time.Second)))
		}
	}
	return sc, nil
}

func (sc *scope) addView(ctx context.Context, req *pb.Scope, ref *pb.ViewRef, snapshots map[int]*pb.Snapshot) error {
	n := sc.node
	st, err := n.acquire(ctx, req.Collection, ref)
	if err != nil {
		return err
	}
	sc.views = append(sc.views, st)
	snap := snapshots[st.shard.log]
	if snap == nil {
		return errs.New(errs.Internal, "request names no snapshot of log %d", st.shard.log)
	}
	if st.view.MinReadTS > snap.ReadTs {
		return errs.New(errs.SnapshotTooOld, "snapshot too old: the read timestamp %d lies below %d, behind which old row versions may be gone", snap.ReadTs, st.view.MinReadTS)
	}
	n.mu.Lock()
	t := n.logs[st.shard.log]
	n.mu.Unlock()
	if t == nil {
		return errs.New(errs.Unavailable, "this node is stopping")
	}
	if err := t.waitApplied(ctx, st.shard, snap.Position); err != nil {
		return err
	}
	wanted := map[int64]bool{}
	for _, p := range req.Partitions {
		wanted[p] = true
	}
	return sc.addParts(st, snap.ReadTs, func(partition int64) bool {
		return (len(wanted) == 0 || wanted[partition]) && (st.view.Partitions == nil || contains(st.view.Partitions, partition))
	}, req.IgnoreGrowing)
}

// addParts collects the view's segments on this node: the sealed ones it names, and for the leader the growing rows
// behind the view's from.
func (sc *scope) addParts(st *viewState, readTS uint64, want func(int64) bool, ignoreGrowing bool) error {
	s := st.shard
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, id := range st.mine {
		e := s.sealed[id]
		if e == nil || e.seg == nil {
			return errs.New(errs.ViewStale, "segment %d of view %d is gone", id, st.view.Number)
		}
		if !want(e.seg.Partition()) || e.meta.MinTS > readTS {
			continue
		}
		if !e.seg.Retain() {
			return errs.New(errs.ViewStale, "segment %d of view %d is gone", id, st.view.Number)
		}
		sc.parts = append(sc.parts, part{seg: e.seg, shard: int32(s.id.shard), id: id, readTS: readTS})
	}
	if st.view.Leader != sc.node.id || ignoreGrowing {
		return nil
	}
	for _, g := range s.gens {
		if g.from < st.view.From {
			continue
		}
		for partition, p := range g.parts {
			if want(partition) && p.seg.Retain() {
				sc.parts = append(sc.parts, part{seg: p.seg, shard: int32(s.id.shard), base: int64(p.ordinal) << 32, readTS: readTS})
			}
		}
	}
	return nil
}

// find returns the part that a row handle of an earlier phase belongs to.
func (sc *scope) find(shard int32, segmentID, handle int64) *part {
	for i := range sc.parts {
		p := &sc.parts[i]
		if p.shard == shard && p.id == segmentID && p.base == handle&^(1<<32-1) {
			return p
		}
	}
	return nil
}

func (sc *scope) close() {
	for i := range sc.parts {
		sc.parts[i].seg.Release()
	}
	for _, st := range sc.views {
		sc.node.release(st)
	}
}

func contains(list []int64, v int64) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}
