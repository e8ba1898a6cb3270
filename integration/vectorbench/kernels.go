package vectorbench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"text/tabwriter"
	"time"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Sizes of the kernels' data.
const (
	cacheBytes   = 256 << 10 // fits the second-level cache
	memoryBytes  = 512 << 20 // fits no cache that one program has to itself
	kernelBatch  = 64        // rows per call
	sliceTime    = 12 * time.Millisecond
	kernelSlices = 5 // the best of so many slices counts
)

func kernelDims() []int { return []int{128, 384, 768} }

// kernelCase is one kernel. To measure another, add it to kernelCases.
type kernelCase struct {
	name   string
	stride func(dim int) int // bytes that one distance reads
	// prepare returns the two ways to call it: over n rows from first on, and over rows by number. Either may be nil.
	prepare func(b *kernelBench) (seq func(first, n int), random func(ids []uint32))
}

// kernelBench is what a case works on. The data's bytes lie between 0x38 and 0x3f: finite and of ordinary size as floats of any width.
type kernelBench struct {
	set    kernel.Set
	dim    int
	stride int
	data   []byte
	q      []float32
	q8     []int8
	qb     []byte
	f32    []float32
	i32    []int32
	u32    []uint32
	other  []uint32
	u16    []uint16
	w      []int32
}

func kernelCases() []kernelCase {
	elem := func(e kernel.Elem) func(int) int { return e.RowBytes }
	raw := func(e kernel.Elem) func(*kernelBench) (func(int, int), func([]uint32)) {
		return func(b *kernelBench) (func(int, int), func([]uint32)) {
			return func(first, n int) { b.set.RawBlockL2(e, b.q, b.data[first*b.stride:], b.f32[:n]) }, nil
		}
	}
	pq := func(per int) kernelCase {
		return kernelCase{
			fmt.Sprintf("4-bit fastscan, %d dim. per code", per),
			func(dim int) int { return dim / per / 2 },
			func(b *kernelBench) (func(int, int), func([]uint32)) {
				m := b.dim / per
				return func(first, n int) {
					blocks := b.data[first*b.stride : (first+n)*b.stride]
					if m <= kernel.PQ4MaxSub {
						b.set.PQ4Scan(b.qb[:16*m], blocks, m, b.u16[:n])
					} else {
						b.set.PQ4ScanWide(b.qb[:16*m], blocks, m, b.u32[:n])
					}
				}, nil
			},
		}
	}
	return []kernelCase{
		{"float32 L2", elem(kernel.F32), func(b *kernelBench) (func(int, int), func([]uint32)) {
			seq, _ := raw(kernel.F32)(b)
			base := kernel.Floats(b.data)
			return seq, func(ids []uint32) { b.set.L2(b.q, base, b.dim, ids, b.f32) }
		}},
		{"float32 IP", elem(kernel.F32), func(b *kernelBench) (func(int, int), func([]uint32)) {
			base := kernel.Floats(b.data)
			seq := func(first, n int) { b.set.RawBlockIP(kernel.F32, b.q, b.data[first*b.stride:], b.f32[:n]) }
			return seq, func(ids []uint32) { b.set.IP(b.q, base, b.dim, ids, b.f32) }
		}},
		{"float16 L2", elem(kernel.F16), raw(kernel.F16)},
		{"bfloat16 L2", elem(kernel.BF16), raw(kernel.BF16)},
		{"int8 L2", elem(kernel.I8), func(b *kernelBench) (func(int, int), func([]uint32)) {
			return func(first, n int) { b.set.I8BlockL2(b.q8[:b.dim], b.data[first*b.stride:], b.i32[:n]) }, nil
		}},
		{"SQ8 codes", kernel.CodeStride, func(b *kernelBench) (func(int, int), func([]uint32)) {
			c := kernel.Codes{Data: b.data, Stride: b.stride}
			seq := func(first, n int) { b.set.SQ8Range(b.q8, c, first, n, b.w, 0, b.i32) }
			return seq, func(ids []uint32) { b.set.SQ8(b.q8, c, ids, b.w, 0, b.i32) }
		}},
		{"SQ4 codes", kernel.U4Stride, func(b *kernelBench) (func(int, int), func([]uint32)) {
			c := kernel.Codes{Data: b.data, Stride: b.stride}
			seq := func(first, n int) { b.set.U4Range(b.q8, c, first, n, b.w, 0, b.i32) }
			return seq, func(ids []uint32) { b.set.U4(b.q8, c, ids, b.w, 0, b.i32) }
		}},
		{"1-bit codes, 4-bit query", func(dim int) int { return (dim + 63) / 64 * 8 }, func(b *kernelBench) (func(int, int), func([]uint32)) {
			planes := make([]uint64, b.stride/2)
			kernel.Planes4(planes, b.qb[:b.dim], b.stride)
			seq := func(first, n int) { b.set.Bits4Range(planes, b.data[first*b.stride:], b.stride, b.i32[:n]) }
			return seq, func(ids []uint32) { b.set.Bits4(planes, b.data, b.stride, ids, b.i32) }
		}},
		pq(2), pq(4),
		{"Hamming", elem(kernel.Bit), func(b *kernelBench) (func(int, int), func([]uint32)) {
			q := b.qb[:b.stride]
			seq := func(first, n int) { b.set.HammingRange(q, b.data[first*b.stride:], b.stride, b.u32[:n]) }
			return seq, func(ids []uint32) { b.set.Hamming(q, b.data, b.stride, ids, b.u32) }
		}},
		{"Jaccard", elem(kernel.Bit), func(b *kernelBench) (func(int, int), func([]uint32)) {
			q := b.qb[:b.stride]
			seq := func(first, n int) { b.set.AndOrRange(q, b.data[first*b.stride:], b.stride, b.u32[:n], b.other[:n]) }
			return seq, func(ids []uint32) { b.set.AndOr(q, b.data, b.stride, ids, b.u32, b.other) }
		}},
	}
}

// KernelFigure is one kernel of one set at one dimension.
type KernelFigure struct {
	Measure  string  `json:"measure"` // "kernel"
	Kernel   string  `json:"kernel"`
	Set      string  `json:"set"`
	Dim      int     `json:"dim"`
	Bytes    int     `json:"bytes"`               // that one distance reads
	Cache    float64 `json:"cache_ns"`            // per distance, rows in cache, one behind the other
	Memory   float64 `json:"memory_ns"`           // rows from memory, one behind the other
	GBs      float64 `json:"memory_gb_s"`         // of that
	Random   float64 `json:"random_ns,omitempty"` // rows from memory by random numbers
	Fraction float64 `json:"memory_fraction"`     // of the bandwidth of a plain read
}

// KernelReport is what --kernels prints.
type KernelReport struct {
	Machine   string
	Bandwidth float64 // GB/s of a plain read by one thread
	Figures   []KernelFigure
}

// KernelConfig says how thoroughly to measure kernels.
type KernelConfig struct {
	Memory int           // bytes of the data that is to lie outside the caches; 0: 512 MiB
	Slice  time.Duration // processor time of one of the slices whose best counts; 0: 12 ms
	Log    io.Writer
}

// Kernels measures every kernel of every set that this machine can run, on one thread.
func Kernels(ctx context.Context, cfg KernelConfig) (*KernelReport, error) {
	if cfg.Memory == 0 {
		cfg.Memory = memoryBytes
	}
	if cfg.Slice == 0 {
		cfg.Slice = sliceTime
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	data := make([]byte, cfg.Memory)
	r := rand.New(rand.NewPCG(5, 5))
	for i := 0; i+8 <= len(data); i += 8 {
		x := r.Uint64()&0x0707070707070707 | 0x3838383838383838
		for j := range 8 {
			data[i+j] = byte(x >> (8 * j))
		}
	}
	report := &KernelReport{Machine: machine(), Bandwidth: bandwidth(data, cfg.Slice)}
	for _, set := range kernel.Tiers() {
		fmt.Fprintf(cfg.Log, "vectorbench: kernels %s\n", set.Name())
		for _, c := range kernelCases() {
			for _, dim := range kernelDims() {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				report.Figures = append(report.Figures, c.measure(set, dim, data, cfg.Slice))
				f := &report.Figures[len(report.Figures)-1]
				f.Fraction = f.GBs / report.Bandwidth
			}
		}
	}
	return report, nil
}

func (c kernelCase) measure(set kernel.Set, dim int, data []byte, slice time.Duration) KernelFigure {
	f := KernelFigure{Measure: "kernel", Kernel: c.name, Set: set.Name(), Dim: dim, Bytes: c.stride(dim)}
	seq, _ := c.prepare(newKernelBench(set, dim, f.Bytes, data[:min(cacheBytes, len(data))]))
	rows := min(cacheBytes, len(data)) / f.Bytes / kernelBatch * kernelBatch
	f.Cache = perRow(slice, rows, seq)
	seq, random := c.prepare(newKernelBench(set, dim, f.Bytes, data))
	rows = len(data) / f.Bytes / kernelBatch * kernelBatch
	f.Memory = perRow(slice, rows, seq)
	f.GBs = float64(f.Bytes) / f.Memory
	if random != nil {
		r := rand.New(rand.NewPCG(uint64(dim), 1))
		ids := make([]uint32, 1<<16)
		for i := range ids {
			ids[i] = r.Uint32N(uint32(rows))
		}
		f.Random = perRow(slice, len(ids), func(first, n int) { random(ids[first : first+n]) })
	}
	return f
}

func newKernelBench(set kernel.Set, dim, stride int, data []byte) *kernelBench {
	b := &kernelBench{
		set: set, dim: dim, stride: stride, data: data, q: make([]float32, dim), q8: make([]int8, 2*kernel.CodeStride(dim)), qb: make([]byte, 8*dim),
		f32: make([]float32, kernelBatch), i32: make([]int32, kernelBatch), u32: make([]uint32, kernelBatch), other: make([]uint32, kernelBatch),
		u16: make([]uint16, kernelBatch), w: make([]int32, len(data)/stride),
	}
	for i := range b.q {
		b.q[i], b.q8[i] = float32(i%7), int8(i%7)
	}
	for i := range b.qb {
		b.qb[i] = byte(i % 16)
	}
	return b
}

// perRow is the processor time per row of calls over rows in batches, in ns, best of some slices.
func perRow(slice time.Duration, rows int, call func(first, n int)) float64 {
	best := math.Inf(1)
	at := 0
	for range kernelSlices {
		done := 0
		for start := now(); ; {
			for range 64 {
				call(at, kernelBatch)
				if at += kernelBatch; at+kernelBatch > rows {
					at = 0
				}
				done += kernelBatch
			}
			if used := now().since(start); used.cpu >= slice {
				best = min(best, float64(used.cpu.Nanoseconds())/float64(done))
				break
			}
		}
	}
	return best
}

// bandwidth is how fast one thread reads memory with plain 8-byte loads, in GB/s.
func bandwidth(data []byte, slice time.Duration) float64 {
	words := kernel.Floats(data)
	const part = 16384 // 64 KiB
	var sum uint32
	ns := perRow(slice, len(words)/part*kernelBatch, func(first, _ int) {
		chunk := words[first/kernelBatch*part:][:part]
		var a, b, c, d uint32
		// One load per cache line is enough to move the line: the loop waits for memory, not for arithmetic.
		for i := 0; i+64 <= len(chunk); i += 64 {
			a += math.Float32bits(chunk[i])
			b += math.Float32bits(chunk[i+16])
			c += math.Float32bits(chunk[i+32])
			d += math.Float32bits(chunk[i+48])
		}
		sum += a + b + c + d
	})
	if sum == 1 { // keeps the loads
		return math.NaN()
	}
	return part * 4 / (ns * kernelBatch)
}

// JSON writes one line per figure.
func (r *KernelReport) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	if err := enc.Encode(map[string]any{"measure": "memory", "gb_s": r.Bandwidth}); err != nil {
		return err
	}
	for _, f := range r.Figures {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// Table writes one table per dimension: all sets in cache, the best set from memory.
func (r *KernelReport) Table(w io.Writer) error {
	sets := kernel.Tiers()
	last := sets[len(sets)-1].Name()
	fmt.Fprintf(w, "machine  %s\nmemory   %.1f GB/s, plain read by one thread\n", r.Machine, r.Bandwidth)
	for _, dim := range kernelDims() {
		fmt.Fprintf(w, "\n%d dimensions, ns per distance\n", dim)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "kernel\tbytes\t")
		for _, s := range sets {
			fmt.Fprintf(t, "%s, in cache\t", s.Name())
		}
		fmt.Fprintf(t, "%s, from memory\tGB/s\tof the plain read\tat random\t\n", last)
		for _, c := range kernelCases() {
			fmt.Fprintf(t, "%s\t%d\t", c.name, c.stride(dim))
			for _, s := range sets {
				fmt.Fprintf(t, "%.2f\t", r.find(c.name, s.Name(), dim).Cache)
			}
			f, random := r.find(c.name, last, dim), "-"
			if f.Random > 0 {
				random = fmt.Sprintf("%.1f", f.Random)
			}
			fmt.Fprintf(t, "%.2f\t%.1f\t%.0f %%\t%s\t\n", f.Memory, f.GBs, 100*f.Fraction, random)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (r *KernelReport) find(name, set string, dim int) KernelFigure {
	for _, f := range r.Figures {
		if f.Kernel == name && f.Set == set && f.Dim == dim {
			return f
		}
	}
	return KernelFigure{}
}
