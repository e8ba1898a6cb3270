// Package file keeps objects as files below one local folder, for standalone.
//
// A Put writes a temporary file, syncs it, gives it its name (by link when the name must be free, which is atomic)
// and syncs the folders on the way: after a power loss an object is whole or absent, and one that Put answered for is
// there. Several processes may share the folder. As in every file system a key cannot be the folder of another key.
package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
)

const (
	// tempName is the folder of temporary files; no key may start with it.
	tempName = ".gyr-tmp"
	// staleTemp is the age at which a temporary file is taken for a crashed process's.
	staleTemp = time.Hour
	// placeAttempts bounds how often a Put makes folders again that a Delete has just pruned.
	placeAttempts = 20
)

// Store keeps objects in a folder.
type Store struct {
	root string

	mu sync.Mutex // guards durable, and orders the making of folders with their pruning
	// durable are the folders, relative to root, whose names are known to be on disk.
	durable map[string]struct{}
}

var _ objstore.Store = (*Store)(nil)

// Open opens the store in dir, making the folder if need be.
func Open(dir string) (*Store, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("file store: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(root, tempName), 0o755); err != nil {
		return nil, fmt.Errorf("file store: make the folder: %w", failure(err))
	}
	for d := root; ; d = filepath.Dir(d) {
		if err := syncDir(d); err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("file store: %w", err)
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	s := &Store{root: root, durable: map[string]struct{}{".": {}}}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("file store: remove old temporary files: %w", err)
	}
	return s, nil
}

// sweep removes the temporary files of crashed processes.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.root, tempName))
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < staleTemp {
			continue // gone, or perhaps in use
		}
		if err := os.Remove(filepath.Join(s.root, tempName, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == tempName || strings.HasPrefix(key, tempName+"/") {
		return fmt.Errorf("object key %q: %s is reserved", key, tempName)
	}
	return objstore.ValidKey(key)
}

func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// Put implements objstore.Store.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) (err error) {
	if err := check(ctx, key); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path(key)); err == nil && opt.IfAbsent {
		return fmt.Errorf("put %s: %w", key, s.taken(key)) // saves the writing; the link decides
	}
	temp := filepath.Join(s.root, tempName, rand.Text())
	defer func() {
		if rerr := os.Remove(temp); err == nil && rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("put %s: %w", key, rerr)
		}
	}()
	if err := write(ctx, temp, r, size); err != nil {
		return fmt.Errorf("put %s: %w", key, failure(err))
	}
	if err := s.place(temp, key, opt.IfAbsent); err != nil {
		return fmt.Errorf("put %s: %w", key, failure(err))
	}
	return nil
}

// write makes a synced file of size bytes from r.
func write(ctx context.Context, path string, r io.Reader, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	n, err := io.Copy(f, io.LimitReader(contextReader{ctx, r}, size))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("the body ends after %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return f.Sync()
}

// contextReader ends a long copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// place gives a temporary file its name and makes that durable.
func (s *Store) place(temp, key string, ifAbsent bool) error {
	target := s.path(key)
	move := os.Rename
	if ifAbsent {
		move = os.Link
	}
	dir := filepath.Dir(filepath.FromSlash(key))
	for attempt := 1; ; attempt++ {
		if err := s.makeDir(dir); err != nil {
			return err
		}
		err := move(temp, target)
		if errors.Is(err, fs.ErrNotExist) && attempt < placeAttempts {
			s.forget(dir) // pruned between the two steps
			continue
		}
		if errors.Is(err, fs.ErrExist) && ifAbsent {
			return s.taken(key)
		}
		if err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(target)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// The object was deleted again, and its folder with it.
		return nil
	}
}

// taken answers for an object that is there already. It may be the caller's own, from an attempt that failed after the
// link, so its name is made durable before the caller is told of it.
func (s *Store) taken(key string) error {
	dir := filepath.Dir(filepath.FromSlash(key))
	if err := s.makeDir(dir); err != nil {
		return err
	}
	if err := syncDir(filepath.Join(s.root, dir)); err != nil && !absent(err) {
		return err
	}
	return objstore.ErrExists
}

// makeDir makes a folder and those above it, durably.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeDirLocked(dir)
}

func (s *Store) makeDirLocked(dir string) error {
	if _, ok := s.durable[dir]; ok {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := s.makeDirLocked(parent); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(s.root, dir), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncDir(filepath.Join(s.root, parent)); err != nil {
		return err
	}
	s.durable[dir] = struct{}{}
	return nil
}

// forget makes makeDir look again at a folder and those above it.
func (s *Store) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; dir != "."; dir = filepath.Dir(dir) {
		delete(s.durable, dir)
	}
}

// Delete implements objstore.Store. Folders that become empty go too.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	dirs := map[string]struct{}{}
	for _, key := range keys {
		if err := check(ctx, key); err != nil {
			return err
		}
		info, err := os.Lstat(s.path(key))
		if absent(err) || (err == nil && info.IsDir()) {
			continue
		}
		if err == nil {
			err = os.Remove(s.path(key))
		}
		if err != nil && !absent(err) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		dirs[filepath.Dir(filepath.FromSlash(key))] = struct{}{}
	}
	for dir := range dirs {
		if err := syncDir(filepath.Join(s.root, s.prune(dir))); err != nil && !absent(err) {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

// prune removes a folder if it is empty, and those above it, and returns the first that stays.
func (s *Store) prune(dir string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for dir != "." && os.Remove(filepath.Join(s.root, dir)) == nil {
		delete(s.durable, dir)
		dir = filepath.Dir(dir)
	}
	return dir
}

// failure gives an operating system's error the meaning that package objstore knows.
func failure(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", objstore.ErrFull, err)
	case errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("%w: %w", objstore.ErrExists, err)
	case absent(err):
		return fmt.Errorf("%w: %w", objstore.ErrNotFound, err)
	}
	return err
}

// absent: there is no such file, or a part of its path is a file itself.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func syncDir(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // file systems that sync no folders
		return errors.Join(err, d.Close())
	}
	return d.Close()
}
