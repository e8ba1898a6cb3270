package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/etcd"
	"github.com/gyr-db/gyr/pkg/meta/etcd/embedded"
)

// TestOutage: while the server is away calls say so by their deadline and leases are lost by their ttl; when it is
// back, the same client goes on, its watch without a gap.
func TestOutage(t *testing.T) {
	dir := t.TempDir()
	srv, err := embedded.Start(dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rev, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "a", Value: []byte("1")}})
	if err != nil {
		t.Fatal(err)
	}
	watch := s.Watch(t.Context(), "", rev+1)
	lease, err := s.Grant(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "a"); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("Get without a server: %v", err)
	}
	if _, _, err := s.Txn(ctx, nil, []meta.Op{{Key: "a"}}); !errors.Is(err, meta.ErrUnavailable) {
		t.Errorf("Txn without a server: %v", err)
	}
	select {
	case <-lease.Lost():
		if took := time.Since(down); took > 1500*time.Millisecond {
			t.Errorf("a lease of 1 s counts as lost only after %s", took)
		}
	case <-time.After(5 * time.Second):
		t.Error("the lease is not lost")
	}

	_ = start(t, dir) // the test's end closes it
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if kv, err := s.Get(ctx, "a"); err != nil || string(kv.Value) != "1" {
		t.Fatalf("after the restart: %+v, %v", kv, err)
	}
	if _, _, err := s.Txn(ctx, nil, []meta.Op{{Key: "b", Value: []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-watch:
		if b.Err != nil || len(b.Events) != 1 || b.Events[0].KV.Key != "b" {
			t.Errorf("the watch goes on with %+v", b)
		}
	case <-ctx.Done():
		t.Error("the watch gives nothing after the restart")
	}
}

// TestRevokeDuringOutage: a lease that was given up while the server was away does not hold its keys for another ttl
// after the server's return, and a key that its holder has put under a new lease at once has no gap.
func TestRevokeDuringOutage(t *testing.T) {
	dir := t.TempDir()
	srv, err := embedded.Start(dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	old, err := s.Grant(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "owner", Lease: old.ID()}, {Key: "node", Lease: old.ID()}}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := old.Revoke(short); !errors.Is(err, meta.ErrUnavailable) {
		t.Fatalf("Revoke without a server: %v", err)
	}
	_ = start(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	fresh, err := s.Grant(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	rev, _, err := s.Txn(ctx, nil, []meta.Op{{Key: "node", Value: []byte("again"), Lease: fresh.ID()}})
	if err != nil {
		t.Fatal(err)
	}
	for events := s.Watch(ctx, "", rev+1); ; {
		select {
		case b := <-events:
			if b.Err != nil || len(b.Events) != 1 || b.Events[0].KV.Key != "owner" {
				t.Fatalf("expected the end of the key owner alone, got %+v", b)
			}
			if kv, err := s.Get(ctx, "node"); err != nil || string(kv.Value) != "again" {
				t.Fatalf("the key under the new lease: %+v, %v", kv, err)
			}
			return
		case <-ctx.Done():
			t.Fatal("the key of the lease that was given up is still there after 10 s")
		}
	}
}

func TestOpenWithoutServer(t *testing.T) {
	began := time.Now()
	_, err := etcd.Open(t.Context(), etcd.Config{Endpoints: []string{"unix:///nowhere/etcd.sock"}, DialTimeout: 200 * time.Millisecond}, quiet())
	if !errors.Is(err, meta.ErrUnavailable) || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// TestCacheProgress: the catalog's cache learns a revision made outside its root, from a server that tells only when asked.
func TestCacheProgress(t *testing.T) {
	srv := start(t, t.TempDir())
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := srv.Open(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	cache := catalog.NewCache(s, quiet())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	done := make(chan error, 1)
	go func() { done <- cache.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := cache.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		rev, _, err := other.Txn(ctx, nil, []meta.Op{{Key: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := cache.WaitRevision(ctx, rev); err != nil {
			t.Fatal(err)
		}
		t.Logf("revision of another root seen after %s", time.Since(began))
	}
}
