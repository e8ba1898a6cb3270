package datanode

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

// sealCheck is how often the reasons to seal that come with time are looked at; parallelSeals bounds the seal records
// on their way.
const (
	sealCheck     = 500 * time.Millisecond
	parallelSeals = 64
)

// sealLoop seals what has a reason to be sealed, until ctx ends.
func (o *owner) sealLoop(ctx context.Context) {
	tick := time.NewTicker(sealCheck)
	defer tick.Stop()
	for ctx.Err() == nil {
		o.forgetDropped()
		var calls errgroup.Group
		calls.SetLimit(parallelSeals)
		failed := false
		for _, due := range o.due(time.Now()) {
			calls.Go(func() error {
				c := o.sealShard(due.shard, due.reason)
				select {
				case <-c.done:
					return c.err
				case <-ctx.Done():
					return nil
				}
			})
		}
		if err := calls.Wait(); err != nil && ctx.Err() == nil {
			failed = true
			o.log.Warn("datanode: shards cannot be sealed at present", "error", err)
		}
		kick := o.sealKick
		if failed {
			kick = nil // not again at once
		}
		select {
		case <-kick:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// forgetDropped frees what is held of shards that were dropped.
func (o *owner) forgetDropped() {
	cache := o.node.deps.Cache
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, s := range o.shards {
		if s.uploading || s.seal != nil || cache.CollectionByID(id.collection) != nil || cache.Shard(id.collection, id.shard) != nil || len(cache.Unreadable()) > 0 {
			continue
		}
		o.addUnsealed(-s.unsealed())
		delete(o.shards, id)
	}
}

type dueSeal struct {
	shard  *shard
	reason string
}

// due lists the shards that have a reason to be sealed.
func (o *owner) due(now time.Time) []dueSeal {
	cfg := &o.node.cfg
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []dueSeal
	var largest *shard
	for _, s := range o.shards {
		g := s.open
		if !g.filled || s.seal != nil {
			continue
		}
		reason := ""
		switch {
		case g.bytes >= cfg.SealBytes:
			reason = "size"
		case now.Sub(g.since) >= cfg.SealAge:
			reason = "age"
		case o.logBytes-g.logAt >= cfg.SealLogBytes:
			reason = "log"
		case largest == nil || g.bytes > largest.open.bytes:
			largest = s
		}
		if reason != "" {
			out = append(out, dueSeal{s, reason})
		}
	}
	if len(out) == 0 && largest != nil && o.node.unsealed.Load() >= cfg.UnsealedSoft/4*3 && largest.open.bytes >= cfg.SealBytes/16 {
		out = append(out, dueSeal{largest, "memory"})
	}
	return out
}

// sealShard appends a seal record for a shard, or joins one under way. It covers what was acknowledged before the call
// only when it began with the call; see flushShard.
func (o *owner) sealShard(s *shard, reason string) *sealCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.seal != nil {
		return s.seal
	}
	c := &sealCall{done: make(chan struct{})}
	if o.closed {
		c.err = errs.New(errs.NotOwner, "this node gave log %d up", o.number)
		close(c.done)
		return c
	}
	s.seal = c
	o.background.Go(func() {
		c.ack, c.segments, c.err = o.appendSeal(o.life, s)
		if c.err == nil {
			o.node.metrics.seals.WithLabelValues(reason).Inc()
		}
		o.mu.Lock()
		s.seal = nil
		o.mu.Unlock()
		close(c.done)
	})
	return c
}

// appendSeal makes the record when it is stamped: it names a segment for each partition that has rows stamped before it.
func (o *owner) appendSeal(ctx context.Context, s *shard) (ack wal.Ack, segments []int64, err error) {
	var covered map[int64]bool
	ack, err = o.writer.Append(ctx, wal.Request{
		Bytes: 64, EndsGroup: true,
		Build: func(tso.Timestamp) (wal.Record, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			ids, err := o.node.ids.take(len(s.partitions))
			if err != nil {
				return wal.Record{}, err
			}
			r := wal.Record{Kind: wal.Seal, Collection: s.id.collection, Shard: int32(s.id.shard)}
			for partition := range s.partitions {
				r.Seal = append(r.Seal, wal.SealedSegment{Partition: partition, Segment: ids[len(r.Seal)]})
			}
			segments = ids
			covered, s.partitions = s.partitions, map[int64]bool{}
			o.flying = append(o.flying, nil)
			return r, nil
		},
		Done: func(_ wal.Ack, err error) {
			if err == nil {
				return
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			o.flying = nil
			for partition := range covered {
				s.partitions[partition] = true
			}
		},
	})
	if err != nil {
		return ack, nil, err // the record may still be built
	}
	return ack, segments, nil
}

// flushed is what a flush of a shard sealed or found sealed: the segments on their way, and the timestamp of the last seal.
type flushed struct {
	segments []int64
	ts       tso.Timestamp
}

// flushShard seals everything that was acknowledged before the call.
func (o *owner) flushShard(ctx context.Context, s *shard) (flushed, error) {
	var out flushed
	o.mu.Lock()
	out.segments = s.segmentIDs()
	if n := len(s.sealed); n > 0 {
		out.ts = s.sealed[n-1].sealTS
	}
	o.mu.Unlock()
	for {
		o.mu.Lock()
		call, filled := s.seal, s.open.filled
		o.mu.Unlock()
		if call == nil {
			if !filled {
				return out, nil
			}
			call = o.sealShard(s, "flush")
			filled = false // what comes after this call need not be covered
		}
		select {
		case <-call.done:
		case <-ctx.Done():
			return out, ctx.Err()
		}
		if call.err != nil {
			return out, call.err
		}
		out.segments, out.ts = append(out.segments, call.segments...), call.ack.TS
		if !filled {
			return out, nil
		}
	}
}
