package woodpecker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/mqtest"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/objstore/s3"
)

func newBucket(t *testing.T, store objstore.Store) *Bucket {
	t.Helper()
	q, err := NewBucket(BucketConfig{Prefix: "wal"}, BucketDeps{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestBucketConformance(t *testing.T) {
	mqtest.Run(t, mqtest.Harness{Name: "woodpecker/s3-mem", New: func(*testing.T) mqtest.Connect {
		store := mem.New()
		return func(t *testing.T) mq.Queue { return newBucket(t, store) }
	}})
}

// TestBucketConformanceReal runs against the server whose endpoint GYR_TEST_S3 names (host:port or a URL), with the
// keys of tools/servers/s3 unless the environment has others.
func TestBucketConformanceReal(t *testing.T) {
	endpoint := os.Getenv("GYR_TEST_S3")
	if endpoint == "" {
		t.Skip("GYR_TEST_S3 is not set")
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	env := func(name, otherwise string) string {
		if v := os.Getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	open := func(t *testing.T, prefix string) objstore.Store {
		store, err := s3.Open(t.Context(), s3.Config{
			Bucket: "gyr-mqtest", Prefix: prefix, Endpoint: endpoint, PathStyle: true, Create: true,
			AccessKey: env("GYR_STORAGE_ACCESS_KEY", "testkey"), SecretKey: env("GYR_STORAGE_SECRET_KEY", "testsecret123"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	if err := VerifyConditionalPut(t.Context(), open(t, "probe")); err != nil {
		t.Fatal(err)
	}
	mqtest.Run(t, mqtest.Harness{Name: "woodpecker/s3", Light: true, New: func(*testing.T) mqtest.Connect {
		prefix := fmt.Sprintf("run-%d", time.Now().UnixNano())
		return func(t *testing.T) mq.Queue { return newBucket(t, open(t, prefix)) }
	}})
}

// meddler stands between the log and its store.
type meddler struct {
	objstore.Store
	put func(ctx context.Context, key string, body []byte, do func() error) error // nil: do
	mu  sync.Mutex                                                                // guards put
}

func (m *meddler) set(put func(ctx context.Context, key string, body []byte, do func() error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put = put
}

func (m *meddler) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) error {
	body, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return err
	}
	do := func() error {
		return m.Store.Put(context.WithoutCancel(ctx), key, bytes.NewReader(body), size, opt)
	}
	m.mu.Lock()
	put := m.put
	m.mu.Unlock()
	if put == nil || !strings.Contains(key, "/log/") {
		return do()
	}
	return put(ctx, key, body, do)
}

func bucketLogOf(t *testing.T, q *Bucket, hint mq.Position) *bucketLog {
	t.Helper()
	if err := q.Create(t.Context(), testID); err != nil && !errors.Is(err, mq.ErrExists) {
		t.Fatal(err)
	}
	l, err := q.Open(t.Context(), testID, hint)
	if err != nil {
		t.Fatal(err)
	}
	return l.(*bucketLog)
}

var errLost = errors.New("connection reset")

func TestLostAnswerIsOurs(t *testing.T) {
	m := &meddler{Store: mem.New()}
	l := bucketLogOf(t, newBucket(t, m), 0)
	lost := 0
	m.set(func(_ context.Context, _ string, _ []byte, do func() error) error {
		if err := do(); err != nil || lost > 0 {
			return err
		}
		lost++
		return errLost
	})
	if p := mustAppend(t, l, "one"); p != 1 {
		t.Errorf("position %d", p)
	}
	if p := mustAppend(t, l, "two"); p != 2 {
		t.Errorf("position %d", p)
	}
	if got := contents(t, l); len(got) != 2 || lost != 1 {
		t.Errorf("%q, %d answers lost", got, lost)
	}
}

// TestEqualDataIsNotOurs: an entry of another writer with the same data is not taken for one's own.
func TestEqualDataIsNotOurs(t *testing.T) {
	store := mem.New()
	a, b := bucketLogOf(t, newBucket(t, store), 0), bucketLogOf(t, newBucket(t, store), 0)
	mustAppend(t, a, "zero")
	mustAppend(t, b, "one")
	if p := mustAppend(t, a, "one"); p != 3 {
		t.Errorf("position %d", p)
	}
}

// TestUncertainThenSame: after ErrUncertain the same bytes take the same number, whether the put arrived or not.
func TestUncertainThenSame(t *testing.T) {
	for _, arrives := range []bool{false, true} {
		m := &meddler{Store: mem.New()}
		l := bucketLogOf(t, newBucket(t, m), 0)
		mustAppend(t, l, "one")
		m.set(func(ctx context.Context, _ string, _ []byte, do func() error) error {
			if arrives {
				_ = do()
			}
			<-ctx.Done()
			return ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		data := []byte("two")
		_, err := l.Append(ctx, data, mq.AppendOptions{})
		cancel()
		if !errors.Is(err, mq.ErrUncertain) {
			t.Fatalf("append: %v", err)
		}
		copy(data, "xxx") // the caller's buffer is the caller's
		m.set(nil)
		if p := mustAppend(t, l, "two"); p != 2 {
			t.Errorf("position %d", p)
		}
		if got := strings.Join(contents(t, l), " "); got != "one two" {
			t.Errorf("%s", got)
		}
	}
}

// TestLatePut: a put that was given up lands in the middle of what came after. It takes no number twice and no
// acknowledged entry's place.
func TestLatePut(t *testing.T) {
	m := &meddler{Store: mem.New()}
	l := bucketLogOf(t, newBucket(t, m), 0)
	mustAppend(t, l, "one")
	var late func() error
	m.set(func(ctx context.Context, _ string, _ []byte, do func() error) error {
		late = do
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.Append(ctx, []byte("late"), mq.AppendOptions{}); !errors.Is(err, mq.ErrUncertain) {
		t.Fatal(err)
	}
	m.set(func(_ context.Context, _ string, _ []byte, do func() error) error {
		if late != nil {
			_ = late() // just before the next one
			late = nil
		}
		return do()
	})
	if p := mustAppend(t, l, "two"); p != 3 {
		t.Errorf("position %d", p)
	}
	if got := strings.Join(contents(t, l), " "); got != "one late two" {
		t.Errorf("%s", got)
	}
}

// TestZombieBelowTheMark: a writer that slept through a fence and a truncation does not land below the mark.
func TestZombieBelowTheMark(t *testing.T) {
	store := mem.New()
	a := bucketLogOf(t, newBucket(t, store), 0)
	mustAppend(t, a, "a1")
	b := bucketLogOf(t, newBucket(t, store), 0)
	fence, err := b.Append(t.Context(), []byte("fence"), mq.AppendOptions{Pinned: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		mustAppend(t, b, fmt.Sprint("b", i))
	}
	if err := b.Truncate(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	if p := mustAppend(t, a, "zombie"); p != 8 {
		t.Errorf("the zombie got position %d", p)
	}
	// Its gap begins with the fence, which is still there; then comes ErrTruncated, not silence.
	c := bucketLogOf(t, newBucket(t, store), 0)
	got, err := c.Read(t.Context(), fence, 100)
	if err != nil || len(got) != 1 || string(got[0].Data) != "fence" {
		t.Errorf("fence: %v %v", got, err)
	}
	for _, from := range []mq.Position{1, 3, 4, 5} {
		if got, err := c.Read(t.Context(), from, 100); !errors.Is(err, mq.ErrTruncated) {
			t.Errorf("read at %d: %v %v", from, got, err)
		}
	}
}

func TestTruncateKeepsTheLastEntry(t *testing.T) {
	store := mem.New()
	l := bucketLogOf(t, newBucket(t, store), 0)
	for i := range 5 {
		mustAppend(t, l, fmt.Sprint(i))
	}
	if err := l.Truncate(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	for _, hint := range []mq.Position{0, 3, 5, 6, 1000} {
		if tail, err := bucketLogOf(t, newBucket(t, store), hint).Tail(t.Context()); err != nil || tail != 6 {
			t.Errorf("hint %d: tail %d, %v", hint, tail, err)
		}
	}
}

func TestCorruptObject(t *testing.T) {
	store := mem.New()
	l := bucketLogOf(t, newBucket(t, store), 0)
	mustAppend(t, l, "one")
	body, err := l.queue.get(t.Context(), l.key(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 4
		if err := store.Put(t.Context(), l.key(1), bytes.NewReader(bad), int64(len(bad)), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := bucketLogOf(t, newBucket(t, store), 0).Read(t.Context(), 1, 100)
		if err == nil || !strings.Contains(err.Error(), l.key(1)) {
			t.Fatalf("byte %d of %d: %v, %v", i, len(body), got, err)
		}
	}
}

func TestBucketFull(t *testing.T) {
	store := mem.New()
	l := bucketLogOf(t, newBucket(t, store), 0)
	mustAppend(t, l, "one")
	store.SetLimit(200)
	if _, err := l.Append(t.Context(), make([]byte, 500), mq.AppendOptions{}); !errors.Is(err, mq.ErrFull) || errors.Is(err, mq.ErrUncertain) {
		t.Errorf("append to a full store: %v", err)
	}
	store.SetLimit(0)
	if p := mustAppend(t, l, "two"); p != 2 {
		t.Errorf("position %d", p)
	}
}

// careless is a store that ignores the condition.
type careless struct{ objstore.Store }

func (c careless) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, _ objstore.PutOptions) error {
	return c.Store.Put(ctx, key, r, size, objstore.PutOptions{})
}

func TestVerifyConditionalPut(t *testing.T) {
	store := mem.New()
	if err := VerifyConditionalPut(t.Context(), store); err != nil {
		t.Error(err)
	}
	if err := VerifyConditionalPut(t.Context(), careless{store}); err == nil || !strings.Contains(err.Error(), "ignores If-None-Match") {
		t.Errorf("a store that ignores the condition: %v", err)
	}
	_ = store.List(t.Context(), "", "", func(o objstore.Object) bool { t.Errorf("%s is left", o.Key); return true })
}

// TestRandomWriters lets writers race on a store that loses answers, delays and repeats puts, while one truncates.
// Every acknowledged entry is where its writer was told, and a reader that keeps up sees each number once.
func TestRandomWriters(t *testing.T) {
	for seed := range 20 {
		m := &meddler{Store: mem.New()}
		var mu sync.Mutex
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		var wg sync.WaitGroup
		m.set(func(ctx context.Context, _ string, _ []byte, do func() error) error {
			mu.Lock()
			dice, pause := r.IntN(10), time.Duration(r.IntN(300))*time.Microsecond
			mu.Unlock()
			switch dice {
			case 0:
				return errLost // never arrives
			case 1:
				_ = do()
				return errLost
			case 2:
				wg.Go(func() { time.Sleep(5 * pause); _ = do() }) // arrives late
				return errLost
			}
			time.Sleep(pause)
			return do()
		})
		runWriters(t, m, seed)
		wg.Wait()
		if t.Failed() {
			return
		}
	}
}

func runWriters(t *testing.T, store objstore.Store, seed int) {
	const writers, each = 3, 15
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	open := func() *bucketLog {
		q, err := NewBucket(BucketConfig{RetryMin: 100 * time.Microsecond, RetryMax: time.Millisecond, PollMin: 100 * time.Microsecond, PollMax: time.Millisecond}, BucketDeps{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		return bucketLogOf(t, q, 0)
	}
	reader := open()
	var wg sync.WaitGroup
	acked := make([]map[mq.Position]string, writers)
	for w := range writers {
		l := open()
		acked[w] = map[mq.Position]string{}
		wg.Go(func() {
			for i := range each {
				data := fmt.Sprintf("writer %d entry %d", w, i)
				p, err := l.Append(ctx, []byte(data), mq.AppendOptions{Pinned: i%5 == 0})
				if err != nil {
					t.Errorf("seed %d: %s: %v", seed, data, err)
					return
				}
				acked[w][p] = data
			}
		})
	}
	seen := map[mq.Position]string{}
	read := make(chan error, 1)
	go func() {
		for from := mq.Position(1); ; {
			got, err := reader.Read(ctx, from, 40)
			if err != nil || len(got) == 0 {
				read <- err
				return
			}
			for _, e := range got {
				if e.Position != from {
					read <- fmt.Errorf("position %d, want %d", e.Position, from)
					return
				}
				if seen[from] = string(e.Data); seen[from] == "end" {
					read <- nil
					return
				}
				from++
			}
		}
	}()
	wg.Wait()
	if _, err := open().Append(ctx, []byte("end"), mq.AppendOptions{}); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if err := <-read; err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	count := 0
	for w := range writers {
		for p, data := range acked[w] {
			if count++; seen[p] != data {
				t.Errorf("seed %d: %q was acknowledged at %d, a reader saw %q", seed, data, p, seen[p])
			}
		}
	}
	if count != writers*each {
		t.Errorf("seed %d: %d positions for %d entries", seed, count, writers*each)
	}
}

func FuzzObject(f *testing.F) {
	f.Add(object{flags: flagPinned, position: 7, uuid: "u", data: []byte("data")}.encode())
	f.Add([]byte(objectMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodeObject(b); err == nil && !bytes.Equal(o.encode(), b) {
			t.Errorf("%+v encodes to other bytes", o)
		}
	})
}
