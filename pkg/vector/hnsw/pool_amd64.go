//go:build amd64 && !purego

package hnsw

import (
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

func canInsertWide(set kernel.Set) bool {
	return strings.HasPrefix(set.Name(), "avx512") && cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ
}

// insertWide is insertPlain eight items at a time. It reads up to 8 items behind the first n, whatever they are, and writes
// only to the first n+1.
//
//go:noescape
func insertWide(items *uint64, n int, it uint64) int
