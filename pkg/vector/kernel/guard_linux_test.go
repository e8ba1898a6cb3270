package kernel

import (
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns size bytes that end where unreadable memory begins, or begin where it ends.
func guarded(t *testing.T, size int, atEnd bool) []byte {
	t.Helper()
	const page = 4096
	inner := (size + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, inner+2*page, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	data := mem[page : page+inner]
	if inner > 0 {
		if err := unix.Mprotect(data, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			t.Fatal(err)
		}
	}
	if atEnd {
		return data[inner-size : inner : inner]
	}
	return data[:size:size]
}
