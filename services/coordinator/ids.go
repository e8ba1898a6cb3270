package coordinator

import (
	"context"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/errs"
)

// firstID leaves room below for ids with a fixed meaning.
const firstID = 1000

// maxIDs bounds one call.
const maxIDs = 1 << 24

// idAllocator hands out ids, each once in the life of the cluster. It reserves a window of them in one transaction.
type idAllocator struct {
	window int64
	raise  raiser

	raising chan struct{} // holds a token while somebody reserves

	mu    sync.Mutex // guards next and bound
	next  int64
	bound int64
}

func newIDAllocator(window int64, persisted uint64, raise raiser) *idAllocator {
	start := max(int64(persisted), firstID)
	return &idAllocator{window: window, raise: raise, raising: make(chan struct{}, 1), next: start, bound: start}
}

// alloc returns the first of count consecutive ids.
func (a *idAllocator) alloc(ctx context.Context, count uint32) (int64, error) {
	if count == 0 || count > maxIDs {
		return 0, errs.Invalid("count of ids %d is not in [1, %d]", count, maxIDs)
	}
	for {
		if first, ok := a.take(int64(count)); ok {
			return first, nil
		}
		if err := a.extend(ctx, int64(count)); err != nil {
			return 0, err
		}
	}
}

func (a *idAllocator) take(count int64) (int64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next+count > a.bound {
		return 0, false
	}
	first := a.next
	a.next += count
	return first, true
}

func (a *idAllocator) extend(ctx context.Context, count int64) error {
	select {
	case a.raising <- struct{}{}:
		defer func() { <-a.raising }()
	case <-ctx.Done():
		return fmt.Errorf("wait for ids: %w", ctx.Err())
	}
	a.mu.Lock()
	next, bound := a.next, a.bound
	a.mu.Unlock()
	if next+count <= bound {
		return nil // somebody else just did
	}
	to := next + count + a.window
	if err := a.raise(ctx, uint64(to)); err != nil {
		return fmt.Errorf("reserve ids: %w", err)
	}
	a.mu.Lock()
	a.bound = to
	a.mu.Unlock()
	return nil
}
