package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// intentPrefix holds one key per upload under way, named after the folder or object that it protects.
const intentPrefix = "intent/"

// keepCompactions is how long the record of a user's compaction is kept.
const keepCompactions = 24 * time.Hour

// collector removes objects that nothing names.
type collector struct {
	t      *term
	copied map[string][]*catalog.Shard // manifests of copies of the catalog, by key; the term's own, under the copier's lock
}

func newCollector(t *term) *collector { return &collector{t: t, copied: map[string][]*catalog.Shard{}} }

func (g *collector) run(ctx context.Context) error {
	for ctx.Err() == nil {
		sleep(ctx, g.t.c.cfg.GC.Interval)
		if ctx.Err() != nil {
			return nil
		}
		removed, err := g.round(ctx)
		if err != nil && ctx.Err() == nil {
			g.t.log.Warn("coordinator: garbage collection", "error", err)
		}
		if removed > 0 {
			g.t.log.Info("coordinator: garbage collected", "objects", removed)
		}
	}
	return nil
}

// round collects once and returns the number of removed objects.
func (g *collector) round(ctx context.Context) (int, error) {
	if err := g.dropRecords(ctx); err != nil {
		return 0, err
	}
	if g.t.c.cfg.GC.Disabled {
		return 0, nil
	}
	g.t.copier.mu.Lock()
	defer g.t.copier.mu.Unlock()
	verdicts, n, err := g.survey(ctx)
	if err != nil {
		return 0, err
	}
	// What is removed was unnamed when the catalog was read; only the leader lets old names in again, so it must still be one.
	if _, err := g.t.commit(ctx, nil, []meta.Op{catalog.PutNumber(gcKey, uint64(g.t.epoch))}); err != nil {
		return 0, err
	}
	removed, err := g.remove(ctx, verdicts)
	if err != nil {
		return removed, err
	}
	return removed, g.dropRetired(ctx, verdicts, n)
}

// gcKey is written before each round removes anything.
const gcKey = "coordinator/gc"

// survey lists the bucket first and reads the catalog after it, so that a file uploaded and named meanwhile is not seen.
func (g *collector) survey(ctx context.Context) ([]verdict, named, error) {
	var objects []objstore.Object
	for _, prefix := range g.t.c.cfg.GC.Prefixes {
		err := g.t.c.deps.Objects.List(ctx, prefix, "", func(o objstore.Object) bool {
			objects = append(objects, o)
			return true
		})
		if err != nil {
			return nil, named{}, fmt.Errorf("list the bucket below %s: %w", prefix, err)
		}
	}
	n, err := readNamed(ctx, g.t.c.deps.Meta)
	if err != nil {
		return nil, n, err
	}
	if err := g.readCopies(ctx, &n); err != nil {
		return nil, n, err
	}
	return judge(objects, n, g.t.c.cfg.GC, g.t.c.now()), n, nil
}

// readNamed reads what keeps objects alive, in the order that named asks for.
func readNamed(ctx context.Context, store meta.Store) (n named, err error) {
	kvs, _, err := store.List(ctx, intentPrefix)
	if err != nil {
		return n, fmt.Errorf("read the intents: %w", err)
	}
	for _, kv := range kvs {
		n.Intents = append(n.Intents, strings.TrimPrefix(kv.Key, intentPrefix))
	}
	if n.Tasks, _, err = catalog.ReadAll[catalog.Task](ctx, store, catalog.TaskPrefix); err != nil {
		return n, err
	}
	if n.Views, _, err = catalog.ReadAll[catalog.View](ctx, store, catalog.ViewPrefix); err != nil {
		return n, err
	}
	if n.Shards, _, err = catalog.ReadAll[catalog.Shard](ctx, store, catalog.ShardPrefix); err != nil {
		return n, err
	}
	n.Retired, _, err = catalog.ReadAll[retired](ctx, store, retiredPrefix)
	return n, err
}

// readCopies reads what the copies of the catalog name that are to stay usable. A copy that is damaged protects nothing.
func (g *collector) readCopies(ctx context.Context, n *named) error {
	record, _, err := catalog.Read[catalog.Copies](ctx, g.t.c.deps.Meta, catalog.CopiesKey)
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	copied := map[string][]*catalog.Shard{}
	for i, kept := range record.Kept {
		n.Copies = append(n.Copies, kept.Key)
		if i >= catalog.ProtectedCopies {
			continue
		}
		shards, known := g.copied[kept.Key]
		if !known {
			c, err := copies.Read(ctx, g.t.c.deps.Objects, kept.Key)
			if err == nil {
				shards, err = copies.All[catalog.Shard](c, catalog.ShardPrefix)
			}
			if err != nil && !errors.Is(err, copies.ErrDamaged) && !errors.Is(err, objstore.ErrNotFound) {
				return err
			}
			if err != nil {
				g.t.log.Error("coordinator: a copy of the catalog cannot be used", "error", err)
			}
		}
		copied[kept.Key] = shards
		n.Copied = append(n.Copied, shards...)
	}
	g.copied = copied
	return nil
}

// removeBatch is the number of objects removed by one call.
const removeBatch = 256

func (g *collector) remove(ctx context.Context, verdicts []verdict) (int, error) {
	removed := 0
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		if err := g.t.c.deps.Objects.Delete(ctx, keys...); err != nil {
			return fmt.Errorf("remove %d objects: %w", len(keys), err)
		}
		removed += len(keys)
		g.t.c.met.collected.Add(float64(len(keys)))
		keys = keys[:0]
		return nil
	}
	for _, v := range verdicts {
		if !v.Remove {
			continue
		}
		g.t.log.Debug("coordinator: object removed", "key", v.Key, "reason", v.Why)
		if keys = append(keys, v.Key); len(keys) == removeBatch {
			if err := flush(); err != nil {
				return removed, err
			}
		}
	}
	return removed, flush()
}

// dropRetired removes the records of retired segments whose files are gone.
func (g *collector) dropRetired(ctx context.Context, verdicts []verdict, n named) error {
	since := g.t.c.now().Add(-g.t.c.cfg.GC.Grace)
	left := keepers{}
	for _, v := range verdicts {
		if !v.Remove {
			left[v.Key] = v.Why
		}
	}
	for _, r := range n.Retired {
		if n.holds(r, since) != "" || anyUnder(left, r.Segment.Dir) {
			continue
		}
		if _, err := g.t.commit(ctx, nil, []meta.Op{{Key: retiredKey(r.Collection, r.Segment.ID), Delete: true}}); err != nil {
			return err
		}
	}
	return nil
}

func anyUnder(keys keepers, dir string) bool {
	for key := range keys {
		if strings.HasPrefix(key, dir+"/") {
			return true
		}
	}
	return false
}

// dropRecords removes records that outlived their use: old compactions, and manifests of collections that are gone.
func (g *collector) dropRecords(ctx context.Context) error {
	store, now := g.t.c.deps.Meta, g.t.c.now()
	recs, _, err := catalog.ReadAll[compactionRecord](ctx, store, compactionPrefix)
	if err != nil {
		return err
	}
	for _, r := range recs {
		if now.Sub(time.UnixMilli(r.AtMS)) > keepCompactions {
			if _, err := g.t.commit(ctx, nil, []meta.Op{{Key: compactionKey(r.ID), Delete: true}}); err != nil {
				return err
			}
		}
	}
	// Manifests before collections: one whose collection is made meanwhile is not seen.
	shards, _, err := catalog.ReadAll[catalog.Shard](ctx, store, catalog.ShardPrefix)
	if err != nil {
		return err
	}
	for _, s := range shards {
		_, err := store.Get(ctx, catalog.CollectionKey(s.Collection))
		if err == nil {
			continue
		}
		if !errors.Is(err, meta.ErrNotFound) {
			return err
		}
		g.t.log.Warn("coordinator: a manifest without a collection is removed", "collection", s.Collection, "shard", s.Index)
		if _, err := g.t.commit(ctx, nil, []meta.Op{{Key: catalog.ShardKey(s.Collection, s.Index), Delete: true}}); err != nil {
			return err
		}
	}
	return nil
}

// DryRun says for every object below the folders of garbage collection whether the next round would remove it, and why
// or why not. It removes nothing and works on a standby too.
func (c *Coordinator) DryRun(ctx context.Context) ([]Verdict, error) {
	g := newCollector(&term{c: c, log: c.deps.Logger})
	verdicts, _, err := g.survey(ctx)
	return verdicts, err
}

// Verdict is what garbage collection thinks of one object.
type Verdict = verdict
