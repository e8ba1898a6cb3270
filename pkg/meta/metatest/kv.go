package metatest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/gyr-db/gyr/pkg/meta"
)

func testGetAndPut(t *testing.T, e *env) {
	if _, ok := e.get(t, "a"); ok {
		t.Error("a key is there before it was put")
	}
	first := e.must(t, put("a", "1"), put("bin", "\x00\xff"), put("empty", ""))
	kv, _ := e.get(t, "a")
	if string(kv.Value) != "1" || kv.Key != "a" || kv.ModRev != first || kv.CreateRev != first || kv.Lease != 0 {
		t.Errorf("after the first put: %+v, revision %d", kv, first)
	}
	second := e.must(t, put("a", "2"))
	kv, _ = e.get(t, "a")
	if string(kv.Value) != "2" || kv.ModRev != second || kv.CreateRev != first || second <= first {
		t.Errorf("after the second put: %+v, revisions %d, %d", kv, first, second)
	}
	if kv, ok := e.get(t, "bin"); !ok || string(kv.Value) != "\x00\xff" {
		t.Errorf("binary value: %+v", kv)
	}
	if kv, ok := e.get(t, "empty"); !ok || len(kv.Value) != 0 {
		t.Errorf("empty value: %+v %v", kv, ok)
	}
	kv.Value[0] = 'x' // what a caller got is its own
	if kv, _ := e.get(t, "a"); string(kv.Value) != "2" {
		t.Error("writing through a result changed the store")
	}
	e.must(t, meta.Op{Key: "a", Delete: true})
	third := e.must(t, put("a", "3"))
	if kv, _ := e.get(t, "a"); kv.CreateRev != third {
		t.Errorf("made anew at %d, CreateRev %d", third, kv.CreateRev)
	}
}

func testList(t *testing.T, e *env) {
	if kvs, _, err := e.store.List(e.ctx, ""); err != nil || len(kvs) != 0 {
		t.Fatalf("empty store: %d keys, %v", len(kvs), err)
	}
	rev := e.must(t, put("b/2", "x"), put("a", "x"), put("b/10", "x"), put("b/1", "v"), put("b0", "x"), put("c", "x"))
	for prefix, want := range map[string]string{
		"": "[a b/1 b/10 b/2 b0 c]", "b/": "[b/1 b/10 b/2]", "b": "[b/1 b/10 b/2 b0]", "b/1": "[b/1 b/10]", "d": "[]",
	} {
		kvs, at, err := e.store.List(e.ctx, prefix)
		keys := []string{}
		for _, kv := range kvs {
			keys = append(keys, kv.Key)
		}
		if err != nil || fmt.Sprint(keys) != want || at < rev {
			t.Errorf("List(%q) = %v at %d, %v; want %s at %d or later", prefix, keys, at, err, want, rev)
		}
	}
	kvs, _, _ := e.store.List(e.ctx, "b/1")
	if string(kvs[0].Value) != "v" || kvs[0].ModRev != rev {
		t.Errorf("listed record: %+v", kvs[0])
	}
}

func testListPages(t *testing.T, e *env) {
	const batches, per = 45, 100
	for i := range batches {
		var ops []meta.Op
		for j := range per {
			ops = append(ops, put(fmt.Sprintf("k/%03d/%03d", i, j), "v"))
		}
		e.must(t, ops...)
	}
	kvs, _, err := e.store.List(e.ctx, "k/")
	if err != nil || len(kvs) != batches*per {
		t.Fatalf("listed %d keys, %v", len(kvs), err)
	}
	for i, kv := range kvs {
		if want := fmt.Sprintf("k/%03d/%03d", i/per, i%per); kv.Key != want {
			t.Fatalf("key %d is %s, not %s", i, kv.Key, want)
		}
	}
}

func testCompare(t *testing.T, e *env) {
	rev := e.must(t, put("a", "1"), put("empty", ""))
	for name, c := range map[string]struct {
		cmps []meta.Compare
		want bool
	}{
		"nothing":                 {nil, true},
		"absent":                  {[]meta.Compare{{Key: "none"}}, true},
		"not absent":              {[]meta.Compare{{Key: "a"}}, false},
		"revision":                {[]meta.Compare{{Key: "a", ModRev: rev}}, true},
		"other revision":          {[]meta.Compare{{Key: "a", ModRev: rev - 1}}, false},
		"revision of none":        {[]meta.Compare{{Key: "none", ModRev: rev}}, false},
		"value":                   {[]meta.Compare{{Key: "a", Value: []byte("1")}}, true},
		"value, not the revision": {[]meta.Compare{{Key: "a", ModRev: rev - 1, Value: []byte("1")}}, true},
		"other value":             {[]meta.Compare{{Key: "a", Value: []byte("2")}}, false},
		"value of none":           {[]meta.Compare{{Key: "none", Value: []byte("1")}}, false},
		"empty value":             {[]meta.Compare{{Key: "empty", Value: []byte{}}}, true},
		"empty value of none":     {[]meta.Compare{{Key: "none", Value: []byte{}}}, false},
		"all hold":                {[]meta.Compare{{Key: "a", ModRev: rev}, {Key: "none"}}, true},
		"one does not":            {[]meta.Compare{{Key: "a", ModRev: rev}, {Key: "a"}}, false},
	} {
		at, ok, err := e.store.Txn(e.ctx, c.cmps, nil)
		if err != nil || ok != c.want || at < rev {
			t.Errorf("%s: ok %v at %d, %v", name, ok, at, err)
		}
	}
}

func testTxnIsAtomic(t *testing.T, e *env) {
	rev := e.must(t, put("a", "1"))
	if _, ok, err := e.store.Txn(e.ctx, []meta.Compare{{Key: "a", ModRev: rev + 1}}, []meta.Op{put("b", "1"), {Key: "a", Delete: true}}); ok || err != nil {
		t.Fatalf("a transaction whose condition fails: ok %v, %v", ok, err)
	}
	if _, ok := e.get(t, "b"); ok {
		t.Error("a refused transaction wrote")
	}
	at, ok, err := e.store.Txn(e.ctx, []meta.Compare{{Key: "a", ModRev: rev}}, []meta.Op{put("b", "1"), put("c", "1"), {Key: "a", Delete: true}})
	if !ok || err != nil {
		t.Fatalf("Txn: %v %v", ok, err)
	}
	b, _ := e.get(t, "b")
	c, _ := e.get(t, "c")
	if _, there := e.get(t, "a"); there || b.ModRev != at || c.ModRev != at {
		t.Errorf("revision %d wrote b at %d and c at %d, a there: %v", at, b.ModRev, c.ModRev, there)
	}
}

func testTxnRefuses(t *testing.T, e *env) {
	many := make([]meta.Op, meta.MaxOps+1)
	for i := range many {
		many[i] = put(strconv.Itoa(i), "x")
	}
	for name, ops := range map[string][]meta.Op{
		"a key twice":            {put("a", "1"), put("a", "2")},
		"put and delete":         {put("a", "1"), {Key: "a", Delete: true}},
		"put below a prefix":     {{Key: "p/", Delete: true, Prefix: true}, put("p/a", "1")},
		"empty key":              {put("", "1")},
		"too many":               many,
		"a lease that never was": {{Key: "a", Value: []byte("1"), Lease: 123456789}},
	} {
		if _, ok, err := e.store.Txn(e.ctx, nil, ops); err == nil || ok {
			t.Errorf("%s: ok %v, error %v", name, ok, err)
		}
	}
	if kvs, _, _ := e.store.List(e.ctx, ""); len(kvs) != 0 {
		t.Errorf("refused transactions wrote %v", kvs)
	}
}

func testDeletes(t *testing.T, e *env) {
	e.must(t, put("p/1", "x"), put("p/2", "x"), put("p", "x"), put("q", "x"))
	e.must(t, meta.Op{Key: "p/", Delete: true, Prefix: true}, meta.Op{Key: "none", Delete: true})
	if kvs, _, _ := e.store.List(e.ctx, ""); len(kvs) != 2 {
		t.Errorf("after the prefix was deleted: %v", kvs)
	}
	e.must(t, meta.Op{Key: "", Delete: true, Prefix: true})
	if kvs, _, _ := e.store.List(e.ctx, ""); len(kvs) != 0 {
		t.Errorf("after all was deleted: %v", kvs)
	}
}

// testIncrements: read, compare, write by many writers loses no increment.
func testIncrements(t *testing.T, e *env) {
	const writers, each = 6, 15
	e.must(t, put("n", "0"))
	var wg sync.WaitGroup
	for range writers {
		store := e.client(t)
		wg.Go(func() {
			for done := 0; done < each; {
				kv, err := store.Get(e.ctx, "n")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(kv.Value))
				_, ok, err := store.Txn(e.ctx, []meta.Compare{{Key: "n", ModRev: kv.ModRev}}, []meta.Op{put("n", strconv.Itoa(n+1))})
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	wg.Wait()
	if kv, _ := e.get(t, "n"); string(kv.Value) != strconv.Itoa(writers*each) {
		t.Errorf("%d increments gave %s", writers*each, kv.Value)
	}
}

func testClosed(t *testing.T, e *env) {
	s := e.open(t)
	watch := s.Watch(e.ctx, "", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range watch { // ends
	}
	_, getErr := s.Get(e.ctx, "a")
	_, _, listErr := s.List(e.ctx, "")
	_, _, txnErr := s.Txn(e.ctx, nil, []meta.Op{put("a", "1")})
	_, leaseErr := s.Grant(e.ctx, 1e9)
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Txn": txnErr, "Grant": leaseErr} {
		if !errors.Is(err, meta.ErrUnavailable) {
			t.Errorf("%s on a closed client: %v", what, err)
		}
	}
}

func testCanceled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.store.Get(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("Get: %v", err)
	}
	if _, _, err := e.store.Txn(ctx, nil, []meta.Op{put("a", "1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Txn: %v", err)
	}
}
