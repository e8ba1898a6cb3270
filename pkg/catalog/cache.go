package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Back-off between attempts to list and watch again; an attempt that got something from its watch resets it.
const (
	cacheBackoffMin = 20 * time.Millisecond
	cacheBackoffMax = 2 * time.Second
)

// Times of WaitRevision: how long the watch is trusted to come by itself, and how often it is then asked.
const (
	progressPatience = 5 * time.Millisecond
	progressInterval = 50 * time.Millisecond
)

// Cache mirrors the catalog in memory by listing the metadata store once and watching it from there.
//
// It shows the state of one revision, never older than one it showed before, and may lag behind the store; who needs
// a newer one calls WaitRevision. Records are immutable: a change replaces the pointer, so callers may keep one as
// long as they like and must not write through it. Lookups return nil for what is not there.
type Cache struct {
	store meta.Store
	log   *slog.Logger
	ready chan struct{} // closed after the first list

	mu      sync.RWMutex // guards all below
	tables  tables
	rev     int64
	moved   chan struct{} // closed and replaced when rev grows
	subs    map[*subscription]struct{}
	started bool
}

type subscription struct{ ch chan struct{} }

// NewCache makes a cache of store; it is empty until Run has listed the store.
func NewCache(store meta.Store, log *slog.Logger) *Cache {
	return &Cache{
		store: store, log: log,
		ready:  make(chan struct{}),
		moved:  make(chan struct{}),
		subs:   map[*subscription]struct{}{},
		tables: newTables(),
	}
}

// Run keeps the cache up to date until ctx ends; then it returns nil. Failures of the store are logged and tried
// again with a growing delay, and the cache goes on showing what it last saw. It may run once.
func (c *Cache) Run(ctx context.Context) error {
	c.mu.Lock()
	again := c.started
	c.started = true
	c.mu.Unlock()
	if again {
		return errors.New("catalog cache: run twice")
	}
	for delay := cacheBackoffMin; ctx.Err() == nil; {
		worked, err := c.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if worked {
			delay = cacheBackoffMin
		}
		if errors.Is(err, meta.ErrCompacted) {
			c.log.Info("catalog cache: history is gone, listing again", "delay", delay)
		} else {
			c.log.Warn("catalog cache: lost the store, trying again", "error", err, "delay", delay)
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, cacheBackoffMax)
	}
	return nil
}

// follow lists, then applies the watch until it fails; worked says that the watch gave something.
func (c *Cache) follow(ctx context.Context) (worked bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kvs, rev, err := c.store.List(ctx, "")
	if err != nil {
		return false, fmt.Errorf("list the catalog: %w", err)
	}
	if err := c.replace(kvs, rev); err != nil {
		return false, err
	}
	watch := c.store.Watch(ctx, "", rev+1)
	// The driver's goroutine may be sending: take what is left so that it ends.
	defer func() {
		cancel()
		for range watch { //nolint:revive // draining
		}
	}()
	for batch := range watch {
		if batch.Err != nil {
			return worked, fmt.Errorf("watch the catalog: %w", batch.Err)
		}
		c.apply(batch)
		worked = true
	}
	return worked, errors.New("watch the catalog: ended")
}

// replace takes a whole listing. Records whose revision is known keep their pointer.
func (c *Cache) replace(kvs []meta.KV, rev int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rev < c.rev {
		// Only a store that lost its history or another store answers so; showing it would go back in time.
		return fmt.Errorf("list the catalog: revision %d is older than %d, seen before", rev, c.rev)
	}
	changed := c.tables.replace(kvs, c.logBad)
	c.advance(rev, changed)
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
	return nil
}

func (c *Cache) apply(batch meta.WatchBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := false
	for _, e := range batch.Events {
		if e.KV.ModRev <= c.rev {
			continue // seen
		}
		if e.Deleted {
			changed = c.tables.remove(e.KV.Key) || changed
		} else {
			changed = c.tables.put(e.KV, c.logBad) || changed
		}
	}
	c.advance(batch.Revision, changed)
}

// advance publishes a revision; mu is held.
func (c *Cache) advance(rev int64, changed bool) {
	if rev > c.rev {
		c.rev = rev
		close(c.moved)
		c.moved = make(chan struct{})
	}
	if !changed {
		return
	}
	for s := range c.subs {
		select {
		case s.ch <- struct{}{}:
		default: // one is pending already
		}
	}
}

func (c *Cache) logBad(key string, err error) {
	c.log.Error("catalog cache: a record cannot be read", "key", key, "error", err)
}

// Ready waits for the first complete listing.
func (c *Cache) Ready(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the catalog: %w", ctx.Err())
	}
}

// Revision is the revision of the store that the cache shows.
func (c *Cache) Revision() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.rev
}

// WaitRevision waits until the cache shows revision rev or a newer one, also when nothing of the catalog changed in it.
func (c *Cache) WaitRevision(ctx context.Context, rev int64) error {
	timer := time.NewTimer(progressPatience)
	defer timer.Stop()
	for {
		c.mu.RLock()
		now, moved := c.rev, c.moved
		c.mu.RUnlock()
		if now >= rev {
			return nil
		}
		select {
		case <-moved:
		case <-timer.C:
			c.askProgress(ctx)
			timer.Reset(progressInterval)
		case <-ctx.Done():
			return fmt.Errorf("wait for catalog revision %d (at %d): %w", rev, now, ctx.Err())
		}
	}
}

func (c *Cache) askProgress(ctx context.Context) {
	p, ok := c.store.(meta.Progresser)
	if !ok {
		return
	}
	if err := p.RequestProgress(ctx); err != nil && ctx.Err() == nil {
		c.log.Debug("catalog cache: asking the watch for progress", "error", err)
	}
}

// Subscribe gives a channel that gets a token when something in the cache changed; tokens that nobody took yet are
// merged into one. The first comes with the first listing if that has not been. cancel ends the subscription.
func (c *Cache) Subscribe() (ch <-chan struct{}, cancel func()) {
	s := &subscription{ch: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs[s] = struct{}{}
	return s.ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subs, s)
	}
}
