package kernelbench_test

import (
	"fmt"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/kernel/kernelbench"
)

// TestAll runs each benchmark a little.
func TestAll(t *testing.T) {
	for _, s := range kernel.Tiers() {
		seen := map[string]bool{}
		for _, b := range kernelbench.Benchmarks(s) {
			name := fmt.Sprintf("%s/%d", b.Name, b.Dim)
			if n := b.Run(1); n < 1 || seen[name] || b.BytesPerRow <= 0 {
				t.Fatalf("%s in tier %s: %d rows of %g bytes", name, s.Name(), n, b.BytesPerRow)
			}
			seen[name] = true
		}
	}
}

func BenchmarkKernels(b *testing.B) {
	for _, s := range kernel.Tiers() {
		for _, k := range kernelbench.Benchmarks(s) {
			b.Run(fmt.Sprintf("%s/%d/%s", k.Name, k.Dim, s.Name()), func(b *testing.B) {
				n := k.Run(b.N)
				ns := float64(b.Elapsed().Nanoseconds()) / float64(n)
				b.ReportMetric(ns, "ns/row")
				b.ReportMetric(k.BytesPerRow/ns, "GB/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
