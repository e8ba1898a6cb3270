// Package objstore is the bucket: immutable objects under slash-separated keys.
//
// It owns the interface and nothing else; drivers live below it (file, s3, mem), with one conformance suite
// (objtest) and a fault-injecting wrapper (fault). Objects are never overwritten in place by Gyr.
package objstore

import (
	"context"
	"errors"
	"io"
	"time"
)

// Errors that drivers return (wrapped).
var (
	ErrNotFound = errors.New("object not found")
	// ErrExists: a conditional Put found the key taken, by bytes that may or may not be the caller's own.
	ErrExists = errors.New("object exists")
	// ErrFull: the storage has no room left.
	ErrFull = errors.New("object storage full")
)

// Object is one entry of a listing.
type Object struct {
	Key     string
	Size    int64
	ModTime time.Time
}

// PutOptions qualifies a Put.
type PutOptions struct {
	// IfAbsent makes the Put fail with ErrExists when the key is taken (exactly one of many racing writers wins).
	IfAbsent bool
}

// Store is a bucket (with a key prefix). Implementations are safe for concurrent use, retry what is safe to
// retry, and honour ctx. After Put returned nil the object is durable and visible.
type Store interface {
	// Put stores size bytes read from r under key. r is read at most once per attempt; it must be an io.ReadSeeker
	// if the driver is to retry.
	Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt PutOptions) error
	// ReadAt fills p from offset off of the object; short only at the end of the object (io.ErrUnexpectedEOF).
	ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error)
	// Get returns the whole object as a stream with its size.
	Get(ctx context.Context, key string) (io.ReadCloser, int64, error)
	// Stat returns the object's size and time.
	Stat(ctx context.Context, key string) (Object, error)
	// List calls fn for objects whose key starts with prefix and is greater than after, in key order; fn returns
	// false to stop.
	List(ctx context.Context, prefix, after string, fn func(Object) bool) error
	// Delete removes keys; keys that are not there are no error.
	Delete(ctx context.Context, keys ...string) error
}
