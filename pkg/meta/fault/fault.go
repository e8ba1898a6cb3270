// Package fault wraps a metadata store with scripted failures, for tests: errors, delays, answers that are lost after
// the transaction was applied, black holes, partitions, broken watches.
//
// Each wrapper stands for one process: give every process of a test its own, over one store.
package fault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/meta"
)

// Names of the calls, for fault.Rule's Op.
const (
	Get      = "get"
	List     = "list"
	Txn      = "txn" // a rule's Key is looked for in its operations and its conditions
	Watch    = "watch"
	Grant    = "grant"
	Revoke   = "revoke"
	Progress = "progress"
)

// Store injects faults into the calls of a store.
type Store struct {
	fault.Rules
	inner meta.Store

	mu     sync.Mutex // guards all below
	news   *news
	leases map[*lease]struct{}
}

// news reaches every open watch once: err ends it, else a partition has ended. err and next are set before ch is
// closed.
type news struct {
	ch   chan struct{}
	err  error
	next *news
}

func newNews() *news { return &news{ch: make(chan struct{})} }

var (
	_ meta.Store      = (*Store)(nil)
	_ meta.Progresser = (*Store)(nil)
)

// New wraps inner; without rules everything goes through.
func New(inner meta.Store) *Store {
	return &Store{inner: inner, news: newNews(), leases: map[*lease]struct{}{}}
}

// Partition cuts this process off from the store: calls are swallowed, watches lie still, leases are not renewed any
// more and end after their ttl.
func (s *Store) Partition() {
	s.SetPartition(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		l.stop()
	}
	clear(s.leases)
}

// Heal ends a partition; watches go on where they were.
func (s *Store) Heal() {
	s.SetPartition(false)
	s.tell(nil)
}

// BreakWatches ends every watch that is open with err.
func (s *Store) BreakWatches(err error) { s.tell(err) }

func (s *Store) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.news
	s.news = newNews()
	old.err, old.next = err, s.news
	close(old.ch)
}

func (s *Store) current() *news {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

// Get implements meta.Store.
func (s *Store) Get(ctx context.Context, key string) (kv meta.KV, err error) {
	err = s.Run(ctx, Get, []string{key}, meta.ErrUnavailable, func() (err error) {
		kv, err = s.inner.Get(ctx, key)
		return err
	})
	return kv, wrap("get", err)
}

// List implements meta.Store.
func (s *Store) List(ctx context.Context, prefix string) (kvs []meta.KV, rev int64, err error) {
	err = s.Run(ctx, List, []string{prefix}, meta.ErrUnavailable, func() (err error) {
		kvs, rev, err = s.inner.List(ctx, prefix)
		return err
	})
	if err != nil {
		return nil, 0, wrap("list", err)
	}
	return kvs, rev, nil
}

// Txn implements meta.Store.
func (s *Store) Txn(ctx context.Context, cmps []meta.Compare, ops []meta.Op) (rev int64, ok bool, err error) {
	var keys []string
	for _, op := range ops {
		keys = append(keys, op.Key)
	}
	for _, c := range cmps {
		keys = append(keys, c.Key)
	}
	err = s.Run(ctx, Txn, keys, meta.ErrUnavailable, func() (err error) {
		rev, ok, err = s.inner.Txn(ctx, cmps, ops)
		return err
	})
	if err != nil {
		return 0, false, wrap("txn", err)
	}
	return rev, ok, nil
}

// RequestProgress implements meta.Progresser.
func (s *Store) RequestProgress(ctx context.Context) error {
	return wrap("request progress", s.Run(ctx, Progress, nil, meta.ErrUnavailable, func() error {
		if p, ok := s.inner.(meta.Progresser); ok {
			return p.RequestProgress(ctx)
		}
		return nil
	}))
}

// Grant implements meta.Store.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (meta.Lease, error) {
	l := &lease{store: s}
	err := s.Run(ctx, Grant, nil, meta.ErrUnavailable, func() (err error) {
		kept, stop := context.WithCancel(ctx)
		l.stop = stop
		l.Lease, err = s.inner.Grant(kept, ttl)
		if err != nil {
			stop()
		}
		return err
	})
	if err != nil {
		return nil, wrap("grant", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
	return l, nil
}

// Close closes the wrapped store.
func (s *Store) Close() error {
	s.mu.Lock()
	for l := range s.leases {
		l.stop()
	}
	s.mu.Unlock()
	return s.inner.Close()
}

// lease lapses when its store is partitioned.
type lease struct {
	meta.Lease
	store *Store
	stop  context.CancelFunc
}

// Revoke implements meta.Lease.
func (l *lease) Revoke(ctx context.Context) error {
	return wrap("revoke", l.store.Run(ctx, Revoke, nil, meta.ErrUnavailable, func() error {
		l.store.mu.Lock()
		delete(l.store.leases, l)
		l.store.mu.Unlock()
		err := l.Lease.Revoke(ctx)
		l.stop()
		return err
	}))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
