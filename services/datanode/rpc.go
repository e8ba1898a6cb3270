package datanode

import (
	"context"
	"encoding/json"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Barrier implements pb.DataNodeServer.
func (n *Node) Barrier(ctx context.Context, req *pb.BarrierRequest) (*pb.BarrierResponse, error) {
	o, err := n.owner(req.Log)
	if err != nil {
		return nil, err
	}
	b, err := o.writer.Barrier(ctx, req.GuaranteeTs)
	if err != nil {
		return nil, err
	}
	return &pb.BarrierResponse{Position: b.Position, ReadTs: b.TS}, nil
}

// Flush implements pb.DataNodeServer. A shard without unsealed rows answers without a record.
func (n *Node) Flush(ctx context.Context, req *pb.FlushRequest) (*pb.FlushResponse, error) {
	o, err := n.owner(req.Log)
	if err != nil {
		return nil, err
	}
	_, ts := o.writer.Acked()
	out := &pb.FlushResponse{FlushTs: ts}
	shards := o.named(req.Collection, req.Shards)
	got := make([]flushed, len(shards))
	var calls errgroup.Group
	calls.SetLimit(parallelSeals)
	for i, s := range shards {
		calls.Go(func() (err error) {
			got[i], err = o.flushShard(ctx, s)
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		return nil, err
	}
	for _, f := range got {
		out.FlushTs = max(out.FlushTs, f.ts)
		out.Sealed = append(out.Sealed, f.segments...)
	}
	return out, nil
}

// named returns the shards of a request that have anything here.
func (o *owner) named(collection int64, shards []int32) []*shard {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []*shard
	for _, i := range shards {
		if s := o.shards[shardID{collection, int(i)}]; s != nil {
			out = append(out, s)
		}
	}
	return out
}

// FlushState implements pb.DataNodeServer. Rows that a flush did not see although their timestamps lie below its own
// (they were in flight, in another log) are sealed when they are asked for.
func (n *Node) FlushState(_ context.Context, req *pb.FlushStateRequest) (*pb.FlushStateResponse, error) {
	o, err := n.owner(req.Log)
	if err != nil {
		return nil, err
	}
	flushed, unsealed := !o.writer.InFlight(req.FlushTs), map[int64]int64{}
	truncated := tso.Timestamp(0)
	if c := n.deps.Cache.CollectionByID(req.Collection); c != nil {
		truncated = c.TruncatedTS
	}
	for _, s := range o.named(req.Collection, req.Shards) {
		o.mu.Lock()
		open, sealed := s.pending(req.FlushTs)
		s.countRows(unsealed, truncated)
		o.mu.Unlock()
		if open {
			o.sealShard(s, "flush")
		}
		flushed = flushed && !open && !sealed
	}
	return &pb.FlushStateResponse{Flushed: flushed, UnsealedRows: unsealed}, nil
}

// SyncCatalog implements pb.DataNodeServer. A log that is being taken over admits writes only after its catalog was read,
// so the logs served at present are all that matter.
func (n *Node) SyncCatalog(ctx context.Context, req *pb.SyncCatalogRequest) (*pb.SyncCatalogResponse, error) {
	if err := n.deps.Cache.WaitRevision(ctx, req.Revision); err != nil {
		return nil, errs.New(errs.Unavailable, "datanode %d: %w", n.id, err)
	}
	for _, o := range n.owners() {
		if err := o.gate.drain(ctx); err != nil {
			return nil, errs.New(errs.Unavailable, "datanode %d, log %d: %w", n.id, o.number, err)
		}
	}
	return &pb.SyncCatalogResponse{Revision: n.deps.Cache.Revision()}, nil
}

// NodeStatus implements pb.DataNodeServer.
func (n *Node) NodeStatus(context.Context, *pb.NodeStatusRequest) (*pb.NodeStatusResponse, error) {
	raw, err := json.Marshal(n.Status())
	if err != nil {
		return nil, errs.New(errs.Internal, "status of datanode %d: %w", n.id, err)
	}
	return &pb.NodeStatusResponse{StatusJson: raw}, nil
}
