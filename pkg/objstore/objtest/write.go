package objtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore"
)

func testIfAbsent(t *testing.T, e *env) {
	ifAbsent := objstore.PutOptions{IfAbsent: true}
	e.put(t, "d/a", []byte("first"), ifAbsent)
	for range 2 {
		err := e.store.Put(e.ctx, "d/a", bytes.NewReader([]byte("second")), 6, ifAbsent)
		if !errors.Is(err, objstore.ErrExists) {
			t.Errorf("a taken key: %v", err)
		}
	}
	if got := e.get(t, "d/a"); string(got) != "first" {
		t.Errorf("after the refused Put: %q", got)
	}
	if err := e.store.Delete(e.ctx, "d/a"); err != nil {
		t.Fatal(err)
	}
	e.put(t, "d/a", []byte("third"), ifAbsent)
}

// testIfAbsentRace: of many that put different bytes under a free key one wins, and its bytes are there.
func testIfAbsentRace(t *testing.T, e *env) {
	const writers, keys = 12, 8
	for k := range keys {
		key := fmt.Sprintf("race/%d/x", k)
		var wins atomic.Int64
		var winner atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for w := range writers {
			b := body(uint64(w), 3000)
			wg.Go(func() {
				<-start
				err := e.store.Put(e.ctx, key, bytes.NewReader(b), int64(len(b)), objstore.PutOptions{IfAbsent: true})
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(int64(w))
				case !errors.Is(err, objstore.ErrExists):
					t.Errorf("%s: %v", key, err)
				}
			})
		}
		close(start)
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%s: %d writers won", key, wins.Load())
		}
		if !bytes.Equal(e.get(t, key), body(uint64(winner.Load()), 3000)) {
			t.Fatalf("%s holds other bytes than the winner's", key)
		}
	}
}

func testKeys(t *testing.T, e *env) {
	keys := []string{
		"plain", "with space/a b", "plus+and%20percent", "query?x=y&z", "hash#tag", "ümlaut/日本", "dots..in.it", "...", "a~b'c(d)!*",
		"deep/" + strings.Repeat("x/", 50) + "end", "long/" + strings.Repeat("k", 200), "semi;colon:at@comma,=$",
	}
	for i, key := range keys {
		e.put(t, key, []byte(key), objstore.PutOptions{IfAbsent: i%2 == 0})
	}
	for _, key := range keys {
		if got := e.get(t, key); string(got) != key {
			t.Errorf("%s: %q", key, got)
		}
	}
	slices.Sort(keys)
	if got := e.list(t, "", ""); !slices.Equal(got, keys) {
		t.Errorf("listed\n%q\nwant\n%q", got, keys)
	}
	if err := e.store.Delete(e.ctx, keys...); err != nil {
		t.Error(err)
	}
	if got := e.list(t, "", ""); len(got) != 0 {
		t.Errorf("after Delete: %q", got)
	}
}

func testBadKeys(t *testing.T, e *env) {
	for _, key := range []string{
		"", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "a\x00b", "a\nb", "a\\b", "\xff", strings.Repeat("k", 2000),
	} {
		if err := e.store.Put(e.ctx, key, bytes.NewReader(nil), 0, objstore.PutOptions{}); err == nil {
			t.Errorf("Put took the key %q", key)
		}
		if _, _, err := e.store.Get(e.ctx, key); err == nil || errors.Is(err, objstore.ErrNotFound) {
			t.Errorf("Get of the key %q: %v", key, err)
		}
		if err := e.store.Delete(e.ctx, key); err == nil {
			t.Errorf("Delete took the key %q", key)
		}
	}
	if got := e.list(t, "", ""); len(got) != 0 {
		t.Errorf("bad keys left %q", got)
	}
}

// testShortBody: a body that ends early, or fails, stores nothing.
func testShortBody(t *testing.T, e *env) {
	for _, size := range []int{100, e.Large} {
		for _, r := range []io.ReadSeeker{bytes.NewReader(body(1, size-1)), &failing{bytes.NewReader(body(1, size)), size / 2}} {
			for _, opt := range []objstore.PutOptions{{}, {IfAbsent: true}} {
				if _, err := r.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if err := e.store.Put(e.ctx, "a", r, int64(size), opt); err == nil {
					t.Errorf("a body of %d bytes that ends early (%T) was stored", size, r)
				}
				if !e.absent(t, "a") {
					t.Errorf("a failed Put of %d bytes left an object", size)
				}
			}
		}
	}
}

// failing is a body that cannot be read to its end.
type failing struct {
	*bytes.Reader
	good int
}

var errBody = errors.New("the disk of the body failed")

func (f *failing) Read(p []byte) (int, error) {
	at, _ := f.Seek(0, io.SeekCurrent)
	if int(at) >= f.good {
		return 0, errBody
	}
	return f.Reader.Read(p[:min(len(p), f.good-int(at))])
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if int(off)+len(p) > f.good {
		return 0, errBody
	}
	return f.Reader.ReadAt(p, off)
}

func (f *failing) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{f})
}

// testBodyFromTheMiddle: a Put takes size bytes from where its reader stands.
func testBodyFromTheMiddle(t *testing.T, e *env) {
	for _, n := range []int{1000, e.Large} {
		all := body(7, n+200)
		for name, r := range map[string]io.ReadSeeker{"bytes": bytes.NewReader(all), "seeker": onlySeeks{bytes.NewReader(all)}} {
			for _, opt := range []objstore.PutOptions{{}, {IfAbsent: true}} {
				key := fmt.Sprint(name, n, opt.IfAbsent)
				if _, err := r.Seek(100, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if err := e.store.Put(e.ctx, key, r, int64(n), opt); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				if !bytes.Equal(e.get(t, key), all[100:100+n]) {
					t.Errorf("%s: other bytes came back", key)
				}
			}
		}
	}
}

// onlySeeks hides that a reader can do more.
type onlySeeks struct{ io.ReadSeeker }

func testConcurrent(t *testing.T, e *env) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				key := fmt.Sprintf("c/%d/%d/x", w%4, i)
				b := body(uint64(i), 2000)
				if err := e.store.Put(e.ctx, key, bytes.NewReader(b), int64(len(b)), objstore.PutOptions{}); err != nil {
					t.Errorf("Put: %v", err)
				}
				p := make([]byte, 100)
				if _, err := e.store.ReadAt(e.ctx, key, p, 50); err == nil && !bytes.Equal(p, b[50:150]) {
					t.Errorf("%s: other bytes", key)
				} else if err != nil && !errors.Is(err, objstore.ErrNotFound) {
					t.Errorf("ReadAt: %v", err)
				}
				if err := e.store.Delete(e.ctx, key); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := e.list(t, "", ""); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
