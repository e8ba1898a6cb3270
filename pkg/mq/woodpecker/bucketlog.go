package woodpecker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// bucketLog is one open log.
//
// Why its numbers are dense: a writer puts n only after it knows that n-1 was there (its own, read back, or listed),
// and the last entry of a log is never removed. So an entry that is missing below one that is there was truncated, and
// the number behind the greatest listed one is the first free one.
type bucketLog struct {
	queue  *Bucket
	id     mq.LogID
	hint   mq.Position
	ctx    context.Context // ends at Close of the log or its queue
	cancel context.CancelFunc
	cache  entryCache

	writing sync.Mutex // one appends or truncates at a time; guards pending
	pending *pending

	mu       sync.Mutex  // guards all below
	known    mq.Position // all below was there at some time; 0: not known yet
	cut      mq.Position // entries below were truncated
	active   time.Time   // when an entry was last written or seen
	checked  check
	appended chan struct{} // closed and replaced when this log appends
}

// check remembers that an entry was seen not to be truncated.
type check struct {
	position mq.Position
	at       time.Time
}

// pending is an append whose outcome is not known.
type pending struct {
	object
	body []byte
}

var _ mq.Log = (*bucketLog)(nil)

func newBucketLog(q *Bucket, id mq.LogID, hint mq.Position) *bucketLog {
	l := &bucketLog{queue: q, id: id, hint: hint, active: time.Now(), appended: make(chan struct{})}
	l.cache.limit = q.cfg.CacheBytes
	l.ctx, l.cancel = context.WithCancel(q.ctx)
	return l
}

func (l *bucketLog) entries() string { return l.queue.logPrefix(l.id) + "log/" }

func (l *bucketLog) pins() string { return l.queue.logPrefix(l.id) + "pin/" }

func (l *bucketLog) key(n mq.Position) string { return numberKey(l.entries(), n) }

// Close implements mq.Log.
func (l *bucketLog) Close() error {
	l.cancel()
	return nil
}

// begin starts a call: what it returns ends with ctx and with the log.
func (l *bucketLog) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if l.ctx.Err() != nil {
		return nil, nil, mq.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := both(ctx, l.ctx)
	return ctx, cancel, nil
}

func (l *bucketLog) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("woodpecker: %s log %s: %w", op, l.id.Name, err)
}

// saw notes that all entries up to n were there.
func (l *bucketLog) saw(n mq.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = max(l.known, n+1)
	l.active = time.Now()
	if n+1 >= l.checked.position {
		l.checked = check{n + 1, l.active}
	}
}

// Append implements mq.Log. After ErrUncertain an append of the same bytes goes on where the last one stopped.
func (l *bucketLog) Append(ctx context.Context, data []byte, opt mq.AppendOptions) (mq.Position, error) {
	ctx, done, err := l.begin(ctx)
	if err != nil {
		return 0, l.fail("append to", err)
	}
	defer done()
	l.writing.Lock()
	defer l.writing.Unlock()
	n, err := l.append(ctx, data, opt.Pinned)
	if err != nil && l.ctx.Err() != nil && !errors.Is(err, mq.ErrUncertain) {
		err = mq.ErrClosed
	}
	return n, l.fail("append to", err)
}

func (l *bucketLog) append(ctx context.Context, data []byte, pinned bool) (mq.Position, error) {
	if int64(len(data)) > l.queue.cfg.MaxEntryBytes {
		return 0, fmt.Errorf("entry of %d bytes, at most %d can be had", len(data), l.queue.cfg.MaxEntryBytes)
	}
	flags := byte(0)
	if pinned {
		flags = flagPinned
	}
	p := l.pending
	unknown := p != nil && p.flags == flags && bytes.Equal(p.data, data)
	if !unknown {
		// Another entry goes to the number in doubt: the put there tells who has it.
		p = &pending{object: object{flags: flags, uuid: l.id.UUID, data: data}}
		_, _ = rand.Read(p.id[:]) // never fails
		n, err := l.free(ctx)
		if err != nil {
			return 0, err
		}
		if err := l.aim(ctx, p, n); err != nil {
			return 0, err
		}
	}
	l.pending = p
	n, err := l.settle(ctx, p, unknown)
	if errors.Is(err, mq.ErrUncertain) {
		p.data = p.body[len(p.body)-len(p.data):] // our own copy
		return 0, err
	}
	l.pending = nil
	return n, err
}

// aim gives an append its number. The pin of a fence is there before the fence.
func (l *bucketLog) aim(ctx context.Context, p *pending, n mq.Position) error {
	if p.flags&flagPinned != 0 {
		err := l.queue.put(ctx, numberKey(l.pins(), n), []byte(l.id.UUID))
		if err != nil && !errors.Is(err, objstore.ErrExists) {
			return fmt.Errorf("pin position %d: %w", n, full(err))
		}
	}
	p.position = n
	p.body = p.encode()
	return nil
}

// full adds the queue's own error to one that says that the store is full.
func full(err error) error {
	if errors.Is(err, objstore.ErrFull) {
		return fmt.Errorf("%w: %w", mq.ErrFull, err)
	}
	return err
}

// settle puts the body at its number, and at later ones where others were first, until the outcome is known. The bytes
// sent to a number never change while its outcome is unknown. unknown: an earlier attempt may still succeed.
func (l *bucketLog) settle(ctx context.Context, p *pending, unknown bool) (mq.Position, error) {
	pause := l.queue.cfg.RetryMin
	for {
		err := l.queue.put(ctx, l.key(p.position), p.body)
		if err == nil {
			l.done(p)
			return p.position, nil
		}
		if errors.Is(err, objstore.ErrFull) && !unknown {
			return 0, full(err)
		}
		if errors.Is(err, objstore.ErrExists) {
			var ours bool
			if ours, err = l.compare(ctx, p); ours {
				l.done(p)
				return p.position, nil
			}
			if err == nil || errors.Is(err, objstore.ErrNotFound) {
				unknown = err != nil // truncated meanwhile: whose it was nobody can tell
				if err = l.next(ctx, p); err == nil {
					continue
				}
				if !unknown {
					return 0, err
				}
			}
		}
		unknown = true
		l.queue.logger.Warn("outcome of an append unknown, trying again", "log", l.id.Name, "position", p.position, "error", err)
		if sleep(ctx, pause) != nil {
			return 0, fmt.Errorf("%w: put at %d: %w", mq.ErrUncertain, p.position, err)
		}
		pause = min(2*pause, l.queue.cfg.RetryMax)
	}
}

// compare says whether the object at the append's number is the append's own: its whole body is equal.
func (l *bucketLog) compare(ctx context.Context, p *pending) (bool, error) {
	got, err := l.queue.get(ctx, l.key(p.position))
	return err == nil && bytes.Equal(got, p.body), err
}

// next aims behind an entry of another writer. It lists, since numbers behind that entry may have been truncated: a put
// there would succeed and be read by nobody.
func (l *bucketLog) next(ctx context.Context, p *pending) error {
	l.saw(p.position)
	last, err := l.greatest(ctx, p.position)
	if err != nil {
		return err
	}
	return l.aim(ctx, p, last+1)
}

func (l *bucketLog) done(p *pending) {
	l.saw(p.position)
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.appended)
	l.appended = make(chan struct{})
}

// free returns the first free number, as far as this log knows; a put decides.
func (l *bucketLog) free(ctx context.Context) (mq.Position, error) {
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	if known > 0 {
		return known, nil
	}
	return l.tail(ctx)
}

// greatest returns the greatest number above after that has an entry, or after.
func (l *bucketLog) greatest(ctx context.Context, after mq.Position) (mq.Position, error) {
	prefix, from := l.entries(), ""
	if after > 0 {
		from = l.key(after)
	}
	err := l.queue.store.List(ctx, prefix, from, func(o objstore.Object) bool {
		if n, ok := parseNumber(prefix, o.Key); ok {
			after = max(after, n)
		}
		return true
	})
	return after, err
}

// Tail implements mq.Log.
func (l *bucketLog) Tail(ctx context.Context) (mq.Position, error) {
	ctx, done, err := l.begin(ctx)
	if err != nil {
		return 0, l.fail("tail of", err)
	}
	defer done()
	n, err := l.tail(ctx)
	return n, l.fail("tail of", err)
}

// tail lists from the best place known, then probes: a listing may lag.
func (l *bucketLog) tail(ctx context.Context) (mq.Position, error) {
	l.mu.Lock()
	known := l.known
	l.mu.Unlock()
	start := known
	if known == 0 {
		start = max(l.hint, 1)
	}
	last, err := l.greatest(ctx, start-1)
	if err == nil && known == 0 && last == start-1 {
		last, err = l.greatest(ctx, 0) // nothing from the hint on: the last entry is below
	}
	for err == nil {
		_, serr := l.queue.store.Stat(ctx, l.key(last+1))
		if errors.Is(serr, objstore.ErrNotFound) {
			break
		}
		if err = serr; err == nil {
			last++
		}
	}
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = max(l.known, last+1)
	return last + 1, nil
}

// Truncate implements mq.Log. What is pinned stays, and so does the log's last entry, which proves that what is missing
// below it was there.
func (l *bucketLog) Truncate(ctx context.Context, before mq.Position) error {
	ctx, done, err := l.begin(ctx)
	if err != nil {
		return l.fail("truncate", err)
	}
	defer done()
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.fail("truncate", l.truncate(ctx, before))
}

func (l *bucketLog) truncate(ctx context.Context, before mq.Position) error {
	tail, err := l.free(ctx)
	if err == nil && before > tail {
		tail, err = l.tail(ctx)
	}
	if err != nil {
		return err
	}
	before = min(before, tail)
	l.mu.Lock()
	l.cut = max(l.cut, before)
	l.mu.Unlock()
	pinned := map[mq.Position]bool{}
	if err := l.below(ctx, l.pins(), before, func(n mq.Position) { pinned[n] = true }); err != nil {
		return err
	}
	var keys []string
	err = l.below(ctx, l.entries(), min(before, tail-1), func(n mq.Position) {
		if !pinned[n] {
			keys = append(keys, l.key(n))
		}
	})
	if err != nil {
		return err
	}
	return l.queue.store.Delete(ctx, keys...)
}

// below calls fn for the numbers below a bound that have an object under prefix.
func (l *bucketLog) below(ctx context.Context, prefix string, bound mq.Position, fn func(mq.Position)) error {
	return l.queue.store.List(ctx, prefix, "", func(o objstore.Object) bool {
		n, ok := parseNumber(prefix, o.Key)
		if ok && n < bound {
			fn(n)
		}
		return !ok || n < bound
	})
}

// sleep waits, or says that ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
