package vectorbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// warmQueries is how many queries each lap answers before the clock starts, to have the index in the caches again after the
// other engines' turns.
const warmQueries = 100

// engine is one competitor.
type engine interface {
	name() string
	// open builds or loads the index.
	open(ctx context.Context, tmp string) (Build, error)
	// lap answers queries with one effort; ids are asked for with all queries in one pass only.
	lap(ctx context.Context, effort int, l load, ids bool) (lap, error)
	close() error
}

// lap is what one engine did in one turn.
type lap struct {
	time   spent
	ids    []int32       // k rows per query, -1 for none, when asked for
	work   *work         // with ids, Gyr only
	allocs float64       // heap allocations per query; negative: unknown
	pause  time.Duration // longest stop of the world by the garbage collector
}

// work is what an index counted while it answered queries.
type work struct{ queries, distances, hops atomic.Int64 }

// perQuery returns the means; zeros when nothing was counted.
func (w *work) perQuery() (distances, hops float64) {
	if w == nil {
		return 0, 0
	}
	n := float64(max(1, w.queries.Load()))
	return float64(w.distances.Load()) / n, float64(w.hops.Load()) / n
}

// Build is what building an index cost.
type Build struct {
	Engine    string
	Version   string
	CPU, Wall time.Duration
	Bytes     int64 // memory that the index holds; Gyr's does not count the raw rows, the peers' files hold them
	FileBytes int64
	Open      time.Duration // from a file in the page cache to the first search; 0: not measured
	Cached    bool          // built in an earlier run
}

// Run measures what cfg says. Peers that are not available are in the report with the reason; anything else that fails is an error.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	k, err := kindOf(cfg.Index)
	if err != nil {
		return nil, err
	}
	set, err := Load(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.K > set.Rows() {
		return nil, fmt.Errorf("k is %d, but there are only %d rows", cfg.K, set.Rows())
	}
	spec, err := k.spec(cfg, set)
	if err != nil {
		return nil, err
	}
	f, err := newFilter(cfg, set)
	if err != nil {
		return nil, err
	}
	j, err := newJudge(ctx, cfg, set, f)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(cfg.Cache, "run-*")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	report = newReport(cfg, k, set, spec.Params)
	report.Filter = f
	// Peers get the parameters that are used, also those that AUTOINDEX chose.
	used, err := index.Resolve(spec)
	if err != nil {
		return nil, err
	}
	sh := &shared{cfg: cfg, spec: used, set: set, filter: f, tmp: tmp, env: environment{filepath.Join(cfg.Cache, "venv"), cfg.logf}}
	own := &gyr{cfg: cfg, kind: k, spec: spec, set: set, filter: f}
	engines, err := openAll(ctx, own, sh, report)
	defer func() {
		for _, e := range engines {
			err = errors.Join(err, e.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	s := sweep{cfg: cfg, kind: k, judge: j, report: report}
	if err := s.run(ctx, engines); err != nil {
		return nil, err
	}
	if cfg.Targets {
		err = s.measureTargets(ctx, own)
	}
	return report, err
}

// openAll opens the engines one after the other; Gyr's must open.
func openAll(ctx context.Context, own *gyr, sh *shared, report *Report) ([]engine, error) {
	cfg := own.cfg
	cfg.logf("gyr: building %s %v over %d rows x %d by %s with %d threads", own.spec.Type, own.spec.Params, own.set.Rows(), own.set.Dim, own.set.Metric, cfg.BuildThreads)
	engines := []engine{own}
	b, err := own.open(ctx, sh.tmp)
	if err != nil {
		return engines, err
	}
	report.addBuild(own, b)
	for _, label := range cfg.Peers {
		p := &peer{shared: sh, label: label}
		b, err := p.open(ctx, sh.tmp)
		if err != nil {
			if cerr := p.close(); cerr != nil {
				err = errors.Join(err, cerr)
			}
			if ctx.Err() != nil {
				return engines, err
			}
			report.miss(cfg, label, err)
			continue
		}
		engines = append(engines, p)
		report.addBuild(p, b)
	}
	return engines, nil
}

// machine describes where this runs.
func machine() string {
	set, err := kernel.Default()
	tier := set.Name()
	if err != nil {
		tier = err.Error()
	}
	model := ""
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value) + ", "
				break
			}
		}
	}
	return fmt.Sprintf("%s%d CPUs, %s/%s, kernels %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, tier)
}
