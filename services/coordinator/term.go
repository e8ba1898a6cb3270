package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/tso"
)

// errConflict: a transaction's compare failed though this process still leads; read again and retry.
var errConflict = errors.New("changed by somebody else meanwhile")

// term is one leadership. Everything in it ends with it.
type term struct {
	c     *Coordinator
	log   *slog.Logger
	epoch int64
	ctx   context.Context
	stop  context.CancelCauseFunc
	made  atomic.Int64 // highest revision that this term committed

	oracle *oracle
	ids    *idAllocator
	ddl    *ddl
	place  *placer
	board  *board
	gc     *collector
	copier *copier
}

// newTerm takes over: it waits until the cache shows the catalog as of the election, makes what a new cluster lacks, and
// starts the allocators at the persisted bounds.
func (c *Coordinator) newTerm(ctx context.Context, epoch int64) (*term, error) {
	if err := c.deps.Cache.WaitRevision(ctx, epoch); err != nil {
		return nil, err
	}
	t := &term{c: c, log: c.deps.Logger, epoch: epoch}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	if err := t.setUp(); err != nil {
		t.end(err)
		return nil, err
	}
	return t, nil
}

func (t *term) setUp() error {
	oracleBound, _, err := catalog.ReadNumber(t.ctx, t.c.deps.Meta, catalog.OracleKey)
	if err != nil {
		return err
	}
	idBound, _, err := catalog.ReadNumber(t.ctx, t.c.deps.Meta, catalog.IDsKey)
	if err != nil {
		return err
	}
	t.oracle = newOracle(t.c.cfg, t.c.now, oracleBound, t.raiser(catalog.OracleKey))
	t.ids = newIDAllocator(t.c.cfg.IDWindow, idBound, t.raiser(catalog.IDsKey))
	t.ddl = newDDL(t)
	t.copier = newCopier(t)
	if err := t.bootstrap(t.ctx); err != nil {
		return err
	}
	if err := t.c.deps.Cache.WaitRevision(t.ctx, t.made.Load()); err != nil {
		return err
	}
	t.board = newBoard(t)
	t.place = newPlacer(t)
	t.gc = newCollector(t)
	return nil
}

// works are the loops of a term; each runs until its context ends.
func (t *term) works() []func(context.Context) error {
	return []func(context.Context) error{
		func(ctx context.Context) error {
			t.oracle.keepAhead(ctx, func(err error) { t.log.Warn("coordinator: oracle", "error", err) })
			return nil
		},
		t.place.run,
		t.board.run,
		t.gc.run,
		t.copier.run,
		t.ddl.finishDrops,
		t.c.look.run,
	}
}

// end ends the term; err is why.
func (t *term) end(err error) { t.stop(err) }

// join makes ctx end with the term too.
func (t *term) join(ctx context.Context) (joined context.Context, release func()) {
	joined, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.ctx, func() {
		cancel(errs.New(errs.NotLeader, "this coordinator has lost its leadership"))
	})
	return joined, func() {
		stop()
		cancel(nil)
	}
}

// commit runs a transaction that holds only while this process leads. errConflict means that another compare failed.
// After any other error the outcome is unknown.
func (t *term) commit(ctx context.Context, cmps []meta.Compare, ops []meta.Op) (int64, error) {
	all := append([]meta.Compare{{Key: catalog.LeaderKey, ModRev: t.epoch}}, cmps...)
	rev, ok, err := t.c.deps.Meta.Txn(ctx, all, ops)
	if err != nil {
		return 0, fmt.Errorf("commit to the metadata store: %w", err)
	}
	if !ok {
		return 0, t.whyConflict(ctx)
	}
	for seen := t.made.Load(); rev > seen && !t.made.CompareAndSwap(seen, rev); {
		seen = t.made.Load()
	}
	return rev, nil
}

func (t *term) whyConflict(ctx context.Context) error {
	kv, err := t.c.deps.Meta.Get(ctx, catalog.LeaderKey)
	switch {
	case err != nil && !errors.Is(err, meta.ErrNotFound):
		return fmt.Errorf("see whether this coordinator still leads: %w", err)
	case err != nil || kv.ModRev != t.epoch:
		lost := errs.New(errs.NotLeader, "this coordinator has lost its leadership")
		t.end(lost)
		return lost
	}
	return errConflict
}

// raiser makes the function that persists a bound under key. It compares the bound it read, so that an attempt whose
// outcome was unknown cannot land behind a later, higher one. Only leaders raise bounds: one that is high enough already,
// while this process leads, is such an attempt that did land.
func (t *term) raiser(key string) raiser {
	return func(ctx context.Context, to uint64) error {
		for {
			old, kv, err := catalog.ReadNumber(ctx, t.c.deps.Meta, key)
			if err != nil {
				return err
			}
			_, err = t.commit(ctx, []meta.Compare{{Key: key, ModRev: kv.ModRev}}, []meta.Op{catalog.PutNumber(key, max(old, to))})
			if !errors.Is(err, errConflict) {
				return err
			}
		}
	}
}

// timestamp returns one timestamp, id one id.
func (t *term) timestamp(ctx context.Context) (tso.Timestamp, error) { return t.oracle.alloc(ctx, 1) }

func (t *term) id(ctx context.Context) (int64, error) { return t.ids.alloc(ctx, 1) }
