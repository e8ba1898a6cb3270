// Package metatest is the conformance suite of metadata stores: every driver passes the same tests.
package metatest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Open makes a client of one store; more calls give more clients of the same data. The test closes them.
type Open func(t *testing.T) meta.Store

// Suite is a driver under test.
type Suite struct {
	// New makes an empty store.
	New func(t *testing.T) Open
	// Compact drops the history of the client's store at and below rev; nil leaves that test out.
	Compact func(t *testing.T, store meta.Store, rev int64)
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	for name := range tests() {
		RunOne(t, name, s)
	}
}

// RunOne runs one test of the suite, for drivers whose tests of one kind need a store of their own.
func RunOne(t *testing.T, name string, s Suite) {
	test := tests()[name]
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		e := &env{suite: s, ctx: ctx, open: s.New(t)}
		e.store = e.client(t)
		test(t, e)
	})
}

func tests() map[string]func(*testing.T, *env) {
	return map[string]func(*testing.T, *env){
		"GetAndPut": testGetAndPut, "List": testList, "ListPages": testListPages,
		"Compare": testCompare, "TxnIsAtomic": testTxnIsAtomic, "TxnRefuses": testTxnRefuses, "Deletes": testDeletes,
		"Increments": testIncrements, "Closed": testClosed, "Canceled": testCanceled,
		"WatchHistory": testWatchHistory, "WatchLive": testWatchLive, "WatchWholeRevisions": testWatchWholeRevisions,
		"WatchProgress": testWatchProgress, "WatchEnds": testWatchEnds, "WatchCompacted": testWatchCompacted,
		"LeaseRevoke": testLeaseRevoke, "LeaseIsKept": testLeaseIsKept, "LeaseEndsWithContext": testLeaseEndsWithContext,
		"LeaseEndsWithClient": testLeaseEndsWithClient, "LeaseTakenOff": testLeaseTakenOff,
	}
}

type env struct {
	suite Suite
	ctx   context.Context
	open  Open
	store meta.Store
}

// client opens a client that is closed when the test ends.
func (e *env) client(t *testing.T) meta.Store {
	t.Helper()
	s := e.open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// must commits ops and returns the revision.
func (e *env) must(t *testing.T, ops ...meta.Op) int64 {
	t.Helper()
	rev, ok, err := e.store.Txn(e.ctx, nil, ops)
	if err != nil || !ok {
		t.Fatalf("Txn: ok %v, error %v", ok, err)
	}
	return rev
}

func put(key, value string) meta.Op { return meta.Op{Key: key, Value: []byte(value)} }

func (e *env) get(t *testing.T, key string) (meta.KV, bool) {
	t.Helper()
	kv, err := e.store.Get(e.ctx, key)
	if errors.Is(err, meta.ErrNotFound) {
		return kv, false
	}
	if err != nil {
		t.Fatalf("Get %s: %v", key, err)
	}
	return kv, true
}

// eventually waits until a condition holds.
func (e *env) eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", within, what)
		}
	}
}

// next takes a batch with events from a watch.
func (e *env) next(t *testing.T, w <-chan meta.WatchBatch) meta.WatchBatch {
	t.Helper()
	for {
		select {
		case b, open := <-w:
			if !open {
				t.Fatal("the watch ended")
			}
			if b.Err != nil {
				t.Fatalf("watch: %v", b.Err)
			}
			if len(b.Events) > 0 {
				return b
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the watch gave nothing in 10 s")
		}
	}
}

// collect takes n events from a watch, as text.
func (e *env) collect(t *testing.T, w <-chan meta.WatchBatch, n int) (out []string) {
	t.Helper()
	for len(out) < n {
		b := e.next(t, w)
		for _, ev := range b.Events {
			out = append(out, describe(ev))
		}
		if last := b.Events[len(b.Events)-1].KV.ModRev; b.Revision < last {
			t.Errorf("batch of revision %d has an event of %d", b.Revision, last)
		}
	}
	return out
}

func describe(ev meta.Event) string {
	if ev.Deleted {
		return "-" + ev.KV.Key
	}
	return fmt.Sprintf("%s=%s", ev.KV.Key, ev.KV.Value)
}
