package datanode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

// owner is this node's ownership of one log, from the fence to its end.
//
// Ordering: apply runs in log order on one goroutine (recovery's, then the writer's) and changes shards under mu. A
// write's record is built (stamped) under mu too: the windows, partitions and flying are brought up to date there, so
// that the next record built sees what is in flight. What apply finds in flying is what build put there, in order.
type owner struct {
	node   *Node
	number int
	grant  grant
	queue  mq.Log
	writer *wal.Writer
	gate   *gate
	log    *slog.Logger

	sealKick, uploadKick, marksKick chan struct{}
	life                            context.Context // ends at close
	endLife                         context.CancelFunc
	background                      sync.WaitGroup // seals and uploads under way

	mu       sync.Mutex // guards all below
	shards   map[shardID]*shard
	window   *window
	flying   []*payload // of the group that is built and not applied yet
	serving  bool       // recovery is over
	closed   bool
	logBytes int64 // of records seen, about
	unsealed int64
	samples  []sample // places in the log, oldest first
	last     sample   // behind the newest accepted entry
	marks    catalog.LogMarks
	cuts     []sample // checkpoints written, oldest first: below them the log may be truncated after a while
}

// sample is a place in the log as it was some time ago.
type sample struct {
	at    time.Time
	bytes int64
	start wal.Start
	ts    tso.Timestamp
}

// openOwner fences a granted log and recovers what is not in the bucket.
func (n *Node) openOwner(ctx context.Context, number int, g grant) (_ *owner, err error) {
	cache := n.deps.Cache
	desc := cache.Log(number)
	if desc == nil {
		return nil, fmt.Errorf("the catalog has no log %d", number)
	}
	o := &owner{
		node: n, number: number, grant: g, gate: newGate(), shards: map[shardID]*shard{},
		log:      n.log.With("log", number, "epoch", g.epoch),
		sealKick: make(chan struct{}, 1), uploadKick: make(chan struct{}, 1), marksKick: make(chan struct{}, 1),
	}
	o.life, o.endLife = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			o.endLife()
		}
	}()
	if marks := cache.Marks(number); marks != nil {
		o.marks = *marks
	} else if cache.Unreadable()[catalog.MarksKey(number)] != nil {
		return nil, fmt.Errorf("the marks of log %d cannot be read", number)
	}
	start := wal.Start{Position: o.marks.Checkpoint, Epoch: o.marks.Epoch, Seq: o.marks.Seq}
	o.window = newWindow(&n.cfg, o.marks.TS)
	o.last = sample{at: time.Now(), start: start, ts: o.marks.TS}
	o.samples = []sample{o.last}
	if o.queue, err = n.deps.Queue.Open(ctx, mq.LogID{Name: desc.Name, UUID: desc.UUID}, o.marks.Truncated); err != nil {
		return nil, fmt.Errorf("open log %d: %w", number, err)
	}
	o.writer, err = wal.Open(ctx, wal.Config{
		Epoch: g.epoch, OracleEpoch: g.oracleEpoch, Start: start, LastTS: o.lastTS(), MaxGroupBytes: 8 << 20,
		MaxQueueBytes: int(max(n.cfg.UnsealedSoft/4, 1<<20)),
	}, wal.Deps{
		Log: o.queue, Oracle: n.oracle, Confirm: o.confirm, Apply: o.apply, Observe: n.metrics.group, Logger: o.log,
	})
	if err != nil {
		return nil, errors.Join(err, o.queue.Close())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.serving = true
	n.metrics.fences.Inc()
	o.log.Info("datanode: log taken over", "shards", len(o.shards), "unsealed", o.unsealed, "from", start.Position, "through", o.last.start.Position)
	return o, nil
}

// lastTS is not below the timestamp of any record at or below the checkpoint.
func (o *owner) lastTS() tso.Timestamp {
	last := o.marks.TS
	for _, c := range o.node.deps.Cache.AllCollections() {
		for _, s := range o.node.deps.Cache.Shards(c.ID) {
			if s.Log == o.number {
				last = max(last, s.SealedTS)
			}
		}
	}
	return last
}

// confirm implements wal.Deps.Confirm.
func (o *owner) confirm(ctx context.Context) error {
	kv, err := o.node.deps.Meta.Get(ctx, catalog.OwnerKey(o.number))
	if isNotFound(err) || err == nil && string(kv.Value) != string(o.grant.value) {
		return errs.New(errs.NotOwner, "log %d is not this node's any more", o.number)
	}
	return err
}

// apply implements wal.Deps.Apply.
func (o *owner) apply(before wal.Start, e wal.Accepted) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	flying := o.flying
	o.flying = nil
	o.logBytes += o.node.cfg.EntryBytes
	for i := range e.Records {
		r := &e.Records[i]
		var p *payload
		if o.serving {
			p = flying[i]
		}
		if err := o.applyRecord(before, e.Position, r, p); err != nil {
			return err
		}
	}
	end := &e.Records[len(e.Records)-1]
	o.last = sample{time.Now(), o.logBytes, wal.Start{Position: e.Position, Epoch: end.Epoch, Seq: end.Seq}, max(o.last.ts, end.TS)}
	if newest := o.samples[len(o.samples)-1]; o.last.at.Sub(newest.at) > time.Second || o.last.bytes-newest.bytes > 8<<20 {
		o.samples = append(o.samples, o.last)
	}
	return nil
}

func (o *owner) applyRecord(before wal.Start, position mq.Position, r *wal.Record, p *payload) error {
	if r.Kind == wal.Fence || r.Kind == wal.Moved {
		return nil
	}
	s, err := o.shard(shardID{r.Collection, int(r.Shard)})
	if err != nil || s == nil {
		return err
	}
	if r.Kind == wal.Seal {
		if position <= s.committed {
			return nil
		}
		if !o.serving {
			clear(s.partitions)
		}
		poke(o.uploadKick)
		return s.cut(before, position, r)
	}
	if p == nil {
		if p, err = o.recovered(s, r); err != nil {
			return fmt.Errorf("record %d of epoch %d at position %d: %w", r.Seq, r.Epoch, position, err)
		}
	}
	o.logBytes += p.bytes + 64
	if !o.serving {
		o.remember(r, p, position)
	}
	if position <= s.committed {
		return nil // it is in the bucket; only the windows need it
	}
	if !o.serving {
		s.note(p)
	}
	s.add(before, position, o.logBytes, r, p)
	o.addUnsealed(p.bytes)
	if s.open.bytes >= o.node.cfg.SealBytes {
		poke(o.sealKick)
	}
	return nil
}

// recovered decodes a record found in the log.
func (o *owner) recovered(s *shard, r *wal.Record) (*payload, error) {
	pk := int64(0)
	if c := o.node.deps.Cache.CollectionByID(s.id.collection); c != nil && c.Schema.PrimaryKey() != nil {
		pk = c.Schema.PrimaryKey().ID
	}
	return decode(r, pk)
}

// remember brings the windows up to date with a record found in the log.
func (o *owner) remember(r *wal.Record, p *payload, position mq.Position) {
	out := o.window.begin(r.RequestID, r.TS)
	out.ack = wal.Ack{TS: r.TS, Position: position}
	close(out.done)
	o.window.wrote(p.hashes, r.TS)
}

// shard returns a shard's state, or nil when the shard was dropped. mu is held.
func (o *owner) shard(id shardID) (*shard, error) {
	if s := o.shards[id]; s != nil {
		return s, nil
	}
	cache := o.node.deps.Cache
	m := cache.Shard(id.collection, id.shard)
	if m == nil {
		// The cache is not older than this ownership, and records come after their shard: it was dropped.
		if err := cache.Unreadable()[catalog.ShardKey(id.collection, id.shard)]; err != nil {
			return nil, fmt.Errorf("the manifest of shard %s cannot be read: %w", id, err)
		}
		return nil, nil
	}
	if m.Log != o.number {
		return nil, fmt.Errorf("log %d holds a record of shard %s, which is in log %d", o.number, id, m.Log)
	}
	s := newShard(id, m.Checkpoint)
	o.shards[id] = s
	return s, nil
}

// addUnsealed accounts memory; mu is held.
func (o *owner) addUnsealed(n int64) {
	o.unsealed += n
	o.node.unsealed.Add(n)
}

// run works until ctx ends, the log is lost, or release is closed and the writes in flight are settled.
func (o *owner) run(ctx context.Context, release <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer cancel() // without the writer nothing else goes on
		return o.writer.Run(gctx)
	})
	group.Go(func() error { o.sealLoop(gctx); return nil })
	group.Go(func() error { o.uploadLoop(gctx); return nil })
	group.Go(func() error { o.marksLoop(gctx); return nil })
	group.Go(func() error {
		select {
		case <-release:
			o.drain(gctx)
			cancel()
		case <-gctx.Done():
		}
		return nil
	})
	return group.Wait()
}

// drain admits no more writes and waits for those on the way.
func (o *owner) drain(ctx context.Context) {
	o.gate.close()
	ctx, cancel := context.WithTimeout(ctx, o.node.cfg.DrainTimeout)
	defer cancel()
	if err := o.gate.drain(ctx); err != nil {
		o.log.Warn("datanode: log handed over with writes in flight", "error", err)
	}
}

// close frees what the ownership held.
func (o *owner) close() {
	o.gate.close()
	o.endLife()
	o.mu.Lock()
	o.closed = true // nothing is added to background from here on
	o.mu.Unlock()
	o.background.Wait()
	if err := o.queue.Close(); err != nil {
		o.log.Debug("datanode: close the log", "error", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.node.unsealed.Add(-o.unsealed)
	o.unsealed, o.shards = 0, map[shardID]*shard{}
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
