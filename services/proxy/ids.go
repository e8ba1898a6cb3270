package proxy

import (
	"context"
	"fmt"
	"sync"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// idBatch is how many ids are taken at a time beyond what is needed.
const idBatch = 10_000

// idSource hands out ids from ranges of the coordinator's allocator.
type idSource struct {
	p  *Proxy
	mu sync.Mutex // guards next and end, and serialises refills
	// [next, end) are free.
	next, end int64
}

func newIDSource(p *Proxy) *idSource { return &idSource{p: p} }

// take returns n fresh ids.
func (s *idSource) take(ctx context.Context, n int) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]int64, 0, n)
	for len(out) < n {
		if s.next == s.end {
			resp, err := s.p.deps.Peers.Coordinator().AllocID(ctx, &pb.AllocIDRequest{Count: uint32(n - len(out) + idBatch)})
			if err != nil {
				return nil, fmt.Errorf("allocate ids: %w", err)
			}
			s.next, s.end = resp.First, resp.First+int64(resp.Count)
			continue
		}
		out = append(out, s.next)
		s.next++
	}
	return out, nil
}
