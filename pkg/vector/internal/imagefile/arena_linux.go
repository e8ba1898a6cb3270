//go:build linux

package imagefile

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugeFrom is the size from which huge pages are asked for.
const hugeFrom = 4 << 20

// allocate returns zeroed memory that the garbage collector does not see.
func allocate(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserving %d bytes for a vector index: %w", size, err)
	}
	if size >= hugeFrom {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // advice only: without huge pages the index is slower, not wrong
	}
	return mem, nil
}

func release(mem []byte) error { return unix.Munmap(mem) }
