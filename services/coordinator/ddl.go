package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
)

// ddlKey is written by every change of names and collections, and each compares the revision that the one before left.
// After a change whose outcome is unknown it is written once more: from then on that change either shows or can never
// happen, also if the next one finds nothing to do.
const ddlKey = "coordinator/ddl"

// maxDDLAttempts bounds how often a change is decided anew after a conflict.
const maxDDLAttempts = 10

// ddl serialises the changes of the catalog. Deciding and committing is one at a time over the cluster (a few
// milliseconds); what a change does besides, such as waiting for proxies, is one at a time per collection.
type ddl struct {
	t    *term
	turn chan struct{} // holds a token while a change is decided and committed
	last int64         // revision of ddlKey, or -1 when unknown; guarded by turn

	mu    sync.Mutex // guards locks
	locks map[int64]*collectionLock
}

type collectionLock struct {
	turn  chan struct{}
	users int
}

func newDDL(t *term) *ddl {
	return &ddl{t: t, turn: make(chan struct{}, 1), last: -1, locks: map[int64]*collectionLock{}}
}

// batch is what a change writes. An empty batch changes nothing and succeeds.
type batch struct {
	cmps []meta.Compare
	ops  []meta.Op
	err  error
}

func put[T any](b *batch, key string, record T) {
	op, err := catalog.Put(key, record)
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.ops = append(b.ops, op)
}

func (b *batch) number(key string, n int64) { b.ops = append(b.ops, catalog.PutNumber(key, uint64(n))) }

func (b *batch) remove(key string) { b.ops = append(b.ops, meta.Op{Key: key, Delete: true}) }

func (b *batch) removeAll(prefix string) {
	b.ops = append(b.ops, meta.Op{Key: prefix, Delete: true, Prefix: true})
}

// change decides and commits one change. decide reads the cache, which shows every earlier change, and fills the batch;
// it may run several times. The revision is that of the change, or the cache's when there was nothing to change.
func (d *ddl) change(ctx context.Context, decide func(b *batch) error) (int64, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for another change of the catalog: %w", context.Cause(ctx))
	}
	for range maxDDLAttempts {
		if err := d.catchUp(ctx); err != nil {
			return 0, err
		}
		var b batch
		if err := decide(&b); err != nil {
			return 0, err
		}
		if b.err != nil {
			return 0, b.err
		}
		if len(b.ops) == 0 {
			return d.t.c.deps.Cache.Revision(), nil
		}
		rev, err := d.commit(ctx, &b)
		if errors.Is(err, errConflict) {
			continue
		}
		return rev, err
	}
	return 0, errs.New(errs.Unavailable, "the catalog changed %d times while this change was decided", maxDDLAttempts)
}

// catchUp makes the cache show every change that was committed, and lets none that was begun before land later.
func (d *ddl) catchUp(ctx context.Context) error {
	for d.last < 0 {
		kv, err := d.t.c.deps.Meta.Get(ctx, ddlKey)
		if err != nil && !errors.Is(err, meta.ErrNotFound) {
			return fmt.Errorf("read the last change of the catalog: %w", err)
		}
		rev, err := d.t.commit(ctx, []meta.Compare{{Key: ddlKey, ModRev: kv.ModRev}}, []meta.Op{catalog.PutNumber(ddlKey, uint64(d.t.epoch))})
		if errors.Is(err, errConflict) {
			continue // it landed just now
		}
		if err != nil {
			return err
		}
		d.last = rev
	}
	return d.t.c.deps.Cache.WaitRevision(ctx, max(d.last, d.t.epoch))
}

func (d *ddl) commit(ctx context.Context, b *batch) (int64, error) {
	cmps := append([]meta.Compare{{Key: ddlKey, ModRev: d.last}}, b.cmps...)
	ops := append([]meta.Op{catalog.PutNumber(ddlKey, uint64(d.t.epoch))}, b.ops...)
	d.last = -1
	rev, err := d.t.commit(ctx, cmps, ops)
	if err != nil {
		return 0, err
	}
	d.last = rev
	d.t.copier.changed()
	return rev, d.t.c.deps.Cache.WaitRevision(ctx, rev)
}

// lock waits for the other changes of a collection.
func (d *ddl) lock(ctx context.Context, collection int64) (unlock func(), err error) {
	d.mu.Lock()
	l := d.locks[collection]
	if l == nil {
		l = &collectionLock{turn: make(chan struct{}, 1)}
		d.locks[collection] = l
	}
	l.users++
	d.mu.Unlock()
	leave := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(d.locks, collection)
		}
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("wait for another change of collection %d: %w", collection, context.Cause(ctx))
	}
}

// lockNamed finds a collection and waits for the other changes of it.
func (d *ddl) lockNamed(ctx context.Context, db, nameOrAlias string) (*catalog.Collection, func(), error) {
	coll, err := d.t.find(ctx, db, nameOrAlias)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := d.lock(ctx, coll.ID)
	return coll, unlock, err
}

// find looks a collection up by name or alias, in a cache that shows every change answered so far.
func (t *term) find(ctx context.Context, db, nameOrAlias string) (*catalog.Collection, error) {
	if t.c.deps.Cache.Database(db) == nil {
		return nil, noDatabase(db)
	}
	coll := t.c.deps.Cache.Collection(db, nameOrAlias)
	if coll == nil {
		return nil, noCollection(db, nameOrAlias)
	}
	return coll, nil
}

// current returns the collection as it is now, for a decision about it.
func (t *term) current(db, name string, id int64) (*catalog.Collection, error) {
	coll := t.c.deps.Cache.CollectionByID(id)
	if coll == nil || coll.State == catalog.Dropping {
		return nil, noCollection(db, name)
	}
	return coll, nil
}

func noDatabase(db string) error {
	return errs.Input(errs.DatabaseNotFound, "database not found[database=%s]", db)
}

func noCollection(db, name string) error {
	return errs.Input(errs.CollectionNotFound, "collection not found[database=%s][collection=%s]", db, name)
}

func noPartition(name string) error {
	return errs.Input(errs.PartitionNotFound, "partition not found[partition=%s]", name)
}
