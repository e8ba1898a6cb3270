package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// Read implements mq.Log. While there is nothing to read it looks again after a pause that grows with the time since
// the log last moved.
func (l *bucketLog) Read(ctx context.Context, from mq.Position, maxBytes int) ([]mq.Entry, error) {
	if l.ctx.Err() != nil {
		return nil, l.fail("read", mq.ErrClosed)
	}
	ctx, done := both(ctx, l.ctx)
	defer done()
	entries, err := l.read(ctx, max(from, 1), maxBytes)
	switch {
	case l.ctx.Err() != nil:
		return nil, l.fail("read", mq.ErrClosed)
	case len(entries) > 0:
		return entries, nil
	case ctx.Err() != nil && !errors.Is(err, mq.ErrTruncated) && !errors.Is(err, mq.ErrCorrupt):
		return nil, nil
	}
	return nil, l.fail("read", err)
}

func (l *bucketLog) read(ctx context.Context, from mq.Position, maxBytes int) ([]mq.Entry, error) {
	for waited := false; ctx.Err() == nil; waited = true {
		l.mu.Lock()
		cut, appended := l.cut, l.appended
		l.mu.Unlock()
		if from < cut {
			return nil, fmt.Errorf("at %d, entries below %d are gone: %w", from, cut, mq.ErrTruncated)
		}
		if waited {
			maxBytes = 0 // at the tail: what has just come is mostly alone, and asking for more costs a request each
		}
		entries, err := l.fetch(ctx, from, maxBytes)
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		gone, err := l.truncated(ctx, from)
		if err != nil {
			return nil, err
		}
		if gone {
			return nil, fmt.Errorf("at %d: %w", from, mq.ErrTruncated)
		}
		l.wait(ctx, appended)
	}
	return nil, nil
}

// wait pauses before the next look.
func (l *bucketLog) wait(ctx context.Context, appended <-chan struct{}) {
	timer := time.NewTimer(min(max(l.idle()/8, l.queue.cfg.PollMin), l.queue.cfg.PollMax))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-appended:
	case <-ctx.Done():
	}
}

// idle is the time since the log last moved.
func (l *bucketLog) idle() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.active)
}

// Bounds of the time between two listings that ask whether a missing entry was truncated.
const (
	checkMin = time.Second
	checkMax = 30 * time.Second
)

// truncated says whether the missing entry at from was truncated: one above it is there, and it is still missing. A
// position that was checked, or whose predecessor was read, a short time ago is not checked again.
func (l *bucketLog) truncated(ctx context.Context, from mq.Position) (bool, error) {
	every := min(max(l.idle()/4, checkMin), checkMax)
	l.mu.Lock()
	fresh := l.checked.position == from && time.Since(l.checked.at) < every
	above := l.known > from
	l.mu.Unlock()
	if fresh && !above {
		return false, nil
	}
	if !above {
		var err error
		if above, err = l.above(ctx, from); err != nil {
			return false, err
		}
	}
	if above {
		_, err := l.queue.store.Stat(ctx, l.key(from))
		if errors.Is(err, objstore.ErrNotFound) {
			return true, nil
		}
		return false, err // it came meanwhile
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checked = check{from, time.Now()}
	return false, nil
}

// above says whether an entry above n is there.
func (l *bucketLog) above(ctx context.Context, n mq.Position) (found bool, err error) {
	prefix := l.entries()
	err = l.queue.store.List(ctx, prefix, l.key(n), func(o objstore.Object) bool {
		_, found = parseNumber(prefix, o.Key)
		return !found
	})
	return found, err
}

// fetch gets the entries at and behind from that are there, in growing steps of several at once.
func (l *bucketLog) fetch(ctx context.Context, from mq.Position, maxBytes int) ([]mq.Entry, error) {
	var out []mq.Entry
	size, step := 0, 1
	for {
		got, err := l.fetchStep(ctx, from, step)
		for _, e := range got {
			if size += len(e.Data); len(out) > 0 && size > maxBytes {
				return out, nil
			}
			out = append(out, e)
			l.cache.drop(e.Position)
		}
		if err != nil || len(got) < step || size >= maxBytes {
			if len(out) > 0 {
				return out, nil // an error comes again with the next read
			}
			return nil, err
		}
		from += mq.Position(step)
		step = min(2*step, l.queue.cfg.ReadAhead)
	}
}

// fetchStep gets up to n entries in parallel, and returns those before the first that is missing or failed.
func (l *bucketLog) fetchStep(ctx context.Context, from mq.Position, n int) ([]mq.Entry, error) {
	entries := make([]mq.Entry, n)
	found := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		position := from + mq.Position(i)
		if data, ok := l.cache.get(position); ok {
			entries[i] = mq.Entry{Position: position, Data: data}
			continue
		}
		wg.Go(func() {
			var data []byte
			if data, found[i] = l.one(ctx, position); found[i] == nil {
				entries[i] = mq.Entry{Position: position, Data: data}
				l.cache.put(position, data)
			}
		})
	}
	wg.Wait()
	for i, err := range found {
		if err == nil {
			continue
		}
		if errors.Is(err, objstore.ErrNotFound) {
			err = nil
		}
		entries = entries[:i]
		if i > 0 {
			l.saw(entries[i-1].Position)
		}
		return entries, err
	}
	l.saw(entries[n-1].Position)
	return entries, nil
}

// one reads and checks one entry.
func (l *bucketLog) one(ctx context.Context, n mq.Position) ([]byte, error) {
	key := l.key(n)
	b, err := l.queue.get(ctx, key)
	if err != nil {
		return nil, err
	}
	o, err := decodeObject(b)
	if err == nil && (o.position != n || o.uuid != l.id.UUID) {
		err = fmt.Errorf("entry %d of log %s: %w", o.position, o.uuid, mq.ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", key, err)
	}
	return o.data, nil
}

// entryCache holds entries that came ahead of what a read could return. Entries never change, so it needs no
// invalidation: truncated ones are as right as before.
type entryCache struct {
	limit int

	mu    sync.Mutex // guards all below
	data  map[mq.Position][]byte
	order []mq.Position // oldest first; may name entries that are gone
	size  int
}

func (c *entryCache) get(n mq.Position) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.data[n]
	return data, ok
}

func (c *entryCache) put(n mq.Position, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.data[n]; ok || len(data) > c.limit/2 {
		return
	}
	if c.data == nil {
		c.data = map[mq.Position][]byte{}
	}
	c.data[n] = data
	c.order = append(c.order, n)
	for c.size += len(data); c.size > c.limit || len(c.order) > 1024; c.order = c.order[1:] {
		c.remove(c.order[0])
	}
}

// drop removes an entry that a reader got.
func (c *entryCache) drop(n mq.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(n)
}

func (c *entryCache) remove(n mq.Position) {
	c.size -= len(c.data[n])
	delete(c.data, n)
}
