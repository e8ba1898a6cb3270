package proxy

import (
	"context"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// iteratorPage returns the next hits of a search iterator: those strictly worse than the last score of the page before,
// at least as many as the batch if there are, and always all of one score, since the next page begins behind that score.
//
// The iterator keeps no state here: the client brings the last score and the timestamp along.
func (p *Proxy) iteratorPage(ctx context.Context, routes []route, spec *searchSpec) ([]hit, error) {
	sub := spec.request()
	spec.iter.begin(sub, spec.metric)
	for k := min(spec.topK+1, maxTopK); ; k = min(2*k, maxTopK) {
		sub.K = int32(k)
		if ef, err := strconv.Atoi(sub.Params["ef"]); err == nil && ef < k {
			sub.Params["ef"] = strconv.Itoa(k)
		}
		merged, err := p.searchNodes(ctx, routes, []*pb.SubSearch{sub})
		if err != nil {
			return nil, err
		}
		hits := window(merged[0][0], 0, k) // behind these some node may know a better one
		if len(hits) <= spec.topK {
			return hits, nil
		}
		end := spec.topK
		for end < len(hits) && hits[end].score == hits[spec.topK-1].score {
			end++
		}
		if end < len(hits) || len(hits) < k || k == maxTopK {
			return hits[:end], nil
		}
	}
}

// begin limits a search to what lies behind the last score.
func (it *searchIterator) begin(sub *pb.SubSearch, metric string) {
	if it.last == nil {
		return
	}
	asc := ascending(metric)
	direction := float32(math.Inf(-1))
	if asc {
		direction = float32(math.Inf(1))
	}
	bound := float64(math.Nextafter32(*it.last, direction))
	if sub.RangeFilter == nil || asc && bound > *sub.RangeFilter || !asc && bound < *sub.RangeFilter {
		sub.RangeFilter = &bound
	}
	if sub.Radius == nil {
		far := float64(direction)
		sub.Radius = &far
	}
}

// describe puts what the client needs for the next page into the answer.
func (it *searchIterator) describe(out *schemapb.SearchResultData, found *foundRows) {
	if !it.v2 {
		return
	}
	if it.token == "" {
		it.token = uuid.NewString()
	}
	res := &schemapb.SearchIteratorV2Results{Token: it.token}
	if it.last != nil {
		res.LastBound = *it.last
	}
	if page := found.hits[0]; len(page) > 0 {
		res.LastBound = page[len(page)-1].score
	}
	out.SearchIteratorV2Results = res
}
