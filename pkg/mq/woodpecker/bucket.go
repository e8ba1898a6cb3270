package woodpecker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// BucketConfig says where logs are in a bucket and how eagerly they are read.
type BucketConfig struct {
	// Prefix goes before all keys, with a slash between; empty is the store's root.
	Prefix string
	// PollMin and PollMax bound the time between two looks for the next entry; 0 means 2 ms and 50 ms.
	PollMin, PollMax time.Duration
	// ReadAhead bounds the objects that one read fetches at once; 0 means 8.
	ReadAhead int
	// CacheBytes bounds the entries that an open log keeps in memory because they came ahead; 0 means 32 MiB.
	CacheBytes int
	// MaxEntryBytes bounds one entry; 0 means 256 MiB.
	MaxEntryBytes int64
	// RetryMin and RetryMax bound the pause before a request of unknown outcome is sent again; 0 means 10 ms and 1 s.
	RetryMin, RetryMax time.Duration
}

func (c BucketConfig) withDefaults() BucketConfig {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.PollMin, 2*time.Millisecond)
	def(&c.PollMax, 50*time.Millisecond)
	def(&c.RetryMin, 10*time.Millisecond)
	def(&c.RetryMax, time.Second)
	if c.ReadAhead == 0 {
		c.ReadAhead = 8
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 32 << 20
	}
	if c.MaxEntryBytes == 0 {
		c.MaxEntryBytes = 256 << 20
	}
	if c.Prefix = strings.Trim(c.Prefix, "/"); c.Prefix != "" {
		c.Prefix += "/"
	}
	return c
}

// Validate checks the values.
func (c BucketConfig) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Prefix != "" && objstore.ValidKey(strings.TrimSuffix(c.Prefix, "/")) != nil:
		return fmt.Errorf("woodpecker: prefix: %w", objstore.ValidKey(strings.TrimSuffix(c.Prefix, "/")))
	case len(c.Prefix) > 200:
		return fmt.Errorf("woodpecker: prefix of %d bytes, at most 200 can be had", len(c.Prefix))
	case c.PollMin < 0 || c.PollMax < c.PollMin || c.RetryMin < 0 || c.RetryMax < c.RetryMin:
		return errors.New("woodpecker: pauses between requests are not 0 <= least <= greatest")
	case c.ReadAhead < 1 || c.ReadAhead > 64 || c.CacheBytes < 0:
		return fmt.Errorf("woodpecker: read ahead of %d objects, %d bytes; 1 to 64 objects can be had", c.ReadAhead, c.CacheBytes)
	case c.MaxEntryBytes < 1 || c.MaxEntryBytes > 1<<30:
		return fmt.Errorf("woodpecker: entries of %d bytes, 1 byte to 1 GiB can be had", c.MaxEntryBytes)
	}
	return nil
}

// BucketDeps are what Bucket works with. The store must honour conditional puts; see VerifyConditionalPut.
type BucketDeps struct {
	Store  objstore.Store
	Logger *slog.Logger // nil: no log
}

// Bucket is the queue in an object store. Below the prefix there are, for each log,
//
//	NAME/_log           names the log's uuid
//	NAME/UUID/log/N     the entry of position N
//	NAME/UUID/pin/N     says that the entry at N, if it is a pinned one, must never go
//
// The uuid in the keys keeps a writer of a log that was deleted out of a new log of the same name.
type Bucket struct {
	cfg    BucketConfig
	store  objstore.Store
	logger *slog.Logger
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
}

var _ mq.Queue = (*Bucket)(nil)

// NewBucket makes the queue. It asks nothing of the store yet.
func NewBucket(cfg BucketConfig, deps BucketDeps) (*Bucket, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	q := &Bucket{cfg: cfg.withDefaults(), store: deps.Store, logger: deps.Logger}
	if q.logger == nil {
		q.logger = slog.New(slog.DiscardHandler)
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q, nil
}

func (q *Bucket) markerKey(name string) string { return q.cfg.Prefix + escape(name) + "/_log" }

func (q *Bucket) logPrefix(id mq.LogID) string {
	return q.cfg.Prefix + escape(id.Name) + "/" + escape(id.UUID) + "/"
}

// begin starts a call: what it returns ends with ctx and with the queue.
func (q *Bucket) begin(ctx context.Context, id mq.LogID) (context.Context, context.CancelFunc, error) {
	if q.ctx.Err() != nil {
		return nil, nil, mq.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	ctx, cancel := both(ctx, q.ctx)
	return ctx, cancel, nil
}

// both returns a context that ends with either.
func both(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return ctx, func() { stop(); cancel() }
}

// Create implements mq.Queue by a conditional put of the marker.
func (q *Bucket) Create(ctx context.Context, id mq.LogID) error {
	if err := q.create(ctx, id); err != nil {
		return fmt.Errorf("woodpecker: create log %s: %w", id.Name, err)
	}
	return nil
}

func (q *Bucket) create(ctx context.Context, id mq.LogID) error {
	ctx, done, err := q.begin(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	key := q.markerKey(id.Name)
	body := append(encodeID(id), rand.Text()...) // the text tells our own marker from another's with the same uuid
	err = q.put(ctx, key, body)
	if errors.Is(err, objstore.ErrExists) {
		got, err := q.get(ctx, key)
		if err != nil {
			return err
		}
		if bytes.Equal(got, body) {
			return nil // ours: the answer to an earlier attempt was lost
		}
		return mq.ErrExists
	}
	return full(err)
}

func (q *Bucket) put(ctx context.Context, key string, body []byte) error {
	return q.store.Put(ctx, key, bytes.NewReader(body), int64(len(body)), objstore.PutOptions{IfAbsent: true})
}

// get reads a whole object.
func (q *Bucket) get(ctx context.Context, key string) ([]byte, error) {
	r, size, err := q.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if limit := q.cfg.MaxEntryBytes + objectHeaderSize + maxUUID; size > limit {
		return nil, errors.Join(fmt.Errorf("object %s of %d bytes, at most %d are expected: %w", key, size, limit, mq.ErrCorrupt), r.Close())
	}
	b := make([]byte, size)
	_, err = io.ReadFull(r, b)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read object %s: %w", key, err)
	}
	return b, nil
}

// uuidOf reads a log's marker.
func (q *Bucket) uuidOf(ctx context.Context, name string) (uuid string, found bool, err error) {
	key := q.markerKey(name)
	b, err := q.get(ctx, key)
	if errors.Is(err, objstore.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	id, err := decodeID(b[:max(0, len(b)-len(rand.Text()))])
	if err == nil && id.Name != name {
		err = fmt.Errorf("it names log %q: %w", id.Name, mq.ErrCorrupt)
	}
	if err != nil {
		return "", false, fmt.Errorf("object %s: %w", key, err)
	}
	return id.UUID, true, nil
}

// Open implements mq.Queue. The hint spares the listing of entries below it.
func (q *Bucket) Open(ctx context.Context, id mq.LogID, hint mq.Position) (mq.Log, error) {
	l, err := q.open(ctx, id, hint)
	if err != nil {
		return nil, fmt.Errorf("woodpecker: open log %s: %w", id.Name, err)
	}
	return l, nil
}

func (q *Bucket) open(ctx context.Context, id mq.LogID, hint mq.Position) (*bucketLog, error) {
	ctx, done, err := q.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	defer done()
	uuid, found, err := q.uuidOf(ctx, id.Name)
	if err != nil {
		return nil, err
	}
	if !found || uuid != id.UUID {
		return nil, fmt.Errorf("found uuid %q, not %q: %w", uuid, id.UUID, mq.ErrUnknownLog)
	}
	return newBucketLog(q, id, hint), nil
}

// Delete implements mq.Queue: entries first, the marker last, so that a Delete that was cut short can be repeated.
func (q *Bucket) Delete(ctx context.Context, id mq.LogID) error {
	if err := q.remove(ctx, id); err != nil {
		return fmt.Errorf("woodpecker: delete log %s: %w", id.Name, err)
	}
	return nil
}

func (q *Bucket) remove(ctx context.Context, id mq.LogID) error {
	ctx, done, err := q.begin(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	uuid, found, err := q.uuidOf(ctx, id.Name)
	if err != nil {
		return err
	}
	var keys []string
	err = q.store.List(ctx, q.logPrefix(id), "", func(o objstore.Object) bool {
		keys = append(keys, o.Key)
		return true
	})
	if err == nil {
		err = q.store.Delete(ctx, keys...)
	}
	if err == nil && found && uuid == id.UUID {
		err = q.store.Delete(ctx, q.markerKey(id.Name))
	}
	return err
}

// Close ends all logs of this client.
func (q *Bucket) Close() error {
	q.cancel()
	return nil
}

// VerifyConditionalPut says whether a store honours IfAbsent, on which every log in it rests: it puts one key twice,
// and refuses the store when the second put succeeds or changes the object.
func VerifyConditionalPut(ctx context.Context, store objstore.Store) error {
	key := "_probe/" + strings.ToLower(rand.Text())
	put := func(text string) error {
		return store.Put(ctx, key, strings.NewReader(text), int64(len(text)), objstore.PutOptions{IfAbsent: true})
	}
	// The first answer may be lost, and the object be found by the store's own retry.
	if err := put("first"); err != nil && !errors.Is(err, objstore.ErrExists) {
		return fmt.Errorf("woodpecker: probe the object store: %w", err)
	}
	second := put("other")
	got := make([]byte, len("first"))
	_, rerr := store.ReadAt(ctx, key, got, 0)
	if err := store.Delete(ctx, key); err != nil {
		return fmt.Errorf("woodpecker: remove the probe object %s: %w", key, err)
	}
	switch {
	case second == nil || rerr == nil && string(got) != "first":
		return errors.New("woodpecker: the object store ignores If-None-Match: two writers of a log would overwrite each other; " +
			"choose a store with conditional writes, or another queue")
	case !errors.Is(second, objstore.ErrExists):
		return fmt.Errorf("woodpecker: probe the object store: %w", second)
	}
	return rerr
}
