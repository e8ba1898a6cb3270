// Package fault wraps an object store with scripted failures, for tests: errors, delays, answers that are lost after
// the object was stored, black holes, and streams that break in the middle.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/fault"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// Names of the calls, for fault.Rule's Op.
const (
	Put    = "put"
	ReadAt = "readat"
	Get    = "get"
	Stream = "stream" // each read of the stream that Get returned; a rule's Skip counts reads
	Stat   = "stat"
	List   = "list"
	Delete = "delete"
)

// errUnreachable is what a black hole answers in the end.
var errUnreachable = errors.New("object storage does not answer")

// Store injects faults into the calls of a store.
type Store struct {
	fault.Rules
	inner objstore.Store
}

var _ objstore.Store = (*Store)(nil)

// New wraps inner; without rules everything goes through.
func New(inner objstore.Store) *Store { return &Store{inner: inner} }

func (s *Store) run(ctx context.Context, op string, keys []string, call func() error) error {
	name := ""
	if len(keys) > 0 {
		name = " " + keys[0]
	}
	if err := s.Run(ctx, op, keys, errUnreachable, call); err != nil {
		return fmt.Errorf("%s%s: %w", op, name, err)
	}
	return nil
}

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) error {
	return s.run(ctx, Put, []string{key}, func() error { return s.inner.Put(ctx, key, r, size, opt) })
}

// ReadAt implements objstore.Store. Its own short reads come back as they are.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (n int, err error) {
	var short error
	err = s.run(ctx, ReadAt, []string{key}, func() (err error) {
		n, err = s.inner.ReadAt(ctx, key, p, off)
		if err == io.ErrUnexpectedEOF {
			short = err
			return nil
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, short
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string) (r io.ReadCloser, size int64, err error) {
	err = s.run(ctx, Get, []string{key}, func() (err error) {
		r, size, err = s.inner.Get(ctx, key)
		return err
	})
	if err != nil {
		if r != nil {
			err = errors.Join(err, r.Close())
		}
		return nil, 0, err
	}
	return &stream{r, s, ctx, key}, size, nil
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (o objstore.Object, err error) {
	err = s.run(ctx, Stat, []string{key}, func() (err error) {
		o, err = s.inner.Stat(ctx, key)
		return err
	})
	return o, err
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, fn func(objstore.Object) bool) error {
	return s.run(ctx, List, []string{prefix}, func() error { return s.inner.List(ctx, prefix, after, fn) })
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	return s.run(ctx, Delete, keys, func() error { return s.inner.Delete(ctx, keys...) })
}

// stream runs each read under the rules.
type stream struct {
	io.ReadCloser
	store *Store
	ctx   context.Context
	key   string
}

// Read implements io.Reader.
func (r *stream) Read(p []byte) (n int, err error) {
	var end error
	err = r.store.run(r.ctx, Stream, []string{r.key}, func() (err error) {
		n, err = r.ReadCloser.Read(p)
		if err == io.EOF {
			end = err
			return nil
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, end
}
