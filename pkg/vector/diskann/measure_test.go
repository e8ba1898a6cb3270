package diskann

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

var (
	dataDir = flag.String("data", "", "folder with embeddings.f16.npy, queries.f32.npy and gt_ids.npy, to measure on")
	keep    = flag.String("keep", "", "where the measured index file is kept between runs")
	degree  = flag.Int("degree", 48, "max_degree of the measured index")
	list    = flag.Int("list", 128, "search_list_size of the measured index")
	direct  = flag.Bool("direct", false, "read past the page cache")
	beams   = flag.Int("beam", 0, "reads under way")
	lists   = flag.String("lists", "10,16,24,32,40,64,100,200", "search lists to measure")
	engines = flag.String("engines", "io_uring,pread", "engines to measure")
)

// npy returns the shape and the bytes of an array.
func npy(t testing.TB, name string) (rows, cols int, data []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(*dataDir, name))
	if err != nil {
		t.Fatal(err)
	}
	end := 10 + int(binary.LittleEndian.Uint16(b[8:]))
	head := string(b[10:end])
	shape := head[strings.Index(head, "(")+1 : strings.Index(head, ")")]
	if _, err := fmt.Sscanf(shape, "%d, %d", &rows, &cols); err != nil {
		t.Fatal(err)
	}
	return rows, cols, b[end:]
}

func numbers(t testing.TB, text string) (out []int) {
	for _, s := range strings.Split(text, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

// goodHits counts the hits that are among the 10 nearest.
func goodHits(hits [][]vector.Hit, gt []byte, width int) (good int) {
	for q := range hits {
		for _, h := range hits[q] {
			for j := range 10 {
				if binary.LittleEndian.Uint32(gt[(q*width+j)*4:]) == h.ID {
					good++
				}
			}
		}
	}
	return good
}

// measureFilters prints what filters cost that allow a share of the rows, drawn at random or those with the least first
// component, and a search for 100 rows.
func measureFilters(t *testing.T, x *Index, rows vector.Matrix, queries []float32) {
	n, count := rows.Len(), float64(len(queries)/rows.D)
	first := make([]float32, n)
	for i := range n {
		first[i] = rows.Vector(i)[0]
	}
	slices.Sort(first)
	run := func(name string, k, list int, f vector.Filter) {
		reads, start := x.Reads(), time.Now()
		hits, _, err := x.Search(t.Context(), queries, Params{K: k, List: list, Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		recall := sample.Recall(x.Metric(), hits, exact(t, rows, x.Metric(), queries, k, f))
		t.Logf("%s, k %d, list %d: recall %.4f, %.1f reads, %.0f us", name, k, list, recall, float64(x.Reads()-reads)/count, float64(took.Microseconds())/count)
	}
	run("all", 10, MinList, nil)
	run("all", 100, 125, nil)
	for _, share := range []float64{0.9, 0.5, 0.2, 0.1, 0.01, 0.001, 0.0001} {
		run(fmt.Sprintf("random %g", share), 10, MinList, sample.Share(1, n, share))
		limit := first[int(share*float64(n))]
		run(fmt.Sprintf("corner %g", share), 10, MinList, sample.Where(n, func(i int) bool { return rows.Vector(i)[0] < limit }))
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMeasure prints recall, reads, time and processor time per query on a real data set.
func TestMeasure(t *testing.T) {
	if *dataDir == "" {
		t.Skip("no -data")
	}
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	n, dim, raw := npy(t, "embeddings.f16.npy")
	rows := vector.Matrix{Data: make([]float32, 0, n*dim), D: dim}
	var row []float32
	for i := range n {
		row = set.Decode(kernel.F16, raw[i*dim*2:(i+1)*dim*2], row)
		sum := 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		for _, v := range row {
			rows.Data = append(rows.Data, float32(float64(v)/math.Sqrt(sum)))
		}
	}
	nq, _, qraw := npy(t, "queries.f32.npy")
	queries := kernel.Floats(qraw)
	_, width, gt := npy(t, "gt_ids.npy")
	path := *keep
	if path == "" {
		path = filepath.Join(t.TempDir(), "index")
	}
	if _, err := os.Stat(path); err != nil {
		cpu, start := cpuTime(), time.Now()
		f, err := Build(t.Context(), Config{Set: set, Metric: vector.Cosine, Degree: *degree, SearchList: *list}, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("built in %.1f s, %.1f s CPU, widen %d deviation %.4f hubs %d", time.Since(start).Seconds(), (cpuTime() - cpu).Seconds(), f.img.head.widen, f.img.head.deviation, f.img.head.hubs)
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteTo(out); err != nil {
			t.Fatal(err)
		}
		out.Close()
		used := 0
		for id := range n {
			for _, to := range f.links[id**degree : (id+1)**degree] {
				if to != none {
					used++
				}
			}
		}
		t.Logf("mean degree %.1f, %d bytes, hot %d = %.2f %% of the vectors", float64(used)/float64(n), f.Size(), f.img.file.Bytes(), 100*float64(f.img.file.Bytes())/float64(n*dim*4))
		f.Close()
	}
	for _, name := range strings.Split(*engines, ",") {
		engine := Uring
		if name == "pread" {
			engine = Pool
		}
		x, err := Open(path, Options{Set: set, Engine: engine, Direct: *direct, Beam: *beams})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range numbers(t, *lists) {
			reads, cpu, start := x.Reads(), cpuTime(), time.Now()
			hits, stats, err := x.Search(t.Context(), queries, Params{K: 10, List: l})
			if err != nil {
				t.Fatal(err)
			}
			took, used := time.Since(start), cpuTime()-cpu
			q, good := float64(nq), goodHits(hits, gt, width)
			line := fmt.Sprintf("%-8s list %3d recall %.4f reads %.1f hops %.1f dist %.0f  %6.0f us wall %6.0f us CPU", x.Engine(), l, float64(good)/q/10,
				float64(x.Reads()-reads)/q, float64(stats.Hops)/q, float64(stats.Distances)/q, float64(took.Microseconds())/q, float64(used.Microseconds())/q)
			if l == 24 || l == 64 {
				for _, workers := range []int{1, 8, 32} {
					var next atomic.Int64
					var wg sync.WaitGroup
					start = time.Now()
					for range workers {
						wg.Go(func() {
							for i := next.Add(1) - 1; i < int64(nq); i = next.Add(1) - 1 {
								if _, _, err := x.Search(context.Background(), queries[int(i)*dim:int(i+1)*dim], Params{K: 10, List: l}); err != nil {
									t.Error(err)
								}
							}
						})
					}
					wg.Wait()
					line += fmt.Sprintf("  %d workers: %.0f QPS", workers, q/time.Since(start).Seconds())
				}
			}
			t.Log(line)
		}
		for _, target := range []float64{0.9, 0.95, 0.99} {
			hits, _, err := x.Search(t.Context(), queries, Params{K: 10, TargetRecall: target})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("asked %.2f: list %d, recall %.4f", target, x.effort(10, target), float64(goodHits(hits, gt, width))/float64(nq)/10)
		}
		measureFilters(t, x, rows, queries[:200*dim])
		x.Close()
	}
	runtime.KeepAlive(rows)
}
