package proxy

import (
	"context"
	"slices"
	"sync"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/msgpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
)

// shardsByLog groups a collection's shards by the log that they live in.
func shardsByLog(c *catalog.Collection) map[int][]int32 {
	out := map[int][]int32{}
	for shard, log := range c.ShardLogs {
		out[log] = append(out[log], int32(shard))
	}
	return out
}

// eachLog calls fn for every log of a collection with its owner, again while the owner is being replaced.
func (p *Proxy) eachLog(ctx context.Context, c *catalog.Collection, fn func(ctx context.Context, owner pb.DataNodeClient, log int, shards []int32) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for log, shards := range shardsByLog(c) {
		g.Go(func() error {
			for {
				owner, err := p.owner(log)
				if err == nil {
					err = fn(ctx, owner, log, shards)
				}
				if err == nil || ctx.Err() != nil || !worthRetry(err) {
					return err
				}
				p.metrics.reruns.WithLabelValues("owner", codeLabel(err)).Inc()
				if err := p.pause(ctx, err); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// Flush implements milvuspb.MilvusServiceServer. The answer's maps are keyed by the names that were asked for.
func (p *Proxy) Flush(ctx context.Context, req *milvuspb.FlushRequest) (*milvuspb.FlushResponse, error) {
	if len(req.CollectionNames) == 0 {
		return nil, errs.Invalid("no collection is named to be flushed")
	}
	out := &milvuspb.FlushResponse{
		Status: success(), DbName: req.DbName, CollSegIDs: map[string]*schemapb.LongArray{},
		FlushCollSegIDs: map[string]*schemapb.LongArray{}, CollSealTimes: map[string]int64{},
		CollFlushTs: map[string]uint64{}, ChannelCps: map[string]*msgpb.MsgPosition{},
	}
	for _, name := range req.CollectionNames {
		c, err := p.collection(req.DbName, name)
		if err != nil {
			return nil, err
		}
		flushed := p.sealedIDs(c)
		sealed, ts, err := p.flush(ctx, c)
		if err != nil {
			return nil, err
		}
		out.CollSegIDs[name] = &schemapb.LongArray{Data: sealed}
		out.FlushCollSegIDs[name] = &schemapb.LongArray{Data: flushed}
		out.CollFlushTs[name] = ts
		out.CollSealTimes[name] = tso.UnixMS(ts) / 1000
	}
	return out, nil
}

// flush seals a collection's shards and returns the segments on their way and the timestamp up to which all will be
// in the bucket.
func (p *Proxy) flush(ctx context.Context, c *catalog.Collection) ([]int64, uint64, error) {
	var mu sync.Mutex
	var sealed []int64
	var ts uint64
	err := p.eachLog(ctx, c, func(ctx context.Context, owner pb.DataNodeClient, log int, shards []int32) error {
		resp, err := owner.Flush(ctx, &pb.FlushRequest{Collection: c.ID, Log: int32(log), Shards: shards})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sealed = append(sealed, resp.Sealed...)
		ts = max(ts, resp.FlushTs)
		return nil
	})
	slices.Sort(sealed)
	return sealed, ts, err
}

func (p *Proxy) sealedIDs(c *catalog.Collection) []int64 {
	var out []int64
	for _, shard := range p.deps.Cache.Shards(c.ID) {
		for i := range shard.Segments {
			out = append(out, shard.Segments[i].ID)
		}
	}
	return out
}

// GetFlushState implements milvuspb.MilvusServiceServer. It goes by the flush timestamp alone: a segment that was asked
// for may have been merged into another one since.
func (p *Proxy) GetFlushState(ctx context.Context, req *milvuspb.GetFlushStateRequest) (*milvuspb.GetFlushStateResponse, error) {
	if req.CollectionName == "" {
		// Old clients name segments only; those that the catalog knows are in the bucket.
		return &milvuspb.GetFlushStateResponse{Status: success(), Flushed: p.allSealed(req.SegmentIDs)}, nil
	}
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	flushed, err := p.flushed(ctx, c, req.FlushTs)
	if err != nil {
		return nil, err
	}
	return &milvuspb.GetFlushStateResponse{Status: success(), Flushed: flushed}, nil
}

func (p *Proxy) flushed(ctx context.Context, c *catalog.Collection, ts uint64) (bool, error) {
	var mu sync.Mutex
	all := true
	err := p.eachLog(ctx, c, func(ctx context.Context, owner pb.DataNodeClient, log int, shards []int32) error {
		resp, err := owner.FlushState(ctx, &pb.FlushStateRequest{Collection: c.ID, Log: int32(log), Shards: shards, FlushTs: ts})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = all && resp.Flushed
		return nil
	})
	if err == nil && all {
		err = p.catchUp(ctx) // so that statistics asked for next count what was flushed
	}
	return all, err
}

func (p *Proxy) allSealed(ids []int64) bool {
	have := map[int64]bool{}
	for _, c := range p.deps.Cache.AllCollections() {
		for _, id := range p.sealedIDs(c) {
			have[id] = true
		}
	}
	for _, id := range ids {
		if !have[id] {
			return false
		}
	}
	return true
}

// flushTargets are the collections that a FlushAll is about: those of one database, or of all without a name.
func (p *Proxy) flushTargets(db string) ([]*catalog.Collection, error) {
	if db != "" && db != defaultDB {
		if _, err := p.database(db); err != nil {
			return nil, err
		}
		return p.deps.Cache.Collections(db), nil
	}
	var out []*catalog.Collection
	for _, d := range p.deps.Cache.Databases() {
		out = append(out, p.deps.Cache.Collections(d.Name)...)
	}
	return out, nil
}

// FlushAll implements milvuspb.MilvusServiceServer.
func (p *Proxy) FlushAll(ctx context.Context, req *milvuspb.FlushAllRequest) (*milvuspb.FlushAllResponse, error) {
	targets, err := p.flushTargets(req.DbName)
	if err != nil {
		return nil, err
	}
	ts, err := p.allocTimestamp(ctx)
	if err != nil {
		return nil, err
	}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(16)
	var mu sync.Mutex
	for _, c := range targets {
		g.Go(func() error {
			_, at, err := p.flush(inner, c)
			mu.Lock()
			defer mu.Unlock()
			ts = max(ts, at)
			return ignoreGone(err)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := &milvuspb.FlushAllResponse{Status: success(), FlushAllTs: ts, FlushAllMsgs: map[string]*commonpb.ImmutableMessage{}}
	for _, log := range p.deps.Cache.Logs() {
		out.FlushAllMsgs[physicalChannel(log.Number)] = &commonpb.ImmutableMessage{
			Id: &commonpb.MessageID{}, Properties: map[string]string{},
		}
	}
	return out, nil
}

// ignoreGone lets a collection that was dropped meanwhile count as done.
func ignoreGone(err error) error {
	if errs.Is(err, errs.CollectionNotFound) {
		return nil
	}
	return err
}

// GetFlushAllState implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetFlushAllState(ctx context.Context, req *milvuspb.GetFlushAllStateRequest) (*milvuspb.GetFlushAllStateResponse, error) {
	targets, err := p.flushTargets(req.DbName)
	if err != nil {
		return nil, err
	}
	ts := req.FlushAllTs
	for _, one := range req.FlushAllTss {
		ts = max(ts, one)
	}
	for _, c := range targets {
		if tso.Timestamp(ts) != 0 && c.CreatedTS > ts {
			continue
		}
		done, err := p.flushed(ctx, c, ts)
		if ignoreGone(err) != nil {
			return nil, err
		}
		if err == nil && !done {
			return &milvuspb.GetFlushAllStateResponse{Status: success()}, nil
		}
	}
	return &milvuspb.GetFlushAllStateResponse{Status: success(), Flushed: true}, nil
}
