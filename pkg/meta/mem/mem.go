// Package mem is a metadata store in memory with the same revisions, watches and leases as the etcd driver, for tests
// and virtual time: leases run on package time's timers, so testing/synctest drives them.
//
// One set of data can have several clients (Dial), each standing for a process: closing a client ends its watches
// and lets its leases lapse after their ttl, as a killed process would.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gyr-db/gyr/pkg/meta"
)

// historyLimit is the number of revisions kept for watches; older ones are compacted.
const historyLimit = 20_000

// server is the data that clients share.
type server struct {
	mu        sync.Mutex // guards all below
	rev       int64
	compacted int64 // revisions at or below are gone from history
	kvs       map[string]meta.KV
	keys      []string // sorted keys of kvs
	history   []revision
	leases    map[meta.LeaseID]*lease
	nextLease meta.LeaseID
	changed   chan struct{} // closed and replaced at each new revision and compaction
}

type revision struct {
	rev    int64
	events []meta.Event
}

// Store is one client of the data.
type Store struct {
	srv    *server
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // watches
}

var _ meta.Store = (*Store)(nil)

// New makes an empty store and its first client.
func New() *Store {
	return dial(&server{rev: 1, kvs: map[string]meta.KV{}, leases: map[meta.LeaseID]*lease{}, nextLease: 1, changed: make(chan struct{})})
}

func dial(srv *server) *Store {
	ctx, cancel := context.WithCancel(context.Background())
	return &Store{srv: srv, ctx: ctx, cancel: cancel}
}

// Dial makes another client of the same data.
func (s *Store) Dial() *Store { return dial(s.srv) }

// Close ends this client: its watches, and the renewal of its leases. Other clients and the data stay.
func (s *Store) Close() error {
	s.cancel()
	s.wg.Wait()
	return nil
}

// Get implements meta.Store.
func (s *Store) Get(ctx context.Context, key string) (meta.KV, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return meta.KV{}, err
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	kv, ok := s.srv.kvs[key]
	if !ok {
		return meta.KV{}, fmt.Errorf("get %s: %w", key, meta.ErrNotFound)
	}
	return clone(kv), nil
}

// List implements meta.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]meta.KV, int64, error) {
	if err := s.check(ctx, "list", prefix); err != nil {
		return nil, 0, err
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	keys := s.srv.under(prefix)
	out := make([]meta.KV, 0, len(keys))
	for _, k := range keys {
		out = append(out, clone(s.srv.kvs[k]))
	}
	return out, s.srv.rev, nil
}

// Txn implements meta.Store.
func (s *Store) Txn(ctx context.Context, cmps []meta.Compare, ops []meta.Op) (int64, bool, error) {
	if err := s.check(ctx, "txn", ""); err != nil {
		return 0, false, err
	}
	if err := checkOps(ops); err != nil {
		return 0, false, err
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	for _, c := range cmps {
		if !s.srv.holds(c) {
			return s.srv.rev, false, nil
		}
	}
	for _, op := range ops {
		if op.Lease != 0 && s.srv.leases[op.Lease] == nil {
			return 0, false, fmt.Errorf("txn: put %s: %w", op.Key, meta.ErrLeaseLost)
		}
	}
	s.srv.apply(ops)
	return s.srv.rev, true, nil
}

// Compact drops the history at and below rev, so that watches from there fail with meta.ErrCompacted.
func (s *Store) Compact(rev int64) {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.srv.compact(min(rev, s.srv.rev))
	s.srv.wake()
}

// Revision is the newest revision.
func (s *Store) Revision() int64 {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	return s.srv.rev
}

func (s *Store) check(ctx context.Context, what, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", what, key, err)
	}
	if s.ctx.Err() != nil {
		return fmt.Errorf("%s %s: client closed: %w", what, key, meta.ErrUnavailable)
	}
	return nil
}

// checkOps refuses what etcd refuses: a key that is written twice in one transaction.
func checkOps(ops []meta.Op) error {
	if len(ops) > meta.MaxOps {
		return fmt.Errorf("txn: %d operations are more than %d", len(ops), meta.MaxOps)
	}
	for i, a := range ops {
		if a.Key == "" && !(a.Delete && a.Prefix) {
			return fmt.Errorf("txn: empty key")
		}
		for _, b := range ops[:i] {
			if a.Delete && b.Delete {
				continue
			}
			if a.Key == b.Key || covers(a, b.Key) || covers(b, a.Key) {
				return fmt.Errorf("txn: key %s is written twice", a.Key)
			}
		}
	}
	return nil
}

func covers(op meta.Op, key string) bool {
	return op.Delete && op.Prefix && strings.HasPrefix(key, op.Key)
}

func (v *server) holds(c meta.Compare) bool {
	kv, ok := v.kvs[c.Key]
	if c.Value != nil {
		return ok && bytes.Equal(kv.Value, c.Value)
	}
	return kv.ModRev == c.ModRev // zero for a missing key
}

// apply runs ops as one revision; a transaction that changes nothing makes none.
func (v *server) apply(ops []meta.Op) {
	rev := v.rev + 1
	var events []meta.Event
	for _, op := range ops {
		switch {
		case op.Delete && op.Prefix:
			for _, k := range slices.Clone(v.under(op.Key)) {
				events = v.remove(k, rev, events)
			}
		case op.Delete:
			events = v.remove(op.Key, rev, events)
		default:
			events = append(events, v.put(op, rev))
		}
	}
	if len(events) == 0 {
		return
	}
	v.rev = rev
	v.history = append(v.history, revision{rev, events})
	if len(v.history) > historyLimit {
		v.compact(v.history[len(v.history)-historyLimit/2].rev)
	}
	v.wake()
}

func (v *server) put(op meta.Op, rev int64) meta.Event {
	old, found := v.kvs[op.Key]
	kv := meta.KV{Key: op.Key, Value: append([]byte{}, op.Value...), ModRev: rev, CreateRev: rev, Lease: op.Lease}
	if found {
		kv.CreateRev = old.CreateRev
		v.detach(old)
	} else {
		i, _ := slices.BinarySearch(v.keys, op.Key)
		v.keys = slices.Insert(v.keys, i, op.Key)
	}
	if l := v.leases[op.Lease]; l != nil {
		l.keys[op.Key] = struct{}{}
	}
	v.kvs[op.Key] = kv
	return meta.Event{KV: kv}
}

func (v *server) remove(key string, rev int64, events []meta.Event) []meta.Event {
	old, found := v.kvs[key]
	if !found {
		return events
	}
	v.detach(old)
	delete(v.kvs, key)
	i, _ := slices.BinarySearch(v.keys, key)
	v.keys = slices.Delete(v.keys, i, i+1)
	return append(events, meta.Event{KV: meta.KV{Key: key, ModRev: rev}, Deleted: true})
}

func (v *server) detach(kv meta.KV) {
	if l := v.leases[kv.Lease]; l != nil {
		delete(l.keys, kv.Key)
	}
}

// under is the run of keys that start with prefix; it aliases v.keys.
func (v *server) under(prefix string) []string {
	start, _ := slices.BinarySearch(v.keys, prefix)
	end := start
	for end < len(v.keys) && strings.HasPrefix(v.keys[end], prefix) {
		end++
	}
	return v.keys[start:end]
}

func (v *server) compact(rev int64) {
	if rev <= v.compacted {
		return
	}
	v.compacted = rev
	i, found := slices.BinarySearchFunc(v.history, rev, func(r revision, rev int64) int { return int(r.rev - rev) })
	if found {
		i++
	}
	v.history = slices.Clone(v.history[i:])
}

// wake tells every watch that there is something new.
func (v *server) wake() {
	close(v.changed)
	v.changed = make(chan struct{})
}

func clone(kv meta.KV) meta.KV {
	kv.Value = bytes.Clone(kv.Value)
	return kv
}
