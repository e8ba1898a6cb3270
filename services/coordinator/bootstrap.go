package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
)

// Format is the number of the catalog's format that this build reads and writes.
const Format = 1

// DefaultDatabase is the database that always exists.
const DefaultDatabase = "default"

// bootstrap makes what a new cluster lacks: its record, the default database, the logs. Each step may be repeated.
func (t *term) bootstrap(ctx context.Context) error {
	cluster, err := t.ensureCluster(ctx)
	if err != nil {
		return fmt.Errorf("cluster record: %w", err)
	}
	if cluster.Format != Format {
		return fmt.Errorf("the catalog has format %d, this build knows format %d only", cluster.Format, Format)
	}
	if cluster.Logs != t.c.cfg.Logs {
		t.log.Info("coordinator: the number of logs was fixed at the first start", "logs", cluster.Logs, "configured", t.c.cfg.Logs)
	}
	if err := t.ensureDefaultDatabase(ctx); err != nil {
		return fmt.Errorf("default database: %w", err)
	}
	for n := range cluster.Logs {
		if err := t.ensureLog(ctx, cluster, n); err != nil {
			return fmt.Errorf("log %d: %w", n, err)
		}
	}
	return nil
}

func (t *term) ensureCluster(ctx context.Context) (*catalog.Cluster, error) {
	found, _, err := catalog.Read[catalog.Cluster](ctx, t.c.deps.Meta, catalog.ClusterKey)
	if !errors.Is(err, meta.ErrNotFound) {
		return found, err
	}
	if err := t.refuseLost(ctx); err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("draw a UUID: %w", err)
	}
	made := &catalog.Cluster{UUID: id.String(), Format: Format, Logs: t.c.cfg.Logs}
	if err := t.putNew(ctx, catalog.ClusterKey, made); err != nil {
		return nil, err
	}
	t.log.Info("coordinator: new cluster", "uuid", made.UUID, "logs", made.Logs)
	return made, nil
}

func (t *term) ensureDefaultDatabase(ctx context.Context) error {
	key := catalog.DatabaseKey(DefaultDatabase)
	_, err := t.c.deps.Meta.Get(ctx, key)
	if !errors.Is(err, meta.ErrNotFound) {
		return err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return err
	}
	return t.putNew(ctx, key, &catalog.Database{ID: 1, Name: DefaultDatabase, CreatedTS: ts})
}

// ensureLog writes the record of a log, creates the log in the queue and then marks it as created. A log is created only
// while its record calls it new: once it holds data, one that is missing in the queue is a loss to report, not to cover.
func (t *term) ensureLog(ctx context.Context, cluster *catalog.Cluster, n int) error {
	key := catalog.LogKey(n)
	rec, kv, err := catalog.Read[catalog.Log](ctx, t.c.deps.Meta, key)
	if errors.Is(err, meta.ErrNotFound) {
		id, err := uuid.NewRandom()
		if err != nil {
			return fmt.Errorf("draw a UUID: %w", err)
		}
		rec = &catalog.Log{Number: n, URL: t.c.cfg.QueueURL, Name: fmt.Sprintf("gyr-%s-log-%d", cluster.UUID[:8], n), UUID: id.String()}
		if err := t.putNew(ctx, key, rec); err != nil {
			return err
		}
		rec, kv, err = catalog.Read[catalog.Log](ctx, t.c.deps.Meta, key)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if rec.Created {
		return nil
	}
	err = t.c.deps.Queue.Create(ctx, mq.LogID{Name: rec.Name, UUID: rec.UUID})
	if err != nil && !errors.Is(err, mq.ErrExists) {
		return fmt.Errorf("create it in the queue: %w", err)
	}
	done := *rec
	done.Created = true
	op, err := catalog.Put(key, &done)
	if err != nil {
		return err
	}
	_, err = t.commit(ctx, []meta.Compare{{Key: key, ModRev: kv.ModRev}}, []meta.Op{op})
	return err
}

// putNew writes a record under a key that must not exist.
func (t *term) putNew(ctx context.Context, key string, record any) error {
	op, err := catalog.Put(key, record)
	if err != nil {
		return err
	}
	_, err = t.commit(ctx, []meta.Compare{{Key: key}}, []meta.Op{op})
	return err
}
