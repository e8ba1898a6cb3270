package datanode

import (
	"context"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/wal"
)

// marksLoop moves the log's marks and truncates it, until ctx ends.
func (o *owner) marksLoop(ctx context.Context) {
	tick := time.NewTicker(o.node.cfg.MarksInterval)
	defer tick.Stop()
	if o.marks.Truncated > 0 {
		o.truncate(ctx, o.marks.Truncated) // a former owner may have written the mark and no more
	}
	for {
		if err := o.moveMarks(ctx, time.Now()); err != nil && ctx.Err() == nil {
			o.log.Warn("datanode: the log's marks stay where they are for now", "error", err)
		}
		select {
		case <-tick.C:
		case <-o.marksKick:
			sleep(ctx, o.node.cfg.MarksInterval/10)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// moveMarks writes new marks if they have moved, then truncates.
func (o *owner) moveMarks(ctx context.Context, now time.Time) error {
	o.mu.Lock()
	old := o.marks
	next := o.checkpoint(now)
	o.mu.Unlock()
	cmps := []meta.Compare{o.epochIsMine()}
	if cut := o.truncation(now); cut > old.Truncated {
		floor, copies, err := o.heldBack(ctx, cut)
		if err != nil {
			return err
		}
		next.Truncated = max(old.Truncated, floor)
		cmps = append(cmps, copies)
	}
	if next == old {
		return nil
	}
	op, err := catalog.Put(catalog.MarksKey(o.number), next)
	if err != nil {
		return err
	}
	_, ok, err := o.node.deps.Meta.Txn(ctx, cmps, []meta.Op{op})
	if err != nil {
		return fmt.Errorf("write the marks of log %d: %w", o.number, err)
	}
	if !ok {
		return fmt.Errorf("write the marks of log %d: the epoch has moved on, or the catalog was copied just now", o.number)
	}
	o.mu.Lock()
	o.marks = next
	if next.Checkpoint > old.Checkpoint {
		o.cuts = append(o.cuts, sample{at: now, start: wal.Start{Position: next.Checkpoint, Epoch: next.Epoch, Seq: next.Seq}})
	}
	o.mu.Unlock()
	if next.Truncated > old.Truncated {
		o.truncate(ctx, next.Truncated)
	}
	return nil
}

// checkpoint is the furthest place below every record that is not committed, and old enough that a new owner which reads
// from there knows the recent request ids and keys. mu is held.
func (o *owner) checkpoint(now time.Time) catalog.LogMarks {
	cfg := &o.node.cfg
	if newest := o.samples[len(o.samples)-1]; o.last.start.Position > newest.start.Position && now.Sub(newest.at) > time.Second {
		o.samples = append(o.samples, o.last)
	}
	for len(o.samples) > 1 {
		if s := o.samples[1]; now.Sub(s.at) < cfg.WindowTime && o.logBytes-s.bytes < cfg.WindowBytes {
			break
		}
		o.samples = o.samples[1:]
	}
	at, ts := o.samples[0].start, o.samples[0].ts
	for _, s := range o.shards {
		if g := s.oldest(); g != nil && g.before.Position < at.Position {
			at = g.before
			// Every record before the first of this generation has a lower timestamp.
			if ts = g.sealTS; g.filled {
				ts = g.minTS
			}
			ts--
		}
	}
	next := o.marks
	if at.Position > next.Checkpoint {
		next.Checkpoint, next.Epoch, next.Seq, next.TS = at.Position, at.Epoch, at.Seq, max(ts, next.TS)
	}
	return next
}

// truncation is the position below which nobody needs the log: a checkpoint that has stood for a while, but no view may
// start below it.
func (o *owner) truncation(now time.Time) mq.Position {
	o.mu.Lock()
	before := o.marks.Truncated
	for len(o.cuts) > 0 && now.Sub(o.cuts[0].at) >= o.node.cfg.TruncateDelay {
		before = max(before, o.cuts[0].start.Position)
		if len(o.cuts) == 1 || now.Sub(o.cuts[1].at) < o.node.cfg.TruncateDelay {
			break // keep it: a view may hold it back now and not later
		}
		o.cuts = o.cuts[1:]
	}
	o.mu.Unlock()
	cache := o.node.deps.Cache
	for _, c := range cache.AllCollections() {
		for _, v := range cache.Views(c.ID) {
			if v.Shard >= len(c.ShardLogs) || c.ShardLogs[v.Shard] != o.number {
				continue
			}
			// A view that begins at its shard's checkpoint needs nothing below the log's: the shard has no record between
			// them. Else an idle shard would hold the log back for ever (trace 30).
			if m := cache.Shard(v.Collection, v.Shard); m == nil || m.Checkpoint != v.From {
				before = min(before, v.From)
			}
		}
	}
	return before
}

// heldBack lowers a truncation to what the copies of the catalog allow, and compares them: a copy that is under way counts
// on no truncation above what its record says.
func (o *owner) heldBack(ctx context.Context, cut mq.Position) (mq.Position, meta.Compare, error) {
	copies, kv, err := catalog.Read[catalog.Copies](ctx, o.node.deps.Meta, catalog.CopiesKey)
	if isNotFound(err) {
		return cut, meta.Compare{Key: catalog.CopiesKey}, nil
	}
	if err != nil {
		return 0, meta.Compare{}, fmt.Errorf("see what the copies of the catalog need of log %d: %w", o.number, err)
	}
	if floor, held := copies.Floor(o.number); held {
		cut = min(cut, floor)
	}
	return cut, meta.Compare{Key: catalog.CopiesKey, ModRev: kv.ModRev}, nil
}

func (o *owner) truncate(ctx context.Context, before mq.Position) {
	if err := o.queue.Truncate(ctx, before); err != nil && ctx.Err() == nil {
		o.log.Warn("datanode: the log cannot be truncated at present", "before", before, "error", err)
	}
}
