package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/services/process"
)

// idLeap is added to the bound of ids: more than a cluster hands out between two copies, however long copying failed. The
// ids of rows stay below 2^53 for thousands of rebuilds.
const idLeap = 1 << 40

// rebuild writes the newest good copy of the catalog into an empty metadata store.
//
// The copy is one revision. What happened after it is in the logs, behind the checkpoints that the copy has: the owners of
// the logs hold truncation back for it, and garbage collection holds back the files that it names. So the owners, when they
// start, read every row and delete again that is not in the copy's manifests. Lost are changes of collections and their
// like between the copy and the end.
type rebuild struct {
	env *process.Env
	out io.Writer
	now time.Time

	copy     *copies.Copy
	logs     []*logFacts
	problems []string
}

func (r *rebuild) say(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func (r *rebuild) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *rebuild) run(ctx context.Context, key string, dry bool) (int, error) {
	for _, step := range []func(context.Context) error{
		r.empty,
		func(ctx context.Context) error { return r.choose(ctx, key) },
		r.readLogs,
		r.raise,
		r.files,
	} {
		if err := step(ctx); err != nil {
			return exitUsage, err
		}
	}
	if !dry {
		if err := r.restore(ctx); err != nil {
			return exitUsage, err
		}
	}
	if err := r.report(dry); err != nil {
		return exitUsage, err
	}
	if len(r.problems) > 0 {
		return exitProblem, nil
	}
	return exitFine, nil
}

func (r *rebuild) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	return copies.Empty(ctx, r.env.Meta)
}

func (r *rebuild) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*storageTimeout)
	defer cancel()
	return copies.Restore(ctx, r.env.Meta, r.copy)
}

// choose takes the newest copy that can be read, or the one asked for.
func (r *rebuild) choose(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	keys := []string{key}
	if key == "" {
		var err error
		if keys, err = copies.List(ctx, r.env.Objects); err != nil {
			return err
		}
	}
	for _, k := range keys {
		c, err := copies.Read(ctx, r.env.Objects, k)
		if err == nil {
			r.copy = c
			return nil
		}
		if !errors.Is(err, copies.ErrDamaged) {
			return err
		}
		r.problem("%v: it was not used; changes of the catalog after the copy before it may be missing", err)
	}
	if len(r.problems) > 0 {
		return fmt.Errorf("no copy of the catalog can be read: %s", strings.Join(r.problems, "; "))
	}
	return fmt.Errorf("object storage holds no copy of a catalog below %s", copies.Folder)
}

// raise puts epochs, timestamps and ids above everything that was handed out before the loss, as far as it can be known.
func (r *rebuild) raise(context.Context) error {
	bound, err := r.number(catalog.OracleKey)
	if err != nil {
		return err
	}
	bound = max(bound, tso.FromTime(r.now))
	for _, l := range r.logs {
		bound = max(bound, l.newest+1)
		key := catalog.EpochKey(l.log.Number)
		epoch, err := r.number(key)
		if err != nil {
			return err
		}
		r.copy.Set(key, strconv.AppendUint(nil, max(epoch, l.epoch), 10))
		// What lies below the checkpoint may have been removed since, and nothing of it is read again.
		l.marks.Truncated = l.marks.Checkpoint
		raw, err := json.Marshal(l.marks)
		if err != nil {
			return err
		}
		r.copy.Set(catalog.MarksKey(l.log.Number), raw)
	}
	r.copy.Set(catalog.OracleKey, strconv.AppendUint(nil, bound, 10))
	ids, err := r.number(catalog.IDsKey)
	if err != nil {
		return err
	}
	for _, l := range r.logs {
		ids = max(ids, l.maxSegment+1)
	}
	r.copy.Set(catalog.IDsKey, strconv.AppendUint(nil, ids+idLeap, 10))
	return r.protect()
}

// protect names the copy in the new catalog too, so that it stays usable until newer ones are there.
func (r *rebuild) protect() error {
	kept := catalog.KeptCopy{Key: r.copy.Name(), Revision: r.copy.Revision, AtMS: r.copy.Time.UnixMilli(), Checkpoints: map[int]mq.Position{}}
	for _, l := range r.logs {
		kept.Checkpoints[l.log.Number] = l.marks.Checkpoint
	}
	raw, err := json.Marshal(catalog.Copies{Kept: []catalog.KeptCopy{kept}})
	if err != nil {
		return err
	}
	r.copy.Set(catalog.CopiesKey, raw)
	return nil
}

func (r *rebuild) number(key string) (uint64, error) {
	raw := r.copy.Raw(key)
	if raw == nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the copy's %s: %w", key, err)
	}
	return n, nil
}

// files looks whether the objects that the manifests name are there. An index file that is missing is built again; of a
// segment or delta file nothing can be made.
func (r *rebuild) files(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*storageTimeout)
	defer cancel()
	have, folders := map[string]bool{}, map[string]bool{}
	for _, prefix := range []string{"segments/", "deltas/", "indexes/"} {
		err := r.env.Objects.List(ctx, prefix, "", func(o objstore.Object) bool {
			have[o.Key] = true
			folders[o.Key[:strings.LastIndexByte(o.Key, '/')]] = true
			return true
		})
		if err != nil {
			return fmt.Errorf("list the objects below %s: %w", prefix, err)
		}
	}
	shards, err := copies.All[catalog.Shard](r.copy, catalog.ShardPrefix)
	if err != nil {
		return err
	}
	for _, s := range shards {
		changed := false
		for i := range s.Segments {
			seg := &s.Segments[i]
			if !folders[seg.Dir] {
				r.problem("the files of segment %d (%d rows) of collection %d shard %d are missing below %s", seg.ID, seg.Rows, s.Collection, s.Index, seg.Dir)
			}
			kept := seg.Indexes[:0]
			for _, x := range seg.Indexes {
				if have[x.Path] {
					kept = append(kept, x)
				}
			}
			changed = changed || len(kept) < len(seg.Indexes)
			seg.Indexes = kept
		}
		for _, d := range s.Deltas {
			if !have[d.Path] {
				r.problem("the file %s with %d deletes of collection %d shard %d is missing", d.Path, d.Count, s.Collection, s.Index)
			}
		}
		if changed {
			raw, err := json.Marshal(s)
			if err != nil {
				return err
			}
			r.copy.Set(catalog.ShardKey(s.Collection, s.Index), raw)
		}
	}
	return nil
}

// report says what was restored, and what is newer than the copy.
func (r *rebuild) report(dry bool) error {
	colls, err := copies.All[catalog.Collection](r.copy, catalog.CollectionPrefix)
	if err != nil {
		return err
	}
	shards, err := copies.All[catalog.Shard](r.copy, catalog.ShardPrefix)
	if err != nil {
		return err
	}
	loaded, segments, rows := 0, 0, 0
	for _, c := range colls {
		if c.Load != nil {
			loaded++
		}
	}
	for _, s := range shards {
		segments += len(s.Segments)
		for i := range s.Segments {
			rows += s.Segments[i].Rows
		}
	}
	did := "Restored"
	if dry {
		did = "Would restore"
	}
	r.say("%s %s: cluster %s as of %s (%s before now), revision %d.", did, r.copy.Name(), r.copy.Cluster,
		r.copy.Time.Format(time.RFC3339), r.now.Sub(r.copy.Time).Round(time.Second), r.copy.Revision)
	r.say("%d databases, %d collections (%d of them to be loaded), %d aliases, %d shards with %d segments of %d rows.",
		len(r.copy.Under(catalog.DatabasePrefix)), len(colls), loaded, len(r.copy.Under(catalog.AliasPrefix)), len(shards), segments, rows)
	r.say("")
	var lines [][]string
	for _, l := range r.logs {
		newest := "none"
		if l.newest > 0 {
			newest = tso.Time(l.newest).UTC().Format(time.RFC3339)
		}
		lines = append(lines, []string{fmt.Sprint(l.log.Number), fmt.Sprint(l.marks.Checkpoint), fmt.Sprint(l.writes), fmt.Sprint(l.after), newest, fmt.Sprint(l.epoch)})
	}
	table(r.out, "LOG\tREAD AGAIN BEHIND\tWRITES THERE\tAFTER THE COPY\tNEWEST\tEPOCH", lines)
	r.say("Changes of databases, collections, partitions, aliases, indexes and loads after %s are not in the copy.", r.copy.Time.Format(time.RFC3339Nano))
	for _, p := range r.problems {
		r.say("  - %s", p)
	}
	if dry {
		r.say("Nothing was written.")
	} else {
		r.say("Start Gyr's processes now: the owners of the logs read again what is not in segments.")
	}
	return nil
}
