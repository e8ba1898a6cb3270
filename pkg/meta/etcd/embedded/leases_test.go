package embedded

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// TestLeasesOfADeadProcess: a key under a long lease is gone at once when the next process says that its holder is.
func TestLeasesOfADeadProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir, quiet := t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil))
	open := func() (*Server, meta.Store) {
		s, err := Start(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		store, err := s.Open(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		return s, store
	}
	s, store := open()
	hold, forget := context.WithCancel(ctx)
	lease, err := store.Grant(hold, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Txn(ctx, nil, []meta.Op{{Key: "k", Value: []byte("v"), Lease: lease.ID()}}); err != nil {
		t.Fatal(err)
	}
	forget()
	store.Close()
	s.Close()

	s, store = open()
	defer s.Close()
	defer store.Close()
	if _, err := store.Get(ctx, "k"); err != nil {
		t.Fatalf("the lease did not outlive its process, so this test shows nothing: %v", err)
	}
	if err := s.RevokeLeases(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(ctx, "k"); !errors.Is(err, meta.ErrNotFound) {
		t.Fatalf("the key is still there: %v", err)
	}
}
