package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// ReadAt implements objstore.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	if err := check(ctx, key); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", key, off)
	}
	f, err := os.Open(s.path(key))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, failure(err))
	}
	defer f.Close()
	n, err := f.ReadAt(p, off)
	switch {
	case errors.Is(err, io.EOF):
		return n, io.ErrUnexpectedEOF
	case errors.Is(err, syscall.EISDIR):
		return 0, fmt.Errorf("read %s: %w", key, objstore.ErrNotFound)
	case err != nil:
		return n, fmt.Errorf("read %s: %w", key, err)
	}
	return n, nil
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if err := check(ctx, key); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, 0, fmt.Errorf("get %s: %w", key, failure(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = objstore.ErrNotFound
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("get %s: %w", key, err), f.Close())
	}
	return f, info.Size(), nil
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := check(ctx, key); err != nil {
		return objstore.Object{}, err
	}
	info, err := os.Stat(s.path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = objstore.ErrNotFound
	}
	if err != nil {
		return objstore.Object{}, fmt.Errorf("stat %s: %w", key, failure(err))
	}
	return objstore.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, fn func(objstore.Object) bool) error {
	w := walk{ctx, s.root, prefix, after, fn}
	// Only the folder that the prefix names, and what is below it, can hold keys.
	start := prefix[:strings.LastIndexByte(prefix, '/')+1]
	if start != "" {
		if err := objstore.ValidKey(strings.TrimSuffix(start, "/")); err != nil {
			return nil // no such key can be
		}
	}
	if _, err := w.dir(start); err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	return nil
}

type walk struct {
	ctx                 context.Context
	root, prefix, after string
	fn                  func(objstore.Object) bool
}

// dir visits the keys that start with dir, which is empty or ends with a slash; false when fn has stopped.
func (w walk) dir(dir string) (bool, error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(dir)))
	if absent(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case dir == "" && e.Name() == tempName:
		case e.IsDir():
			names = append(names, e.Name()+"/") // sorts as its keys do
		case e.Type().IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if more, err := w.entry(dir + name); !more || err != nil {
			return more, err
		}
	}
	return true, nil
}

func (w walk) entry(key string) (bool, error) {
	if strings.HasSuffix(key, "/") {
		concerned := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
		if concerned && (key > w.after || strings.HasPrefix(w.after, key)) {
			return w.dir(key)
		}
		return true, nil
	}
	if !strings.HasPrefix(key, w.prefix) || key <= w.after {
		return true, nil
	}
	info, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(key)))
	if absent(err) {
		return true, nil // deleted meanwhile
	}
	if err != nil {
		return false, err
	}
	return w.fn(objstore.Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}), nil
}
