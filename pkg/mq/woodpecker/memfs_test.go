package woodpecker

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

var (
	errInjected = errors.New("injected")
	errDead     = errors.New("the machine is off")
)

// memFS is a file system in memory that knows what a power loss keeps: what was synced for certain, and of the rest
// whatever chance decides.
type memFS struct {
	mu    sync.Mutex // guards all below, and the inodes
	names map[string]*inode
	disk  map[string]*inode // the names that a power loss keeps
	moves [][2]string       // folders renamed since their parent was synced
	held  map[string]bool   // locks
	// hook may fail an operation before it is done: "create", "write", "sync", "allocate", "rename", "syncdir", ...
	hook func(op, name string) error
}

type inode struct {
	cache []byte
	disk  []byte
	dirty []change // since the last sync
}

// change writes data at off, or changes the size when data is nil.
type change struct {
	off  int64
	data []byte
}

func (c change) apply(b []byte) []byte {
	end := c.off + int64(len(c.data))
	if c.data == nil {
		if end <= int64(len(b)) {
			return slices.Clone(b[:end])
		}
	}
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.off:], c.data)
	return b
}

func newMemFS() *memFS {
	return &memFS{names: map[string]*inode{}, disk: map[string]*inode{}, held: map[string]bool{}}
}

func (fs *memFS) inject(hook func(op, name string) error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.hook = hook
}

func (fs *memFS) do(op, name string, fn func() error) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.hook != nil {
		if err := fs.hook(op, name); err != nil {
			return &os.PathError{Op: op, Path: name, Err: err}
		}
	}
	return fn()
}

func (fs *memFS) Create(name string) (File, error) {
	var f File
	err := fs.do("create", name, func() error {
		if fs.names[name] != nil {
			return os.ErrExist
		}
		fs.names[name] = &inode{}
		f = &memFile{fs: fs, name: name, inode: fs.names[name]}
		return nil
	})
	return f, err
}

func (fs *memFS) Open(name string) (File, error) {
	var f File
	err := fs.do("open", name, func() error {
		if fs.names[name] == nil {
			return os.ErrNotExist
		}
		f = &memFile{fs: fs, name: name, inode: fs.names[name]}
		return nil
	})
	return f, err
}

func (fs *memFS) Rename(from, to string) error {
	return fs.do("rename", to, func() error {
		if fs.names[from] == nil {
			fs.moves = append(fs.moves, [2]string{from, to}) // a folder
		}
		for name, ino := range fs.names {
			if name == from || strings.HasPrefix(name, from+"/") {
				delete(fs.names, name)
				fs.names[to+name[len(from):]] = ino
			}
		}
		return nil
	})
}

func (fs *memFS) Remove(name string) error {
	return fs.do("remove", name, func() error {
		if fs.names[name] == nil {
			return os.ErrNotExist
		}
		delete(fs.names, name)
		return nil
	})
}

func (fs *memFS) RemoveAll(name string) error {
	return fs.do("remove", name, func() error {
		for n := range fs.names {
			if strings.HasPrefix(n, name+"/") {
				delete(fs.names, n)
			}
		}
		return nil
	})
}

func (fs *memFS) MkdirAll(string) error { return nil }

func (fs *memFS) ReadDir(dir string) ([]string, error) {
	var out []string
	err := fs.do("readdir", dir, func() error {
		for n := range fs.names {
			if rest, ok := strings.CutPrefix(n, dir+"/"); ok {
				first, _, _ := strings.Cut(rest, "/")
				out = append(out, first)
			}
		}
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// SyncDir makes the names in dir durable, not those in folders below it, which only move along.
func (fs *memFS) SyncDir(dir string) error {
	return fs.do("syncdir", dir, func() error {
		inDir := func(name string) bool { return filepath.Dir(name) == dir }
		disk := map[string]*inode{}
		for n, ino := range fs.disk {
			for _, m := range fs.moves {
				if inDir(m[1]) && strings.HasPrefix(n, m[0]+"/") {
					n = m[1] + n[len(m[0]):]
				}
			}
			if !inDir(n) {
				disk[n] = ino
			}
		}
		for n, ino := range fs.names {
			if inDir(n) {
				disk[n] = ino
			}
		}
		fs.disk = disk
		fs.moves = slices.DeleteFunc(fs.moves, func(m [2]string) bool { return inDir(m[1]) })
		return nil
	})
}

func (fs *memFS) Lock(name string) (io.Closer, error) {
	return closer(func() { fs.held[name] = false }), fs.do("lock", name, func() error {
		if fs.held[name] {
			return errLocked
		}
		fs.held[name] = true
		return nil
	})
}

type closer func()

func (c closer) Close() error { c(); return nil }

// kill ends the process: the page cache stays.
func (fs *memFS) kill() *memFS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.hook = func(string, string) error { return errDead }
	next := newMemFS()
	for n, ino := range fs.names {
		next.names[n] = ino
	}
	for n, ino := range fs.disk {
		next.disk[n] = ino
	}
	return next
}

// powerLoss gives the disk as the next start finds it.
func (fs *memFS) powerLoss(r *rand.Rand) *memFS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.hook = func(string, string) error { return errDead }
	names := fs.disk
	if r.IntN(2) == 0 {
		names = fs.names // the last renames made it
	}
	next := newMemFS()
	for n, ino := range names {
		b := ino.survives(r)
		next.names[n] = &inode{cache: slices.Clone(b), disk: b}
		next.disk[n] = next.names[n]
	}
	return next
}

// survives applies some sectors of some changes to what is on disk.
func (ino *inode) survives(r *rand.Rand) []byte {
	const sector = 64
	b := slices.Clone(ino.disk)
	for _, c := range ino.dirty {
		if r.IntN(2) == 0 {
			continue
		}
		if c.data == nil {
			b = c.apply(b)
			continue
		}
		keep := r.IntN(3) // none torn, some sectors, a first part
		for i := 0; i < len(c.data); i += sector {
			end := min(i+sector, len(c.data))
			if keep == 1 && r.IntN(2) == 0 {
				continue
			}
			if keep == 2 && r.IntN(8) == 0 {
				end = i + r.IntN(end-i)
				b = change{c.off + int64(i), append([]byte{}, c.data[i:end]...)}.apply(b)
				break
			}
			b = change{c.off + int64(i), c.data[i:end]}.apply(b)
		}
	}
	return b
}

type memFile struct {
	fs     *memFS
	name   string
	inode  *inode
	closed bool
}

func (f *memFile) do(op string, fn func() error) error {
	return f.fs.do(op, filepath.Base(f.name), func() error {
		if f.closed {
			return os.ErrClosed
		}
		return fn()
	})
}

func (f *memFile) change(c change) error {
	f.inode.cache = c.apply(f.inode.cache)
	f.inode.dirty = append(f.inode.dirty, c)
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", func() error {
		if off < int64(len(f.inode.cache)) {
			n = copy(p, f.inode.cache[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.do("write", func() error { return f.change(change{off, append([]byte{}, p...)}) })
	if err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, errDead) && len(p) > 1 {
		f.fs.mu.Lock() // a part of it was written
		_ = f.change(change{off, append([]byte{}, p[:len(p)/2]...)})
		f.fs.mu.Unlock()
	}
	return len(p), err
}

func (f *memFile) Truncate(size int64) error {
	return f.do("truncate", func() error { return f.change(change{off: size}) })
}

func (f *memFile) Allocate(size int64) error {
	return f.do("allocate", func() error { return f.change(change{off: size}) })
}

func (f *memFile) Datasync() error { return f.Sync() }

// Sync that fails drops what it should have written: the pages are clean, and the next sync succeeds.
func (f *memFile) Sync() error {
	err := f.do("sync", func() error {
		for _, c := range f.inode.dirty {
			f.inode.disk = c.apply(f.inode.disk)
		}
		f.inode.dirty = nil
		return nil
	})
	if err != nil && !errors.Is(err, errDead) {
		f.fs.mu.Lock()
		f.inode.dirty = nil
		f.fs.mu.Unlock()
	}
	return err
}

func (f *memFile) Size() (n int64, err error) {
	err = f.do("size", func() error { n = int64(len(f.inode.cache)); return nil })
	return n, err
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.closed = true
	return nil
}
