package datanode

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/wal"
)

// oracle asks the coordinator for timestamps with one call in flight, which serves all that had asked before it began.
type oracle struct {
	client  pb.CoordinatorClient
	timeout time.Duration
	kick    chan struct{}

	mu      sync.Mutex // guards waiting
	waiting []*ask
}

type ask struct {
	count uint32
	done  chan struct{}
	got   wal.Timestamps // valid after done
	err   error
}

func newOracle(client pb.CoordinatorClient, timeout time.Duration) *oracle {
	return &oracle{client: client, timeout: timeout, kick: make(chan struct{}, 1)}
}

// maxAsk bounds one call to the coordinator.
const maxAsk = 1 << 16

// Timestamps implements wal.Oracle.
func (o *oracle) Timestamps(ctx context.Context, count uint32) (wal.Timestamps, error) {
	a := &ask{count: count, done: make(chan struct{})}
	o.mu.Lock()
	o.waiting = append(o.waiting, a)
	o.mu.Unlock()
	select {
	case o.kick <- struct{}{}:
	default:
	}
	select {
	case <-a.done:
		return a.got, a.err
	case <-ctx.Done():
		return wal.Timestamps{}, fmt.Errorf("wait for timestamps: %w", ctx.Err())
	}
}

func (o *oracle) run(ctx context.Context) {
	for {
		select {
		case <-o.kick:
		case <-ctx.Done():
			o.serve(ctx) // fails what waits
			return
		}
		for o.serve(ctx) {
		}
	}
}

// serve answers those that wait, as many as one call may serve; false when there were none.
func (o *oracle) serve(ctx context.Context) bool {
	total := uint32(0)
	o.mu.Lock()
	n := 0
	for n < len(o.waiting) && (n == 0 || total+o.waiting[n].count <= maxAsk) {
		total += o.waiting[n].count
		n++
	}
	batch := o.waiting[:n:n]
	o.waiting = o.waiting[n:]
	o.mu.Unlock()
	if n == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	resp, err := o.client.AllocTimestamp(ctx, &pb.AllocTimestampRequest{Count: total})
	if err == nil && resp.Count != total {
		err = errs.New(errs.Internal, "the coordinator gave %d timestamps instead of %d", resp.Count, total)
	}
	next := resp.GetFirst()
	for _, a := range batch {
		if a.err = err; err == nil {
			a.got = wal.Timestamps{First: next, Count: a.count, Epoch: resp.CoordinatorEpoch}
			next += uint64(a.count)
		}
		close(a.done)
	}
	return true
}
