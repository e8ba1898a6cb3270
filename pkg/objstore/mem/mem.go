// Package mem is an object store in memory, for tests and for one-process trials. It owns its objects' bytes: what it
// is given and what it returns is copied. Every method is atomic.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// Store is an object store in memory. The zero value is not usable; call New.
type Store struct {
	mu      sync.RWMutex // guards all below
	objects map[string]object
	keys    []string // sorted
	used    int64
	limit   int64
}

type object struct {
	data []byte // never changed once stored
	time time.Time
}

var _ objstore.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store { return &Store{objects: map[string]object{}} }

// SetLimit bounds the stored bytes: a Put beyond fails with objstore.ErrFull. Zero is no bound.
func (s *Store) SetLimit(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
}

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("put %s: read the body: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, taken := s.objects[key]
	if taken && opt.IfAbsent {
		return fmt.Errorf("put %s: %w", key, objstore.ErrExists)
	}
	used := s.used + size - int64(len(old.data))
	if s.limit > 0 && used > s.limit {
		return fmt.Errorf("put %s: %w", key, objstore.ErrFull)
	}
	s.used = used
	s.objects[key] = object{data, time.Now()}
	if i, found := slices.BinarySearch(s.keys, key); !found {
		s.keys = slices.Insert(s.keys, i, key)
	}
	return nil
}

// ReadAt implements objstore.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", key, off)
	}
	o, err := s.get(ctx, "read", key)
	if err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	if off < int64(len(o.data)) {
		n = copy(p, o.data[off:])
	}
	if n < len(p) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	o, err := s.get(ctx, "get", key)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), int64(len(o.data)), nil
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	o, err := s.get(ctx, "stat", key)
	if err != nil {
		return objstore.Object{}, err
	}
	return objstore.Object{Key: key, Size: int64(len(o.data)), ModTime: o.time}, nil
}

// List implements objstore.Store. fn runs without a lock held and sees one instant's keys.
func (s *Store) List(ctx context.Context, prefix, after string, fn func(objstore.Object) bool) error {
	for _, o := range s.snapshot(prefix, after) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if !fn(o) {
			return nil
		}
	}
	return ctx.Err()
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := check(ctx, key); err != nil {
			return err
		}
		s.remove(key)
	}
	return nil
}

func (s *Store) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearch(s.keys, key)
	if !found {
		return
	}
	s.used -= int64(len(s.objects[key].data))
	s.keys = slices.Delete(s.keys, i, i+1)
	delete(s.objects, key)
}

func (s *Store) snapshot(prefix, after string) []objstore.Object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	start, _ := slices.BinarySearch(s.keys, max(prefix, after))
	var out []objstore.Object
	for _, key := range s.keys[start:] {
		if !strings.HasPrefix(key, prefix) {
			if key > prefix {
				break
			}
			continue
		}
		if key > after {
			o := s.objects[key]
			out = append(out, objstore.Object{Key: key, Size: int64(len(o.data)), ModTime: o.time})
		}
	}
	return out
}

func (s *Store) get(ctx context.Context, what, key string) (object, error) {
	if err := check(ctx, key); err != nil {
		return object{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, fmt.Errorf("%s %s: %w", what, key, objstore.ErrNotFound)
	}
	return o, nil
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return objstore.ValidKey(key)
}
