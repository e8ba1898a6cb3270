package datanode

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// idReserve keeps segment ids ready, so that a seal record can be made at once and without the coordinator.
type idReserve struct {
	client pb.CoordinatorClient
	size   int
	log    *slog.Logger
	kick   chan struct{}

	mu  sync.Mutex // guards ids
	ids []idRange
}

type idRange struct{ next, end int64 }

func newIDReserve(client pb.CoordinatorClient, size int, log *slog.Logger) *idReserve {
	return &idReserve{client: client, size: size, log: log, kick: make(chan struct{}, 1)}
}

func (r *idReserve) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leftLocked()
}

func (r *idReserve) leftLocked() int {
	n := 0
	for _, x := range r.ids {
		n += int(x.end - x.next)
	}
	return n
}

// take returns n ids, or an error when there are not as many at present.
func (r *idReserve) take(n int) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
	if have := r.leftLocked(); have < n {
		r.size = max(r.size, 2*n)
		return nil, errs.New(errs.Unavailable, "%d segment ids are needed, %d are left until the coordinator gives more", n, have)
	}
	out := make([]int64, 0, n)
	for len(out) < n {
		out = append(out, r.ids[0].next)
		if r.ids[0].next++; r.ids[0].next == r.ids[0].end {
			r.ids = r.ids[1:]
		}
	}
	return out, nil
}

// run keeps the reserve filled until ctx ends.
func (r *idReserve) run(ctx context.Context) {
	delay := 50 * time.Millisecond
	for ctx.Err() == nil {
		err := r.fill(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("datanode: no segment ids, sealing uses the reserve", "left", r.left(), "error", err)
			sleep(ctx, delay)
			delay = min(2*delay, 2*time.Second)
			continue
		}
		delay = 50 * time.Millisecond
		select {
		case <-r.kick:
		case <-ctx.Done():
		}
	}
}

func (r *idReserve) fill(ctx context.Context) error {
	r.mu.Lock()
	missing := r.size - r.leftLocked()
	size := r.size
	r.mu.Unlock()
	if 2*missing < size {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := r.client.AllocID(ctx, &pb.AllocIDRequest{Count: uint32(missing)})
	if err != nil {
		return err
	}
	if resp.Count == 0 || resp.First <= 0 {
		return errs.New(errs.Internal, "the coordinator gave %d ids from %d", resp.Count, resp.First)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, idRange{resp.First, resp.First + int64(resp.Count)})
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
