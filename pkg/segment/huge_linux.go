package segment

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages, an optimisation that a kernel may refuse.
func adviseHuge(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }
