package datanode

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/segment"
	"github.com/gyr-db/gyr/pkg/tso"
)

// intentPrefix is the prefix of the keys that keep garbage collection away from folders being written.
const intentPrefix = "intent/"

// intent is the value of such a key.
type intent struct {
	Log   int    `json:"log"`
	Epoch uint64 `json:"epoch"`
}

// deltaName is the name of the delta file in a seal's folder.
const deltaName = "deletes.gyrd"

// uploadLoop writes seals to the bucket: shards in parallel, the seals of one shard in order.
func (o *owner) uploadLoop(ctx context.Context) {
	for {
		o.mu.Lock()
		for _, s := range o.shards {
			if len(s.sealed) > 0 && !s.uploading {
				s.uploading = true
				o.background.Go(func() { o.uploadShard(ctx, s) })
			}
		}
		o.mu.Unlock()
		select {
		case <-o.uploadKick:
		case <-ctx.Done():
			return
		}
	}
}

// uploadShard commits a shard's seals until none is left or ctx ends; it tries again for ever.
func (o *owner) uploadShard(ctx context.Context, s *shard) {
	const least = 100 * time.Millisecond
	delay := least
	for {
		o.mu.Lock()
		if len(s.sealed) == 0 || ctx.Err() != nil {
			s.uploading = false
			o.mu.Unlock()
			return
		}
		g := s.sealed[0]
		o.mu.Unlock()
		began := time.Now()
		err := o.upload(ctx, s.id, g)
		switch {
		case err == nil:
			o.committed(s, g)
			o.node.metrics.uploadSeconds.Observe(time.Since(began).Seconds())
			delay = least
		case ctx.Err() == nil:
			o.node.metrics.uploadFailures.Inc()
			o.log.Warn("datanode: a seal is not in the bucket yet, trying again", "shard", s.id.String(), "position", g.to, "delay", delay, "error", err)
			sleep(ctx, delay)
			delay = min(2*delay, o.node.cfg.UploadRetryMax)
		}
	}
}

func (o *owner) committed(s *shard, g *generation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.sealed = s.sealed[1:]
	s.committed = g.to
	o.addUnsealed(-g.bytes)
	poke(o.marksKick)
}

// upload makes one attempt to write a seal's files and to commit it.
func (o *owner) upload(ctx context.Context, id shardID, g *generation) error {
	if err := o.node.uploads.Acquire(ctx, 1); err != nil {
		return err
	}
	defer o.node.uploads.Release(1)
	coll := o.node.deps.Cache.CollectionByID(id.collection)
	if coll == nil || coll.State == catalog.Dropping {
		return nil
	}
	m, _, err := o.manifest(ctx, id)
	switch {
	case err != nil:
		return err
	case m == nil || m.Checkpoint >= g.to:
		return nil // dropped, or an earlier attempt whose outcome was unknown
	case m.Checkpoint != g.from:
		return errs.New(errs.Internal, "the manifest of shard %s is at %d, the seal at %d follows %d", id, m.Checkpoint, g.to, g.from)
	}
	a := &attempt{
		o: o, id: id, g: g, coll: coll,
		dir: fmt.Sprintf("segments/%d/%d/%d-%d-%08x", id.collection, id.shard, g.to, o.grant.epoch, rand.Uint32()),
	}
	err = a.run(ctx)
	if err != nil && a.intent != 0 {
		a.abandon(ctx)
	}
	return err
}

// manifest reads a shard's manifest linearizably; nil when the shard was dropped.
func (o *owner) manifest(ctx context.Context, id shardID) (*catalog.Shard, int64, error) {
	m, kv, err := catalog.Read[catalog.Shard](ctx, o.node.deps.Meta, catalog.ShardKey(id.collection, id.shard))
	if isNotFound(err) {
		return nil, 0, nil
	}
	return m, kv.ModRev, err
}

// attempt is one attempt to write and commit a seal, in a folder of its own.
type attempt struct {
	o      *owner
	id     shardID
	g      *generation
	coll   *catalog.Collection
	dir    string
	intent int64 // revision of the intent, 0: none

	segments []catalog.Segment
	delta    *catalog.Delta
}

func (a *attempt) intentKey() string { return intentPrefix + a.dir }

func (a *attempt) run(ctx context.Context) error {
	live := a.livePartitions()
	if len(live) > 0 || len(a.g.dels) > 0 {
		if err := a.announce(ctx); err != nil {
			return err
		}
	}
	for _, partition := range live {
		if err := a.writeSegment(ctx, partition); err != nil {
			return err
		}
	}
	if err := a.writeDelta(ctx); err != nil {
		return err
	}
	return a.commit(ctx)
}

// livePartitions are the partitions that have rows and were not dropped.
func (a *attempt) livePartitions() []int64 {
	var out []int64
	for _, partition := range slices.Sorted(maps.Keys(a.g.rows)) {
		if len(a.kept(partition)) == 0 {
			continue
		}
		if p := findPartition(a.coll, partition); p != nil && p.State == catalog.Ready {
			out = append(out, partition)
		}
	}
	return out
}

// kept are a partition's rows that were not truncated.
func (a *attempt) kept(partition int64) []chunk {
	return untruncated(a.g.rows[partition], a.coll.TruncatedTS)
}

// untruncated leaves out what was written at or below a timestamp. Chunks are in the order of timestamps.
func untruncated(chunks []chunk, ts tso.Timestamp) []chunk {
	for len(chunks) > 0 && chunks[0].ts <= ts {
		chunks = chunks[1:]
	}
	return chunks
}

func findPartition(c *catalog.Collection, id int64) *catalog.Partition {
	for i := range c.Partitions {
		if c.Partitions[i].ID == id {
			return &c.Partitions[i]
		}
	}
	return nil
}

// announce puts the intent that keeps garbage collection away.
func (a *attempt) announce(ctx context.Context) error {
	value, err := json.Marshal(intent{Log: a.o.number, Epoch: a.o.grant.epoch})
	if err != nil {
		return err
	}
	key := a.intentKey()
	rev, ok, err := a.o.node.deps.Meta.Txn(ctx, []meta.Compare{a.o.epochIsMine(), {Key: key}}, []meta.Op{{Key: key, Value: value}})
	if err != nil {
		// It may stand. Nothing was uploaded, so nobody misses it when the next owner cleans up.
		return fmt.Errorf("announce an upload: %w", err)
	}
	if !ok {
		return errs.New(errs.NotOwner, "the epoch of log %d has moved on", a.o.number)
	}
	a.intent = rev
	return nil
}

func (o *owner) epochIsMine() meta.Compare {
	return meta.Compare{Key: catalog.EpochKey(o.number), Value: o.grant.epochValue()}
}

func (a *attempt) writeSegment(ctx context.Context, partition int64) error {
	rows, err := concat(&a.coll.Schema, a.kept(partition))
	if err != nil {
		return fmt.Errorf("rows of partition %d: %w", partition, err)
	}
	rows.Indexed = a.coll.ScalarIndexed()
	id := a.g.segments[partition]
	dir := a.dir + "/" + strconv.FormatInt(id, 10)
	info, err := a.o.node.writeSegment(ctx, a.o.node.deps.Objects, dir, &a.coll.Schema, rows)
	if err != nil {
		return err
	}
	a.segments = append(a.segments, catalog.Segment{
		ID: id, Partition: partition, Rows: info.Rows, Bytes: info.Bytes,
		MinTS: info.MinTS, MaxTS: info.MaxTS, AppliedThrough: a.g.from, Dir: dir, Schema: a.coll.Schema.Version,
	})
	a.o.node.metrics.uploadedBytes.Add(float64(info.Bytes))
	return nil
}

func (a *attempt) writeDelta(ctx context.Context) error {
	if len(a.g.dels) == 0 {
		return nil
	}
	d := deletesOf(a.g.dels)
	path := a.dir + "/" + deltaName
	size, err := segment.WriteDelta(ctx, a.o.node.deps.Objects, path, d)
	if err != nil {
		return err
	}
	a.o.node.metrics.uploadedBytes.Add(float64(size))
	a.delta = &catalog.Delta{Path: path, From: a.g.from, To: a.g.to, Count: d.Len(), MinTS: slices.Min(d.TS), MaxTS: slices.Max(d.TS)}
	return nil
}

// commit puts the files into the manifest. Others change it too (compaction, index builds), so it is read and tried again;
// only this log's owner moves the checkpoint.
func (a *attempt) commit(ctx context.Context) error {
	for range 100 {
		m, rev, err := a.o.manifest(ctx, a.id)
		if err != nil {
			return err
		}
		if m == nil || m.Checkpoint >= a.g.to {
			return nil // dropped, or done by a transaction whose outcome was unknown
		}
		ok, err := a.tryCommit(ctx, m, rev)
		if ok {
			return nil
		}
		if err != nil {
			sleep(ctx, 20*time.Millisecond)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := a.stillMine(ctx); err != nil {
			return err
		}
	}
	return errs.New(errs.Unavailable, "the manifest of shard %s changes all the time", a.id)
}

func (a *attempt) tryCommit(ctx context.Context, m *catalog.Shard, rev int64) (bool, error) {
	next := *m
	next.Segments = append(slices.Clone(m.Segments), a.segments...)
	next.Deltas = slices.Clone(m.Deltas)
	if a.delta != nil {
		next.Deltas = append(next.Deltas, *a.delta)
	}
	next.Checkpoint, next.SealedTS = a.g.to, a.g.sealTS
	key := catalog.ShardKey(a.id.collection, a.id.shard)
	op, err := catalog.Put(key, next)
	if err != nil {
		return false, err
	}
	cmps := []meta.Compare{a.o.epochIsMine(), {Key: key, ModRev: rev}}
	ops := []meta.Op{op}
	if a.intent != 0 {
		cmps = append(cmps, meta.Compare{Key: a.intentKey(), ModRev: a.intent})
		ops = append(ops, meta.Op{Key: a.intentKey(), Delete: true})
	}
	_, ok, err := a.o.node.deps.Meta.Txn(ctx, cmps, ops)
	return ok, err
}

// stillMine says why no commit of this attempt can succeed any more. The manifest is looked at by the caller.
func (a *attempt) stillMine(ctx context.Context) error {
	store := a.o.node.deps.Meta
	epoch, _, err := catalog.ReadNumber(ctx, store, catalog.EpochKey(a.o.number))
	if err != nil {
		return nil // the next try tells
	}
	if epoch != a.o.grant.epoch {
		return errs.New(errs.NotOwner, "log %d has epoch %d by now", a.o.number, epoch)
	}
	if a.intent == 0 {
		return nil
	}
	if _, err := store.Get(ctx, a.intentKey()); isNotFound(err) {
		if m, _, err := a.o.manifest(ctx, a.id); err != nil || m == nil || m.Checkpoint >= a.g.to {
			return nil // committed with an unknown outcome, or dropped
		}
		return errs.New(errs.Unavailable, "the intent for %s is gone", a.dir)
	}
	return nil
}

// abandon takes the intent of a failed attempt away; what it wrote is garbage then. If the attempt did commit, its intent
// is gone already.
func (a *attempt) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.o.node.cfg.LeaseTTL)
	defer cancel()
	key := a.intentKey()
	if _, _, err := a.o.node.deps.Meta.Txn(ctx, []meta.Compare{{Key: key, ModRev: a.intent}}, []meta.Op{{Key: key, Delete: true}}); err != nil {
		a.o.log.Debug("datanode: an intent stays until the next owner", "key", key, "error", err)
	}
}

// cleanIntents takes away the intents of former owners of this log: nothing of theirs can be committed any more.
func (o *owner) cleanIntents(ctx context.Context) error {
	kvs, _, err := o.node.deps.Meta.List(ctx, intentPrefix+"segments/")
	if err != nil {
		return err
	}
	for _, kv := range kvs {
		var i intent
		if json.Unmarshal(kv.Value, &i) != nil || i.Log != o.number || i.Epoch >= o.grant.epoch || i.Epoch == 0 {
			continue
		}
		_, _, err := o.node.deps.Meta.Txn(ctx, []meta.Compare{o.epochIsMine(), {Key: kv.Key, ModRev: kv.ModRev}}, []meta.Op{{Key: kv.Key, Delete: true}})
		if err != nil {
			return err
		}
	}
	return nil
}
