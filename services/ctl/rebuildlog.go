package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

// readPatience is how long a read of a log waits for an entry below its end.
const readPatience = 15 * time.Second

// logFacts is what a log holds behind the copy's checkpoint.
type logFacts struct {
	log        catalog.Log
	marks      catalog.LogMarks
	epoch      uint64        // the highest
	newest     tso.Timestamp // of the last record
	maxSegment uint64
	writes     int // records with rows or deletes
	after      int // of those, later than the copy
	unknown    map[unknown]int
}

// unknown is something that a record names and the copy lacks.
type unknown struct {
	collection, partition int64
	schema                int32 // a version above the copy's
}

func (u unknown) String() string {
	switch {
	case u.partition != 0:
		return fmt.Sprintf("partition %d of collection %d", u.partition, u.collection)
	case u.schema != 0:
		return fmt.Sprintf("schema version %d of collection %d", u.schema, u.collection)
	}
	return fmt.Sprintf("collection %d", u.collection)
}

// readLogs reads every log from the copy's checkpoint to its end.
func (r *rebuild) readLogs(ctx context.Context) error {
	logs, err := copies.All[catalog.Log](r.copy, catalog.LogPrefix)
	if err != nil {
		return err
	}
	marks, err := r.copy.Checkpoints()
	if err != nil {
		return err
	}
	colls, err := copies.All[catalog.Collection](r.copy, catalog.CollectionPrefix)
	if err != nil {
		return err
	}
	known := map[int64]*catalog.Collection{}
	for _, c := range colls {
		known[c.ID] = c
	}
	slices.SortFunc(logs, func(a, b *catalog.Log) int { return cmp.Compare(a.Number, b.Number) })
	for _, l := range logs {
		f := &logFacts{log: *l, marks: marks[l.Number], unknown: map[unknown]int{}}
		f.epoch, f.newest = f.marks.Epoch, f.marks.TS
		r.logs = append(r.logs, f)
		if !l.Created {
			continue
		}
		if err := r.readLog(ctx, f, known); err != nil {
			return fmt.Errorf("log %d (%s): %w", l.Number, l.Name, err)
		}
		for _, u := range slices.SortedFunc(maps.Keys(f.unknown), func(a, b unknown) int { return cmp.Compare(a.String(), b.String()) }) {
			r.problem("log %d has %d writes of %s, which was made after the copy: what they hold is lost", l.Number, f.unknown[u], u)
		}
	}
	return nil
}

func (r *rebuild) readLog(ctx context.Context, f *logFacts, known map[int64]*catalog.Collection) error {
	log, tail, err := r.openLog(ctx, f)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := f.verify(ctx, log); err != nil {
		return err
	}
	reader := wal.NewReader(log, wal.Start{Position: f.marks.Checkpoint, Epoch: f.marks.Epoch, Seq: f.marks.Seq})
	copied := tso.FromTime(r.copy.Time)
	for reader.Position()+1 < tail {
		step, cancel := context.WithTimeout(ctx, readPatience)
		entry, err := reader.Next(step)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break // the rest holds nothing that counts
		}
		if err != nil {
			return err
		}
		for i := range entry.Records {
			f.take(&entry.Records[i], known, copied)
		}
	}
	f.epoch = max(f.epoch, reader.Last().Epoch)
	return nil
}

func (r *rebuild) openLog(ctx context.Context, f *logFacts) (mq.Log, mq.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	log, err := r.env.Queue.Open(ctx, mq.LogID{Name: f.log.Name, UUID: f.log.UUID}, f.marks.Checkpoint)
	if err != nil {
		return nil, 0, fmt.Errorf("open it: %w", err)
	}
	tail, err := log.Tail(ctx)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("find its end: %w", err), log.Close())
	}
	return log, tail, nil
}

// verify makes sure that the log is whole from the checkpoint on, and the one that was copied from.
func (f *logFacts) verify(ctx context.Context, log mq.Log) error {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	at, err := wal.StartAt(ctx, log, f.marks.Checkpoint)
	switch {
	case errors.Is(err, mq.ErrTruncated):
		return fmt.Errorf("it was truncated behind position %d, where the copy wants to go on: rows would be missing; use a newer copy (%w)", f.marks.Checkpoint, err)
	case err != nil:
		return fmt.Errorf("read the entry at the copy's checkpoint: %w", err)
	case at.Position != 0 && (at.Epoch != f.marks.Epoch || at.Seq != f.marks.Seq):
		return fmt.Errorf("at position %d it has record %d of epoch %d, the copy says record %d of epoch %d: it is another log", at.Position, at.Seq, at.Epoch, f.marks.Seq, f.marks.Epoch)
	}
	return nil
}

// take notes what one record says. What was unknown when the copy was made was dropped before.
func (f *logFacts) take(rec *wal.Record, known map[int64]*catalog.Collection, copied tso.Timestamp) {
	f.epoch, f.newest = max(f.epoch, rec.Epoch), max(f.newest, rec.TS)
	for _, s := range rec.Seal {
		f.maxSegment = max(f.maxSegment, uint64(s.Segment))
	}
	if rec.Kind == wal.Fence || rec.Kind == wal.Seal || rec.Kind == wal.Moved {
		return
	}
	f.writes++
	if rec.TS <= copied {
		return
	}
	f.after++
	c := known[rec.Collection]
	if c == nil {
		f.unknown[unknown{collection: rec.Collection}]++
		return
	}
	for _, p := range rec.Parts {
		if !slices.ContainsFunc(c.Partitions, func(x catalog.Partition) bool { return x.ID == p.Partition }) {
			f.unknown[unknown{collection: c.ID, partition: p.Partition}]++
		}
	}
	if rec.SchemaVersion > c.Schema.Version {
		f.unknown[unknown{collection: c.ID, schema: rec.SchemaVersion}]++
	}
}
