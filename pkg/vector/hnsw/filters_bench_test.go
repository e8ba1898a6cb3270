//go:build unix

package hnsw

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// BenchmarkFilters prints, for every share of allowed rows and the kinds of filterCases, what a search at the default
// pool finds and costs, as docs/benchmarks/hnsw-filters.md has it. GYR_BENCH_DATA is a folder with embeddings.f16.npy and
// queries.f32.npy; without it rows are drawn.
func BenchmarkFilters(b *testing.B) {
	rows, queries := benchData(b)
	cfg := Config{Set: testSet(b), Metric: vector.Cosine, M: 16, EfConstruction: 200}
	img, err := Build(b.Context(), cfg, rows, nil)
	if err != nil {
		b.Fatal(err)
	}
	x, err := NewIndex(cfg.Set, img, rows)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	fmt.Printf("%-10s %8s %8s %9s %8s %7s\n", "kind", "share", "recall", "distances", "us", "ratio")
	for b.Loop() {
		for _, kind := range []string{"random", "component", "like", "unlike"} {
			for _, share := range []float64{0.9, 0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.001, 0.0001} {
				benchFilter(b, x, rows, queries, kind, share)
			}
		}
	}
}

// filterCase is queries and the filter that all of them have.
type filterCase struct {
	queries []float32
	filter  *sample.Bits
}

// filterCases returns filters that allow about a share of the rows: at random, those with the smallest first component, or those
// nearest to or furthest from one query for the queries nearest to it.
func filterCases(rows, queries vector.Matrix, kind string, share float64) (cases []filterCase) {
	const pivots, group = 6, 40
	n := rows.Len()
	switch kind {
	case "random":
		return []filterCase{{queries.Data[:pivots*group*queries.D], sample.Share(5, n, share)}}
	case "component":
		return []filterCase{{queries.Data[:pivots*group*queries.D], lowest(n, share, func(i int) float32 { return rows.Vector(i)[0] })}}
	}
	sign := float32(-1)
	if kind == "unlike" {
		sign = 1
	}
	for p := range pivots {
		pivot := queries.Vector(p * queries.Len() / pivots)
		near := make([]int, queries.Len())
		for i := range near {
			near[i] = i
		}
		slices.SortFunc(near, func(i, j int) int {
			return cmp.Compare(inner(pivot, queries.Vector(j)), inner(pivot, queries.Vector(i)))
		})
		c := filterCase{filter: lowest(n, share, func(i int) float32 { return sign * inner(pivot, rows.Vector(i)) })}
		for _, i := range near[:group] {
			c.queries = append(c.queries, queries.Vector(i)...)
		}
		cases = append(cases, c)
	}
	return cases
}

// lowest returns the filter of the rows with the lowest scores.
func lowest(n int, share float64, score func(i int) float32) *sample.Bits {
	all := make([]float32, n)
	for i := range all {
		all[i] = score(i)
	}
	sorted := slices.Sorted(slices.Values(all))
	bound := sorted[min(n-1, max(0, int(share*float64(n))-1))]
	return sample.Where(n, func(i int) bool { return all[i] <= bound })
}

func inner(x, y []float32) (sum float32) {
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

func benchFilter(b *testing.B, x *Index, rows, queries vector.Matrix, kind string, share float64) {
	const k, ef = 10, 64
	var recall, us, free, dists, total float64
	for _, c := range filterCases(rows, queries, kind, share) {
		nq := len(c.queries) / rows.D
		p := Params{K: k, Ef: ef, Filter: c.filter}
		hits, stats, err := x.Search(b.Context(), c.queries, p)
		if err != nil {
			b.Fatal(err)
		}
		recall += float64(nq) * sample.Recall(vector.Cosine, hits, exact(b, rows, vector.Cosine, c.queries, k, c.filter))
		dists += float64(stats.Distances)
		total += float64(nq)
		with, without := math.Inf(1), math.Inf(1)
		for range 3 {
			without = min(without, cpuOf(b, x, c.queries, Params{K: k, Ef: ef}))
			with = min(with, cpuOf(b, x, c.queries, p))
		}
		us, free = us+with, free+without
	}
	fmt.Printf("%-10s %8g %8.4f %9.0f %8.1f %7.2f\n", kind, share, recall/total, dists/total, us/total, us/free)
}

// cpuOf returns the microseconds of processor time that one search for all queries takes.
func cpuOf(b *testing.B, x *Index, queries []float32, p Params) float64 {
	from := cpuTime()
	if _, _, err := x.Search(context.Background(), queries, p); err != nil {
		b.Fatal(err)
	}
	return float64((cpuTime() - from).Nanoseconds()) / 1e3
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchData(b *testing.B) (rows, queries vector.Matrix) {
	dir := os.Getenv("GYR_BENCH_DATA")
	if dir == "" {
		const n, dim = 30000, 128
		return unit(sample.Clustered(3, 0, n, dim, 3000)), unit(sample.Clustered(3, 1, 600, dim, 3000))
	}
	return unit(readArray(b, filepath.Join(dir, "embeddings.f16.npy"), 2)), unit(readArray(b, filepath.Join(dir, "queries.f32.npy"), 4))
}

// unit scales rows to length 1.
func unit(m vector.Matrix) vector.Matrix {
	for i := range m.Len() {
		row := m.Vector(i)
		inv := 1 / float32(math.Sqrt(float64(inner(row, row))))
		for d := range row {
			row[d] *= inv
		}
	}
	return m
}

// readArray reads a two-dimensional array of 2- or 4-byte floating point numbers, as NumPy's format 1.0 stores it.
func readArray(b *testing.B, path string, size int) vector.Matrix {
	raw, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	head := 10 + int(binary.LittleEndian.Uint16(raw[8:]))
	text := string(raw[10:head])
	var n, dim int
	if _, err := fmt.Sscanf(text[strings.Index(text, "(")+1:], "%d, %d", &n, &dim); err != nil {
		b.Fatal(err)
	}
	raw = raw[head:]
	m := vector.Matrix{Data: make([]float32, n*dim), D: dim}
	for i := range m.Data {
		if size == 4 {
			m.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			continue
		}
		m.Data[i] = half(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return m
}

func half(h uint16) float32 {
	sign, exp, frac := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	if exp == 0 {
		return float32(sign * math.Ldexp(frac, -24))
	}
	return float32(sign * math.Ldexp(1+frac/1024, exp-15))
}
