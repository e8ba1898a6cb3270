package diskio

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// openFile opens a file, past the page cache if that is wanted and the file system can; direct says whether it can.
func openFile(path string, wanted bool) (f *os.File, direct bool, err error) {
	if wanted {
		if f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0); err == nil {
			return f, true, nil
		}
	}
	f, err = os.Open(path)
	return f, false, err
}

// allocate returns memory for blocks, page-aligned and where the garbage collector neither moves nor frees it.
func allocate(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserving %d bytes for reads: %w", size, err)
	}
	return mem, nil
}

func release(mem []byte) error { return unix.Munmap(mem) }

// nowait reads what is in memory already.
type nowait struct{ off atomic.Bool } // set once the system does not know how

// read fills buf from the page cache, and reports whether all of it was there. Calls do not wait, so they need no thread
// of their own.
func (w *nowait) read(f *os.File, buf []byte, off int64) bool {
	if w.off.Load() {
		return false
	}
	n, err := unix.Preadv2(int(f.Fd()), [][]byte{buf}, off, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINVAL {
		w.off.Store(true)
	}
	return err == nil && n == len(buf)
}
