package objtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore"
)

func testList(t *testing.T, e *env) {
	if got := e.list(t, "", ""); len(got) != 0 {
		t.Fatalf("an empty store lists %v", got)
	}
	// No key is another's folder: some file systems behind S3 cannot have both.
	keys := []string{"a-x", "a.x", "a/1", "a/10", "a/2", "a/b/c", "a/b-c", "a/b.c", "a0", "ab", "b/1", "c/d/e/f", "c/d/e-f", "c/d/eg/h", "z"}
	for _, k := range keys {
		e.put(t, k, []byte(k), objstore.PutOptions{})
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "a/1", "c/d/e", "c/d/e/", "b/1", "b/12", "none", "none/x", "z", "a/../b"} {
		for _, after := range append([]string{"", "a/", "a/b", "a/b/", "c/d", "zz", "0"}, keys...) {
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) && k > after {
					want = append(want, k)
				}
			}
			if got := e.list(t, prefix, after); !slices.Equal(got, want) {
				t.Errorf("List(%q, after %q) = %v, want %v", prefix, after, got, want)
			}
		}
	}
	var seen []objstore.Object
	if err := e.store.List(e.ctx, "a/", "", func(o objstore.Object) bool {
		seen = append(seen, o)
		return len(seen) < 3
	}); err != nil || len(seen) != 3 {
		t.Errorf("stopped after 3: %d, %v", len(seen), err)
	}
	for _, o := range seen {
		if o.Size != int64(len(o.Key)) || o.ModTime.IsZero() {
			t.Errorf("listed %+v", o)
		}
	}
}

func testListLong(t *testing.T, e *env) {
	var want []string
	for i := range e.Keys {
		want = append(want, fmt.Sprintf("long/%d/%05d", i%3, i))
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < len(want); i += 8 {
				if err := e.store.Put(e.ctx, want[i], bytes.NewReader(nil), 0, objstore.PutOptions{}); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(want)
	if got := e.list(t, "long/", ""); !slices.Equal(got, want) {
		t.Errorf("listed %d keys, want %d in order", len(got), len(want))
	}
	middle := want[len(want)/2]
	if got := e.list(t, "long/", middle); !slices.Equal(got, want[len(want)/2+1:]) {
		t.Errorf("after %s: %d keys, want %d", middle, len(got), len(want)-len(want)/2-1)
	}
	if err := e.store.Delete(e.ctx, want...); err != nil {
		t.Fatal(err)
	}
	if got := e.list(t, "", ""); len(got) != 0 {
		t.Errorf("%d keys are left", len(got))
	}
}
