//go:build linux

package flat

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// benchRows are 60,000 rows x 384 of kind e in pages of 2 MiB where the system gives them, as those of a sealed segment are.
func benchRows(b *testing.B, e kernel.Elem) vector.Packed {
	const rows, dim = 60000, 384
	mem, err := unix.Mmap(-1, 0, rows*e.RowBytes(dim), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = unix.Munmap(mem) })
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	fillRows(e, mem, 1)
	return vector.Packed{Data: mem, D: dim, E: e}
}

// fillRows draws numbers between about -2 and 2, or bytes.
func fillRows(e kernel.Elem, mem []byte, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	floats := kernel.Floats(mem)
	for i := range floats {
		switch e {
		case kernel.F32:
			floats[i] = float32(r.NormFloat64())
		case kernel.I8:
			mem[4*i], mem[4*i+1], mem[4*i+2], mem[4*i+3] = byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())
		default:
			for j := range 2 {
				mem[4*i+2*j], mem[4*i+2*j+1] = byte(r.Uint32()), 0x3f-byte(r.Uint32()&0x83)
			}
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	set, err := kernel.Default()
	if err != nil {
		b.Fatal(err)
	}
	for e := range kernel.Bit {
		rows := benchRows(b, e)
		for _, metric := range []vector.Metric{vector.L2, vector.IP, vector.Cosine} {
			for _, nq := range []int{1, 4, 16} {
				s := Scanner{Set: set, Metric: metric, Rows: rows, Scratch: &Scratch{}}
				queries := sample.Clustered(1, 0, nq, rows.D, 2).Data
				b.Run(fmt.Sprintf("%s/%s/nq=%d", e, metric, nq), func(b *testing.B) {
					benchSearch(b, s, queries, nil)
				})
			}
		}
		if e != kernel.F32 {
			continue
		}
		for _, share := range []float64{0.01, 0.1, 0.3, 0.9} {
			s := Scanner{Set: set, Metric: vector.Cosine, Rows: rows, Scratch: &Scratch{}}
			b.Run(fmt.Sprintf("%s/filter=%g", e, share), func(b *testing.B) {
				benchSearch(b, s, sample.Clustered(1, 0, 1, rows.D, 2).Data, sample.Share(1, rows.Len(), share))
			})
		}
	}
}

func benchSearch(b *testing.B, s Scanner, queries []float32, f *sample.Bits) {
	b.ReportAllocs()
	var filter vector.Filter
	n := s.Rows.Len() * len(queries) / s.Rows.Dim()
	if f != nil {
		filter, n = f, f.Estimate
	}
	for b.Loop() {
		if _, _, err := s.Search(b.Context(), queries, 10, filter); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/distance")
}
