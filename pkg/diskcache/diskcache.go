// Package diskcache is a bounded folder for copies of what lies in the bucket: raw vectors and index files that are read
// from disk while they are searched.
//
// It owns the folder, the bound and the files' lives; what is in them, and whether it is whole, is its users' business.
// Nothing in it is needed after a restart: every process works in a folder of its own below the configured one, and
// removes those that dead processes left. Files are unlinked, never truncated, so whoever reads one may finish.
package diskcache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/gyr-db/gyr/pkg/errs"
)

const (
	prefix   = "cache-"
	lockName = "LOCK"
)

// Config of a Cache.
type Config struct {
	Dir string // made if need be
	// Limit bounds the bytes of all files; 0 takes 4/5 of what is free on the file system when the cache is opened.
	Limit int64
}

// Cache is a process's part of the folder. It is safe for concurrent use.
type Cache struct {
	dir   string
	lock  *os.File
	limit int64

	mu     sync.Mutex // guards what follows
	used   int64
	files  int64 // ever made
	closed bool
}

// Open makes the process's folder, and removes those of processes that are gone.
func Open(cfg Config) (*Cache, error) {
	if cfg.Limit < 0 {
		return nil, fmt.Errorf("disk cache %s: the limit %d is negative", cfg.Dir, cfg.Limit)
	}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("disk cache: %w", err)
	}
	if err := sweep(cfg.Dir); err != nil {
		return nil, fmt.Errorf("disk cache %s: %w", cfg.Dir, err)
	}
	dir, err := os.MkdirTemp(cfg.Dir, prefix)
	if err != nil {
		return nil, fmt.Errorf("disk cache: %w", err)
	}
	c := &Cache{dir: dir, limit: cfg.Limit}
	if c.lock, err = lock(dir, true); err != nil {
		return nil, errors.Join(fmt.Errorf("disk cache %s: %w", dir, err), os.RemoveAll(dir))
	}
	if c.limit == 0 {
		free, err := freeBytes(dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("disk cache %s: free space: %w", dir, err), c.Close())
		}
		c.limit = free / 5 * 4
	}
	return c, nil
}

// sweep removes the folders whose processes have ended: those that nobody holds the lock of.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		old := filepath.Join(dir, e.Name())
		held, err := lock(old, false)
		if err != nil {
			continue // in use, or being made or removed by another process
		}
		if err := errors.Join(os.RemoveAll(old), held.Close()); err != nil {
			return err
		}
	}
	return nil
}

func lock(dir string, create bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Usage returns the bytes set aside for files, and the bound.
func (c *Cache) Usage() (used, limit int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used, c.limit
}

// Create makes a file and sets size bytes aside for it. One that does not fit is refused with code DiskLimit.
func (c *Cache) Create(size int64) (*File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errs.New(errs.Unavailable, "the disk cache %s is closed", c.dir)
	case size < 0 || size > c.limit-c.used:
		return nil, errs.New(errs.DiskLimit, "disk cache %s: %d bytes do not fit, %d of %d are taken; raise its limit or add querynodes", c.dir, size, c.used, c.limit)
	}
	c.files++
	f, err := os.OpenFile(filepath.Join(c.dir, fmt.Sprintf("%08d", c.files)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, diskError(err)
	}
	c.used += size
	return &File{f: f, cache: c, size: size}, nil
}

// Close removes the folder. Files that are open stay readable until they are closed.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	if err := errors.Join(os.RemoveAll(c.dir), c.lock.Close()); err != nil {
		return fmt.Errorf("disk cache: %w", err)
	}
	return nil
}

// File is one file of a cache. It is safe for concurrent use.
type File struct {
	f     *os.File
	cache *Cache
	size  int64
	once  sync.Once
	err   error
}

// Size returns the bytes set aside for the file.
func (f *File) Size() int64 { return f.size }

// Path is where the file lies until it is closed.
func (f *File) Path() string { return f.f.Name() }

// WriteAt implements io.WriterAt. A full disk is an error of code DiskLimit.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > f.size {
		return 0, fmt.Errorf("%s: %d bytes at %d lie outside the %d that were asked for", f.f.Name(), len(b), off, f.size)
	}
	n, err := f.f.WriteAt(b, off)
	if err != nil {
		return n, diskError(err)
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, off int64) (int, error) { return f.f.ReadAt(b, off) }

// Close removes the file and gives its bytes back. Closing twice is harmless.
func (f *File) Close() error {
	f.once.Do(func() {
		err := os.Remove(f.f.Name())
		if errors.Is(err, os.ErrNotExist) {
			err = nil // the cache was closed before
		}
		f.err = errors.Join(err, f.f.Close())
		f.cache.mu.Lock()
		defer f.cache.mu.Unlock()
		f.cache.used -= f.size
	})
	return f.err
}

func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errs.New(errs.DiskLimit, "disk cache: %w", err)
	}
	return fmt.Errorf("disk cache: %w", err)
}
