package indexnode

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// errAbandoned: the coordinator has given the task to another node, or it is moot.
var errAbandoned = errors.New("task abandoned by the coordinator")

// progress is the finished share of a task, 0 to 1.
type progress struct{ bits atomic.Uint32 }

func (p *progress) set(v float32) { p.bits.Store(math.Float32bits(v)) }

func (p *progress) get() float32 { return math.Float32frombits(p.bits.Load()) }

// keepReporting keeps the task's lease until ctx ends, and ends the work when it is told that the task is moot.
func (n *Node) keepReporting(ctx context.Context, stop context.CancelCauseFunc, t *catalog.Task, p *progress) {
	tick := time.NewTicker(n.cfg.ReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		call, cancel := context.WithTimeout(ctx, n.cfg.ReportEvery)
		resp, err := n.deps.Coordinator.ReportTask(call, &pb.ReportTaskRequest{Task: t.ID, Attempt: t.Attempt, Progress: p.get()})
		cancel()
		if err == nil && resp.Abandon {
			stop(errAbandoned)
			return
		}
	}
}
