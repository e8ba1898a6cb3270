// Package indexnode does the heavy work that no log owner should do: index builds and compactions.
//
// It pulls tasks from the coordinator, works in the folder of its attempt, and reports. It commits nothing: the
// coordinator does, in one transaction that compares the task, the attempt and the sources. A node that dies in the
// middle leaves files that GC removes, and the task goes to another one.
package indexnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Config of an index node.
type Config struct {
	Addr, Metrics, Version string
	LeaseTTL               time.Duration
	// Workers is the number of tasks at the same time.
	Workers int
	// PullWait is how long one call waits for a task; ReportEvery the interval of progress reports.
	PullWait, ReportEvery time.Duration
	// ScratchDir holds index files on their way to the bucket; empty: the system's temporary folder.
	ScratchDir string
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{LeaseTTL: 2 * time.Second, Workers: 1, PullWait: 10 * time.Second, ReportEvery: 3 * time.Second}
}

// Validate reports the first value that cannot work.
func (c Config) Validate() error {
	if c.Addr == "" || c.LeaseTTL <= 0 || c.Workers <= 0 || c.PullWait <= 0 || c.ReportEvery <= 0 {
		return errors.New("indexnode: addr, lease ttl, workers, pull wait and report interval must be set and positive")
	}
	return nil
}

// Coordinator is what an index node needs of the coordinator.
type Coordinator interface {
	PullTask(ctx context.Context, req *pb.PullTaskRequest) (*pb.PullTaskResponse, error)
	ReportTask(ctx context.Context, req *pb.ReportTaskRequest) (*pb.ReportTaskResponse, error)
}

// Deps are what an index node works with.
type Deps struct {
	Meta        meta.Store
	Objects     objstore.Store
	Coordinator Coordinator
	Logger      *slog.Logger
	Registerer  prometheus.Registerer
}

// Node is an index node.
type Node struct {
	cfg   Config
	deps  Deps
	id    catalog.NodeID
	log   *slog.Logger
	tasks *prometheus.CounterVec
	time  *prometheus.HistogramVec
}

// New returns an index node; Run makes it work.
func New(cfg Config, deps Deps) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, deps: deps, id: rand.Int64N(1<<53-1) + 1, log: deps.Logger.With("role", "indexnode"),
		tasks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gyr_indexnode_tasks_total", Help: "Tasks ended, by kind and outcome."}, []string{"kind", "outcome"}),
		time: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gyr_indexnode_task_seconds", Help: "Time that tasks took, by kind.",
			Buckets: prometheus.ExponentialBuckets(0.01, 3, 12),
		}, []string{"kind"}),
	}
	if deps.Registerer != nil {
		deps.Registerer.MustRegister(n.tasks, n.time)
	}
	return n, nil
}

// Run pulls and does tasks until ctx ends.
func (n *Node) Run(ctx context.Context) error {
	g, work := errgroup.WithContext(ctx)
	g.Go(func() error { return n.stayRegistered(work) })
	for range n.cfg.Workers {
		g.Go(func() error { return n.work(work) })
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (n *Node) stayRegistered(ctx context.Context) error {
	self := catalog.Node{
		ID: n.id, Role: catalog.RoleIndexNode, Addr: n.cfg.Addr, Metrics: n.cfg.Metrics,
		Version: n.cfg.Version, Started: time.Now().UnixMilli(),
	}
	return catalog.KeepRegistered(ctx, n.deps.Meta, n.cfg.LeaseTTL, self, n.log)
}

func (n *Node) work(ctx context.Context) error {
	for ctx.Err() == nil {
		task, err := n.pull(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			n.log.Debug("no task to be had", "error", err)
			sleep(ctx, 500*time.Millisecond)
		case task != nil:
			n.do(ctx, task)
		}
	}
	return ctx.Err()
}

func (n *Node) pull(ctx context.Context) (*catalog.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.PullWait)
	defer cancel()
	resp, err := n.deps.Coordinator.PullTask(ctx, &pb.PullTaskRequest{Node: n.id})
	if err != nil || len(resp.TaskJson) == 0 {
		return nil, err
	}
	var t catalog.Task
	if err := json.Unmarshal(resp.TaskJson, &t); err != nil {
		return nil, fmt.Errorf("task: %w", err)
	}
	return &t, nil
}

// do runs one task and reports its end. A failure to report leaves the task to its lease.
func (n *Node) do(ctx context.Context, t *catalog.Task) {
	start := time.Now()
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	progress := &progress{}
	reports := make(chan struct{})
	go func() {
		defer close(reports)
		n.keepReporting(work, stop, t, progress)
	}()
	result, err := n.run(work, t, progress)
	if cause := context.Cause(work); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-reports
	if errors.Is(err, errAbandoned) || ctx.Err() != nil {
		n.tasks.WithLabelValues(string(t.Kind), "abandoned").Inc()
		return
	}
	n.finish(ctx, t, result, err)
	n.time.WithLabelValues(string(t.Kind)).Observe(time.Since(start).Seconds())
}

func (n *Node) run(ctx context.Context, t *catalog.Task, p *progress) (result *catalog.TaskResult, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errs.New(errs.Internal, "panic in task %d: %v", t.ID, r)
		}
	}()
	switch t.Kind {
	case catalog.TaskIndex:
		return n.buildIndex(ctx, t, p)
	case catalog.TaskCompact:
		return n.compact(ctx, t, p)
	}
	return nil, fmt.Errorf("unknown kind of task %q", t.Kind)
}

func (n *Node) finish(ctx context.Context, t *catalog.Task, result *catalog.TaskResult, taskErr error) {
	req := &pb.ReportTaskRequest{Task: t.ID, Attempt: t.Attempt, Done: taskErr == nil, Progress: 1}
	outcome := "done"
	if taskErr != nil {
		req.Error, outcome = taskErr.Error(), "failed"
		n.log.Warn("task failed", "task", t.ID, "kind", t.Kind, "error", taskErr)
	} else if raw, err := json.Marshal(result); err != nil {
		req.Done, req.Error = false, err.Error()
	} else {
		req.ResultJson = raw
	}
	n.tasks.WithLabelValues(string(t.Kind), outcome).Inc()
	for attempt := 0; attempt < 5 && ctx.Err() == nil; attempt++ {
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := n.deps.Coordinator.ReportTask(call, req)
		cancel()
		if err == nil {
			return
		}
		n.log.Warn("end of a task not reported, trying again", "task", t.ID, "error", err)
		sleep(ctx, time.Duration(attempt+1)*200*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
