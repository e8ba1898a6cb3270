package querynode

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/segment"
)

// admit takes a place among the requests in work; the returned function gives it back.
func (n *Node) admit() (func(), error) {
	if !n.requests.TryAcquire(1) {
		return nil, errs.New(errs.TooManyRequests, "query node %d has %d requests in work, try again", n.id, n.cfg.MaxRequests)
	}
	return func() { n.requests.Release(1) }, nil
}

// Search implements pb.QueryNodeServer.
func (n *Node) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	done, err := n.admit()
	if err != nil {
		return nil, err
	}
	defer done()
	defer n.metrics.observe("search", time.Now())
	sc, err := n.openScope(ctx, req.Scope)
	if err != nil {
		return nil, err
	}
	defer sc.close()
	resp := &pb.SearchResponse{}
	for i, sub := range req.Searches {
		r, err := sc.search(ctx, sub)
		if err != nil {
			return nil, fmt.Errorf("search %d: %w", i, err)
		}
		resp.Results = append(resp.Results, r)
	}
	return resp, nil
}

// search runs one sub-search over every part and merges the hits.
func (sc *scope) search(ctx context.Context, sub *pb.SubSearch) (*pb.SubResult, error) {
	spec, err := searchSpec(sub)
	if err != nil {
		return nil, err
	}
	spec.ExpireBelow = sc.expireBelow
	hits := make([]index.Hits, len(sc.parts))
	if err := sc.searchParts(ctx, spec, hits); err != nil {
		return nil, err
	}
	return sc.mergeHits(spec, hits), nil
}

// queriesPerTask is how many queries of a request are searched for in one go. Large batches are cut so that they use all
// processors and let others in between.
const queriesPerTask = 32

// searchParts fills in the hits of every part that may have some.
func (sc *scope) searchParts(ctx context.Context, spec segment.SearchSpec, hits []index.Hits) error {
	some := sc.possible(spec.Plan)
	cuts := (spec.NQ + queriesPerTask - 1) / queriesPerTask
	if cuts == 1 {
		return sc.eachPart(ctx, some, func(ctx context.Context, i int) (err error) {
			hits[i], err = sc.searchPart(ctx, spec, i)
			return err
		})
	}
	for _, i := range some {
		hits[i] = index.Hits{IDs: make([][]uint32, spec.NQ), Scores: make([][]float32, spec.NQ)}
	}
	width := len(spec.Queries) / spec.NQ
	return sc.node.sched.run(ctx, len(some)*cuts, func(task int) error {
		i, from := some[task/cuts], task%cuts*queriesPerTask
		to := min(from+queriesPerTask, spec.NQ)
		one := spec
		one.NQ, one.Queries = to-from, spec.Queries[from*width:to*width]
		h, err := sc.searchPart(ctx, one, i)
		copy(hits[i].IDs[from:to], h.IDs)
		copy(hits[i].Scores[from:to], h.Scores)
		return err
	})
}

func (sc *scope) searchPart(ctx context.Context, spec segment.SearchSpec, i int) (index.Hits, error) {
	spec.ReadTS = sc.parts[i].readTS
	h, _, err := sc.parts[i].seg.Search(ctx, spec)
	return h, err
}

// eachPart calls fn for some parts, in parallel where processors are idle.
func (sc *scope) eachPart(ctx context.Context, some []int, fn func(ctx context.Context, i int) error) error {
	return sc.node.sched.run(ctx, len(some), func(task int) error { return fn(ctx, some[task]) })
}

// possible are the parts that may have rows for a plan: with many small segments most are told apart by their keys'
// bounds and filters, at a fraction of what reading them costs.
func (sc *scope) possible(p *plan.Plan) []int {
	out := make([]int, 0, len(sc.parts))
	for i := range sc.parts {
		if !sc.parts[i].seg.Excludes(p) {
			out = append(out, i)
		}
	}
	return out
}

// guard turns a panic of a worker into an error: one bad request must not end the process.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.New(errs.Internal, "panic in a read: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

func searchSpec(sub *pb.SubSearch) (segment.SearchSpec, error) {
	spec := segment.SearchSpec{Field: sub.Field, NQ: int(sub.Nq), K: int(sub.K), Metric: sub.Metric}
	if sub.Nq <= 0 || sub.K <= 0 {
		return spec, errs.New(errs.Internal, "search with %d bytes of vectors, nq %d, k %d", len(sub.Vectors), sub.Nq, sub.K)
	}
	spec.Queries = aligned(sub.Vectors)
	if len(sub.Plan) > 0 {
		p, err := plan.Decode(sub.Plan)
		if err != nil {
			return spec, err
		}
		spec.Plan = p
	}
	var err error
	if spec.Effort, err = index.AnyEffort(sub.Params); err != nil {
		return spec, err
	}
	if sub.Radius != nil {
		r := float32(*sub.Radius)
		spec.Radius = &r
	}
	if sub.RangeFilter != nil {
		r := float32(*sub.RangeFilter)
		spec.RangeFilter = &r
	}
	return spec, nil
}

// aligned returns raw at an address where numbers may lie, as a rule without copying.
func aligned(raw []byte) []byte {
	if len(raw) == 0 || uintptr(unsafe.Pointer(&raw[0]))%4 == 0 {
		return raw
	}
	return append(make([]byte, 0, len(raw)+4), raw...)
}
