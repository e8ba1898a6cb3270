package querynode

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// viewState is one view on this node: being prepared, ready, or retiring.
type viewState struct {
	view  catalog.View
	shard *shard
	mine  []int64 // the segments of the view that this node serves

	// The node's lock guards what follows.
	ready      bool
	waitingFor string
	progress   float32
	segmentsIn int
	err        error     // why the preparation failed; a new call of PrepareView starts again
	refs       int       // requests in work
	superseded time.Time // when a newer view was first seen published, or none at all
}

// servedBy tells which node serves a segment of a view: the first that it names.
func servedBy(v *catalog.View, segment int64) catalog.NodeID {
	if nodes := v.Segments[segment]; len(nodes) > 0 {
		return nodes[0]
	}
	return 0
}

// PrepareView implements pb.QueryNodeServer.
func (n *Node) PrepareView(_ context.Context, req *pb.PrepareViewRequest) (*pb.PrepareViewResponse, error) {
	if err := n.isMe(req.Node); err != nil {
		return nil, err
	}
	var view catalog.View
	if err := json.Unmarshal(req.ViewJson, &view); err != nil {
		return nil, errs.New(errs.Internal, "view to prepare: %w", err)
	}
	id := viewID{view.Collection, view.Shard, view.Replica}
	n.mu.Lock()
	defer n.mu.Unlock()
	st := n.views[id][view.Number]
	if st == nil || st.err != nil {
		st = &viewState{view: view, waitingFor: "preparation to start"}
		if n.views[id] == nil {
			n.views[id] = map[uint64]*viewState{}
		}
		n.views[id][view.Number] = st
		n.background(func(ctx context.Context) { n.prepare(ctx, st) })
	}
	if st.err != nil {
		return nil, st.err
	}
	return &pb.PrepareViewResponse{Ready: st.ready, WaitingFor: st.waitingFor, Progress: st.progress}, nil
}

// isMe refuses what is meant for another process, which this one may have replaced on the same address.
func (n *Node) isMe(node catalog.NodeID) error {
	if node != n.id {
		return errs.New(errs.Unavailable, "query node %d is gone, this is node %d", node, n.id)
	}
	return nil
}

// prepare makes this node's part of a view ready to serve.
func (n *Node) prepare(ctx context.Context, st *viewState) {
	err := n.prepareParts(ctx, st)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		st.err = err
		st.waitingFor = err.Error()
		n.log.Warn("view not ready", "collection", st.view.Collection, "shard", st.view.Shard, "view", st.view.Number, "error", err)
		n.broadcast()
		return
	}
	st.ready, st.waitingFor, st.progress = true, "", 1
	n.broadcast()
}

func (n *Node) prepareParts(ctx context.Context, st *viewState) error {
	v := &st.view
	n.waiting(st, "the log to be joined")
	s, t, err := n.joinShard(ctx, shardID{v.Collection, v.Shard}, v.From)
	if err != nil {
		return fmt.Errorf("join shard %d of collection %d: %w", v.Shard, v.Collection, err)
	}
	n.mu.Lock()
	st.shard = s
	for id := range v.Segments {
		if servedBy(v, id) == n.id {
			st.mine = append(st.mine, id)
		}
	}
	n.mu.Unlock()
	if err := n.loadSegments(ctx, s, st); err != nil {
		return err
	}
	n.waiting(st, "the log to be read to its end")
	return n.catchUp(ctx, t, s, v.From)
}

// catchUpPatience bounds the wait for the end of the log. It is a courtesy to the first requests, which wait for their
// own position anyway: the end may consist of entries that do not count.
const catchUpPatience = 10 * time.Second

// catchUp waits until the log is applied through from, and for a while until it is applied to its present end.
func (n *Node) catchUp(ctx context.Context, t *tailer, s *shard, from mq.Position) error {
	if err := t.waitApplied(ctx, s, from); err != nil {
		return err
	}
	tail, err := t.mq.Tail(ctx)
	if err != nil {
		return fmt.Errorf("find the end of log %d: %w", t.number, err)
	}
	if tail == 0 {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, catchUpPatience)
	defer cancel()
	if err := t.waitApplied(patience, s, tail-1); err != nil && patience.Err() == nil {
		return err
	}
	return ctx.Err()
}

func (n *Node) waiting(st *viewState, what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	st.waitingFor = what
}

// acquire finds the view that a request names and holds it until release. It waits for a view that is still being
// prepared or not known yet; one that was dropped is ViewStale.
func (n *Node) acquire(ctx context.Context, collection int64, ref *pb.ViewRef) (*viewState, error) {
	id := viewID{collection, int(ref.Shard), int(ref.Replica)}
	for {
		n.mu.Lock()
		st := n.views[id][ref.Number]
		if st != nil && st.ready {
			st.refs++
			n.mu.Unlock()
			return st, nil
		}
		newest := uint64(0)
		for number := range n.views[id] {
			newest = max(newest, number)
		}
		changed := n.changed
		n.mu.Unlock()
		if st == nil && newest > ref.Number {
			return nil, errs.New(errs.ViewStale, "view %d of shard %d is gone here, the newest is %d", ref.Number, ref.Shard, newest)
		}
		if published := n.deps.Cache.View(collection, id.shard, id.replica); st == nil && published != nil && published.Number > ref.Number {
			return nil, errs.New(errs.ViewStale, "view %d of shard %d was replaced by %d", ref.Number, ref.Shard, published.Number)
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
			if st == nil && newest == 0 {
				return nil, errs.New(errs.ViewStale, "this node has no part in shard %d of collection %d", ref.Shard, collection)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for view %d of shard %d: %w", ref.Number, ref.Shard, ctx.Err())
		}
	}
}

func (n *Node) release(st *viewState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	st.refs--
}

// retireViews frees views that were superseded long enough ago, and what only they needed.
func (n *Node) retireViews(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	touched := map[shardID]bool{}
	for id, byNumber := range n.views {
		published := n.deps.Cache.View(id.collection, id.shard, id.replica)
		for number, st := range byNumber {
			switch {
			case published != nil && published.Number <= number:
				st.superseded = time.Time{}
			case published == nil && n.deps.Cache.CollectionByID(id.collection) != nil && st.superseded.IsZero() && !st.ready:
				// Being prepared for the first load: nothing is published yet.
			case st.superseded.IsZero():
				st.superseded = now
			case now.Sub(st.superseded) >= n.cfg.RetireAfter && st.refs == 0 && (st.ready || st.err != nil):
				delete(byNumber, number)
				touched[shardID{id.collection, id.shard}] = true
			}
		}
		if len(byNumber) == 0 {
			delete(n.views, id)
		}
	}
	for id := range touched {
		n.freeUnused(id)
	}
	if len(touched) > 0 {
		n.broadcast()
	}
}

// freeUnused drops what no view of a shard needs any more. The caller holds n.mu.
func (n *Node) freeUnused(id shardID) {
	s := n.open[id]
	if s == nil {
		return
	}
	keep := map[int64]bool{}
	from, used := ^uint64(0), false
	for vid, byNumber := range n.views {
		if vid.collection != id.collection || vid.shard != id.shard {
			continue
		}
		for _, st := range byNumber {
			used = true
			from = min(from, st.view.From)
			for seg := range st.view.Segments {
				if servedBy(&st.view, seg) == n.id {
					keep[seg] = true
				}
			}
		}
	}
	if !used {
		delete(n.open, id)
		if t := n.logs[s.log]; t != nil {
			t.leave(s)
		}
		s.close()
		return
	}
	durable := uint64(0)
	if m := n.deps.Cache.Shard(id.collection, id.shard); m != nil {
		durable = m.Checkpoint
	}
	s.forget(from, durable, keep)
}
