// Package objtest is the conformance suite of object stores: every driver passes the same tests.
package objtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// Suite is a driver under test.
type Suite struct {
	// New opens a store that holds nothing.
	New func(t *testing.T) objstore.Store
	// Large is the size of the largest object, zero for 17 MiB; drivers that split big objects want more than a part.
	Large int
	// Keys is the number of keys of the long listing, zero for 1,100 (more than one page of S3).
	Keys int
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	if s.Large == 0 {
		s.Large = 17<<20 + 5
	}
	if s.Keys == 0 {
		s.Keys = 1100
	}
	for name, test := range map[string]func(*testing.T, *env){
		"RoundTrip": testRoundTrip, "Overwrite": testOverwrite, "IfAbsent": testIfAbsent, "IfAbsentRace": testIfAbsentRace,
		"ReadAt": testReadAt, "NotFound": testNotFound, "Keys": testKeys, "BadKeys": testBadKeys,
		"ShortBody": testShortBody, "BodyFromTheMiddle": testBodyFromTheMiddle, "Canceled": testCanceled,
		"List": testList, "ListLong": testListLong, "Delete": testDelete, "Concurrent": testConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			test(t, &env{s, ctx, s.New(t)})
		})
	}
}

type env struct {
	Suite
	ctx   context.Context
	store objstore.Store
}

// body is n bytes that depend on the seed.
func body(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i < n; i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, n); j++ {
			b[j] = byte(v >> (8 * (j - i)))
		}
	}
	return b
}

func (e *env) put(t *testing.T, key string, b []byte, opt objstore.PutOptions) {
	t.Helper()
	if err := e.store.Put(e.ctx, key, bytes.NewReader(b), int64(len(b)), opt); err != nil {
		t.Fatalf("Put %s: %v", key, err)
	}
}

func (e *env) get(t *testing.T, key string) []byte {
	t.Helper()
	r, size, err := e.store.Get(e.ctx, key)
	if err != nil {
		t.Fatalf("Get %s: %v", key, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("Get %s: %d of %d bytes, %v", key, len(b), size, err)
	}
	return b
}

func (e *env) list(t *testing.T, prefix, after string) (keys []string) {
	t.Helper()
	if err := e.store.List(e.ctx, prefix, after, func(o objstore.Object) bool {
		keys = append(keys, o.Key)
		return true
	}); err != nil {
		t.Fatalf("List %q: %v", prefix, err)
	}
	return keys
}

// absent says whether there is no object under a key.
func (e *env) absent(t *testing.T, key string) bool {
	t.Helper()
	_, err := e.store.Stat(e.ctx, key)
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		t.Fatalf("Stat %s: %v", key, err)
	}
	return err != nil
}

func testRoundTrip(t *testing.T, e *env) {
	for i, n := range []int{0, 1, 1000, 1 << 20, e.Large} {
		for _, opt := range []objstore.PutOptions{{}, {IfAbsent: true}} {
			key := fmt.Sprintf("dir/%d-%v", i, opt.IfAbsent)
			want := body(uint64(i), n)
			before := time.Now()
			e.put(t, key, want, opt)
			if got := e.get(t, key); !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes came back as %d others", key, n, len(got))
			}
			o, err := e.store.Stat(e.ctx, key)
			if err != nil || o.Key != key || o.Size != int64(n) || o.ModTime.Before(before.Add(-time.Minute)) || o.ModTime.After(time.Now().Add(time.Minute)) {
				t.Errorf("%s: Stat %+v, %v", key, o, err)
			}
		}
	}
}

func testOverwrite(t *testing.T, e *env) {
	e.put(t, "a", []byte("first"), objstore.PutOptions{})
	e.put(t, "a", []byte("2nd"), objstore.PutOptions{})
	if got := e.get(t, "a"); string(got) != "2nd" {
		t.Errorf("got %q", got)
	}
}

func testReadAt(t *testing.T, e *env) {
	want := body(1, 10_000)
	e.put(t, "a", want, objstore.PutOptions{})
	for _, c := range []struct {
		off, n, got int
	}{
		{0, 10_000, 10_000},
		{0, 1, 1},
		{9_999, 1, 1},
		{1234, 4321, 4321},
		{9_990, 20, 10},
		{0, 20_000, 10_000},
		{10_000, 1, 0},
		{20_000, 5, 0},
	} {
		p := make([]byte, c.n)
		n, err := e.store.ReadAt(e.ctx, "a", p, int64(c.off))
		wantErr := error(nil)
		if c.got < c.n {
			wantErr = io.ErrUnexpectedEOF
		}
		if n != c.got || err != wantErr || !bytes.Equal(p[:n], want[min(c.off, len(want)):min(c.off, len(want))+n]) {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v", c.n, c.off, n, err)
		}
	}
	if _, err := e.store.ReadAt(e.ctx, "a", make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is no error")
	}
	e.put(t, "empty", nil, objstore.PutOptions{})
	if n, err := e.store.ReadAt(e.ctx, "empty", make([]byte, 1), 0); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("an empty object: %d, %v", n, err)
	}
}

func testNotFound(t *testing.T, e *env) {
	e.put(t, "dir/a", []byte("x"), objstore.PutOptions{})
	for _, key := range []string{"none", "dir", "dir/b", "dir/a/b"} {
		_, _, getErr := e.store.Get(e.ctx, key)
		_, readErr := e.store.ReadAt(e.ctx, key, make([]byte, 1), 0)
		_, statErr := e.store.Stat(e.ctx, key)
		for what, err := range map[string]error{"Get": getErr, "ReadAt": readErr, "Stat": statErr} {
			if !errors.Is(err, objstore.ErrNotFound) {
				t.Errorf("%s %s: %v", what, key, err)
			}
		}
		if err := e.store.Delete(e.ctx, key); err != nil {
			t.Errorf("Delete %s: %v", key, err)
		}
	}
	if e.absent(t, "dir/a") {
		t.Error("deleting what is not there removed what is")
	}
}

func testDelete(t *testing.T, e *env) {
	var keys []string
	for i := range 30 {
		keys = append(keys, fmt.Sprintf("d/%d/x", i))
		e.put(t, keys[i], []byte("x"), objstore.PutOptions{})
	}
	e.put(t, "d/keep", []byte("x"), objstore.PutOptions{})
	if err := e.store.Delete(e.ctx, append(keys, "d/none", keys[0])...); err != nil {
		t.Fatal(err)
	}
	if left := e.list(t, "", ""); fmt.Sprint(left) != "[d/keep]" {
		t.Errorf("left: %v", left)
	}
	if err := e.store.Delete(e.ctx); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
	e.put(t, keys[0], []byte("again"), objstore.PutOptions{IfAbsent: true})
	if got := e.get(t, keys[0]); string(got) != "again" {
		t.Errorf("put again: %q", got)
	}
}

func testCanceled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if err := e.store.Put(ctx, "a", bytes.NewReader([]byte("x")), 1, objstore.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if _, _, err := e.store.Get(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if !e.absent(t, "a") {
		t.Error("a canceled Put stored the object")
	}
}
