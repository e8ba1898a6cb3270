package proxy

import (
	"context"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// hybridSpec is a hybrid search as it was understood.
type hybridSpec struct {
	parts         []*searchSpec
	rank          ranker
	limit, offset int
	decimal       int
	growing       bool
	group         *grouping // limit and offset count groups
	scorer        string    // of groups
}

// HybridSearch implements milvuspb.MilvusServiceServer: several searches at one snapshot, joined by a ranker.
func (p *Proxy) HybridSearch(ctx context.Context, req *milvuspb.HybridSearchRequest) (*milvuspb.SearchResults, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if err := readable(c, req.PartitionNames); err != nil {
		return nil, err
	}
	spec, err := parseHybrid(c, req)
	if err != nil {
		return nil, err
	}
	outs, err := parseOutputs(c, req.OutputFields, false)
	if err != nil {
		return nil, err
	}
	r, err := p.begin(ctx, c, readSpec{
		partitions: req.PartitionNames, ignoreGrowing: !spec.growing,
		wish: wish{level: req.ConsistencyLevel, useDefault: req.UseDefaultConsistency, guarantee: req.GuaranteeTimestamp},
	})
	if err != nil {
		return nil, err
	}
	var found *foundRows
	err = r.run(ctx, func(ctx context.Context, routes []route) (err error) {
		found, err = p.hybridOnce(ctx, r, routes, spec, outs)
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := found.results(c, outs, spec.decimal)
	if err != nil {
		return nil, err
	}
	if spec.group != nil {
		spec.group.describe(out.Results, found.rows)
	}
	out.CollectionName, out.SessionTs = req.CollectionName, r.sessionTS()
	return out, nil
}

func (p *Proxy) hybridOnce(ctx context.Context, r *reading, routes []route, spec *hybridSpec, outs *outputs) (*foundRows, error) {
	subs := make([]*pb.SubSearch, len(spec.parts))
	for i, part := range spec.parts {
		if part.ids.Len() > 0 {
			vectors, err := p.vectorsOf(ctx, r, routes, part)
			if err != nil {
				return nil, err
			}
			part.vectors = vectors
		}
		subs[i] = part.request()
	}
	var merged [][][]hit
	var err error
	if spec.group != nil {
		merged, err = p.groupParts(ctx, routes, spec)
	} else {
		merged, err = p.searchNodes(ctx, routes, subs)
	}
	if err != nil {
		return nil, err
	}
	found := &foundRows{hits: make([][]hit, spec.parts[0].nq)}
	for q := range found.hits {
		lists := make([][]hit, len(subs))
		for s := range subs {
			lists[s] = merged[s][q]
			if spec.group == nil {
				lists[s] = window(lists[s], 0, spec.parts[s].topK)
			}
		}
		found.hits[q] = spec.rank.join(lists)
		if spec.group == nil {
			found.hits[q] = window(found.hits[q], spec.offset, spec.limit)
		}
	}
	fields := outs.ids()
	if spec.group != nil {
		if err := p.pageGroups(ctx, routes, spec, found.hits); err != nil {
			return nil, err
		}
		if !slices.Contains(fields, spec.group.field.ID) {
			fields = append(fields, spec.group.field.ID)
		}
	}
	found.rows, err = p.fetch(ctx, routes, found.all(), fields)
	return found, err
}

func parseHybrid(c *catalog.Collection, req *milvuspb.HybridSearchRequest) (*hybridSpec, error) {
	switch {
	case len(req.Requests) == 0:
		return nil, errs.Invalid("a hybrid search needs at least one search request")
	case len(req.Requests) > maxSubRequest:
		return nil, errs.Invalid("maximum of ann search requests is %d", maxSubRequest)
	case req.GetNamespace() != "":
		return nil, notBuilt("namespace")
	}
	if err := refuseUnknown(req); err != nil {
		return nil, err
	}
	params, err := readParams(req.RankParams)
	if err != nil {
		return nil, err
	}
	s := &hybridSpec{growing: true}
	if s.group, err = parseGrouping(c, params); err != nil {
		return nil, err
	}
	if err := s.window(params); err != nil {
		return nil, err
	}
	if s.decimal, err = params.roundDecimal(); err != nil {
		return nil, err
	}
	var metrics []string
	for _, sub := range req.Requests {
		part, err := parseSearch(c, sub, true)
		if err != nil {
			return nil, err
		}
		if part.iter != nil {
			return nil, errs.Invalid("a hybrid search cannot be an iterator")
		}
		if len(s.parts) > 0 && part.nq != s.parts[0].nq {
			return nil, errs.Invalid("sub search request nq should be the same")
		}
		s.growing = s.growing && part.growing
		s.parts = append(s.parts, part)
		metrics = append(metrics, part.metric)
	}
	if err := parseHybridGrouping(s, params); err != nil {
		return nil, err
	}
	s.rank, err = parseRanker(req, params, metrics)
	return s, err
}

func (s *hybridSpec) window(params paramSet) error {
	limit, given, err := params.number("limit")
	if err != nil {
		return err
	}
	if !given {
		if limit, given, err = params.number("topk"); err != nil {
			return err
		}
	}
	offset, _, err := params.number("offset")
	switch {
	case err != nil:
		return err
	case !given:
		return errs.Invalid("limit is required for a hybrid search")
	case limit < 1 || limit > maxTopK:
		return errs.Invalid("limit [%d] is invalid, it should be in range [1, %d], but got %d", limit, maxTopK, limit)
	case offset < 0 || offset > maxTopK:
		return errs.Invalid("offset [%d] is invalid, it should be in range [0, %d], but got %d", offset, maxTopK, offset)
	case limit+offset > maxTopK:
		return errs.Invalid("offset+limit [%d] is invalid, it should be in range [1, %d], but got %d", limit+offset, maxTopK, limit+offset)
	}
	s.limit, s.offset = int(limit), int(offset)
	return nil
}
