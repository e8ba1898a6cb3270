package vectorbench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gyr-db/gyr/pkg/index"
)

// The calls of package index's seam that take or give vectors stand in the next three functions.

func openFlat(set *Set) (index.Index, error) {
	return index.Flat(index.Spec{Type: index.TypeFlat, Metric: set.Metric, Dim: set.Dim}, index.Block(set.Dim, set.Base))
}

func buildIndex(ctx context.Context, spec index.Spec, set *Set, threads int) (index.File, error) {
	return index.Builder{Workers: threads}.Build(ctx, spec, index.Block(set.Dim, set.Base), nil)
}

// searchIndex answers queries lo to hi.
func searchIndex(ctx context.Context, x index.Index, set *Set, lo, hi, k int, e index.Effort, f index.Filter) (index.Hits, index.Stats, error) {
	return x.Search(ctx, index.FloatQueries(set.Query[lo*set.Dim:hi*set.Dim]), k, e, f)
}

// filter is f as package index sees it; nil allows all.
func (f *rowFilter) filter() index.Filter {
	if f == nil {
		return nil
	}
	return index.FromBitmap(f.allowed, f.count)
}

// gyr is Gyr's own engine.
type gyr struct {
	cfg    Config
	kind   kind
	spec   index.Spec
	set    *Set
	filter *rowFilter

	idx  index.Index
	file *os.File
}

func (g *gyr) name() string { return "gyr" }

// open builds the index, writes it to a file as an index node would, and opens that file as a query node would.
func (g *gyr) open(ctx context.Context, tmp string) (build Build, err error) {
	start := now()
	built, err := buildIndex(ctx, g.spec, g.set, g.cfg.BuildThreads)
	if err != nil {
		return Build{}, fmt.Errorf("building %s over %d rows: %w", g.spec.Type, g.set.Rows(), err)
	}
	used := now().since(start)
	if g.file, err = os.CreateTemp(tmp, "gyr-*.index"); err != nil {
		return Build{}, err
	}
	w := bufio.NewWriterSize(g.file, 1<<20)
	_, err = built.WriteTo(w)
	size := built.Size()
	if c, ok := built.(interface{ Close() error }); ok {
		err = errors.Join(err, c.Close())
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return Build{}, fmt.Errorf("writing the index of %d bytes: %w", size, err)
	}
	runtime.GC() // what the build left behind is not the searches' work
	start = now()
	if g.idx, err = index.Open(g.spec, g.file, size, index.Block(g.set.Dim, g.set.Base)); err != nil {
		return Build{}, fmt.Errorf("opening the index that was just built: %w", err)
	}
	opened := now().since(start).wall
	return Build{CPU: used.cpu, Wall: used.wall, Bytes: g.idx.Bytes(), FileBytes: size, Open: opened, Version: "this build"}, nil
}

func (g *gyr) effort(value int) (index.Effort, error) {
	params := map[string]string{}
	for name, v := range g.cfg.SearchParams {
		params[name] = v
	}
	if g.kind.sweep != "" {
		params[g.kind.sweep] = strconv.Itoa(value)
	}
	return index.ParseEffort(g.spec, params, g.cfg.K)
}

// lap answers one query per call.
func (g *gyr) lap(ctx context.Context, value int, load load, ids bool) (lap, error) {
	e, err := g.effort(value)
	if err != nil {
		return lap{}, err
	}
	return g.answer(ctx, e, load, ids)
}

func (g *gyr) answer(ctx context.Context, e index.Effort, load load, ids bool) (lap, error) {
	f := g.filter.filter()
	asks := load.asks(g.set.Asks())
	if err := g.pass(ctx, min(warmQueries, asks/4+1), load.stride, e, f, nil); err != nil {
		return lap{}, err
	}
	var l lap
	if ids {
		l.ids, l.work = make([]int32, g.set.Asks()*g.cfg.K), &work{}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := now()
	for range load.passes {
		if err := g.pass(ctx, asks, load.stride, e, f, &l); err != nil {
			return lap{}, err
		}
	}
	l.time = now().since(start)
	runtime.ReadMemStats(&after)
	l.allocs = float64(after.Mallocs-before.Mallocs) / float64(load.passes*asks)
	l.pause = longestPause(&before, &after)
	return l, nil
}

// pass answers n queries, every stride-th; what out has room for is put there.
func (g *gyr) pass(ctx context.Context, n, stride int, e index.Effort, f index.Filter, out *lap) error {
	return share(ctx, g.cfg.Threads, n, func(i int) error {
		q := i * stride
		hits, stats, err := searchIndex(ctx, g.idx, g.set, q, q+1, g.cfg.K, e, f)
		if err != nil || out == nil || out.ids == nil {
			return err
		}
		out.work.distances.Add(int64(stats.Distances))
		out.work.hops.Add(int64(stats.Hops))
		out.work.queries.Add(1)
		row := out.ids[q*g.cfg.K : (q+1)*g.cfg.K]
		for i := range row {
			row[i] = -1
		}
		for i, id := range hits.IDs[0] {
			row[i] = int32(id)
		}
		return nil
	})
}

func (g *gyr) close() error {
	var err error
	if g.idx != nil {
		err = g.idx.Close()
	}
	if g.file != nil {
		err = errors.Join(err, g.file.Close(), os.Remove(g.file.Name()))
	}
	return err
}

// longestPause is the longest stop of the world by the collector between two readings.
func longestPause(before, after *runtime.MemStats) time.Duration {
	var longest uint64
	for n := max(before.NumGC, after.NumGC-min(after.NumGC, uint32(len(after.PauseNs)))); n < after.NumGC; n++ {
		longest = max(longest, after.PauseNs[n%uint32(len(after.PauseNs))])
	}
	return time.Duration(longest)
}

// share calls do for 0 to n-1, on the calling goroutine or on several.
func share(ctx context.Context, threads, n int, do func(int) error) error {
	if threads = min(threads, n); threads <= 1 {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
	var next atomic.Int64
	errs := make([]error, threads)
	var wg sync.WaitGroup
	for t := range threads {
		wg.Go(func() {
			for errs[t] == nil {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				errs[t] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// spent is processor and wall time.
type spent struct{ cpu, wall time.Duration }

// moment is a reading of both clocks.
type moment struct {
	cpu  time.Duration
	wall time.Time
}

// now reads the clocks. The processor time is that of the whole process: what the collector does is part of the price.
func now() moment {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("getrusage of the own process: %v", err)) // it cannot fail with these arguments
	}
	return moment{time.Duration(u.Utime.Nano() + u.Stime.Nano()), time.Now()}
}

func (m moment) since(start moment) spent { return spent{m.cpu - start.cpu, m.wall.Sub(start.wall)} }
