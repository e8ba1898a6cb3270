package proxy

import (
	"cmp"
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/errs"
)

// Scorers of groups in a hybrid search: how the scores of its hits make the score of a group.
const (
	scoreOfBest = "max"
	scoreSum    = "sum"
	scoreMean   = "avg"
)

// parseHybridGrouping reads what a hybrid search's hits are grouped by, for the whole and for each of its parts; nil when
// there is nothing.
func parseHybridGrouping(s *hybridSpec, params paramSet) error {
	for _, part := range s.parts {
		// SDKs send the grouping of the whole with each part as well.
		if g := part.group; g != nil && (s.group == nil || g.field.ID != s.group.field.ID || !slices.Equal(g.path, s.group.path)) {
			return notBuilt("grouping of a hybrid search's parts, other than that of the whole,")
		}
	}
	if s.group == nil {
		return nil
	}
	s.scorer = params["rank_group_scorer"]
	switch s.scorer {
	case "":
		s.scorer = scoreOfBest
	case scoreOfBest, scoreSum, scoreMean:
	default:
		return errs.Invalid("unsupported group scorer: %s, it should be one of [max, sum, avg]", s.scorer)
	}
	for _, part := range s.parts {
		part.group = s.group
		if err := s.group.allowed(part); err != nil {
			return err
		}
	}
	return nil
}

// groupParts runs the parts of a hybrid search, each by groups. The hits of a part count in order of their scores, as those
// of a search without groups do.
func (p *Proxy) groupParts(ctx context.Context, routes []route, spec *hybridSpec) ([][][]hit, error) {
	out := make([][][]hit, len(spec.parts))
	for s, part := range spec.parts {
		whole := *part
		whole.offset = 0
		hits, err := p.searchGroups(ctx, routes, &whole)
		if err != nil {
			return nil, err
		}
		for _, of := range hits {
			slices.SortStableFunc(of, func(a, b hit) int { return compareHits(&a, &b, ascending(part.metric)) })
		}
		out[s] = hits
	}
	return out, nil
}

// pageGroups keeps, of each query's joined hits, those of the groups between offset and limit.
func (p *Proxy) pageGroups(ctx context.Context, routes []route, spec *hybridSpec, joined [][]hit) error {
	field := spec.group.field
	rows, err := p.fetch(ctx, routes, slices.Concat(joined...), []int64{field.ID})
	if err != nil {
		return err
	}
	at := 0
	for q, hits := range joined {
		g := newGroups(spec.group)
		if len(hits) > 0 {
			g.add(hits, rows.Column(field.ID), at)
		}
		at += len(hits)
		best := g.sorted(spec.rank.asc)
		slices.SortStableFunc(best, func(a, b []hit) int {
			if spec.rank.asc {
				a, b = b, a
			}
			return cmp.Compare(groupScore(b, spec.scorer), groupScore(a, spec.scorer))
		})
		best = best[min(spec.offset, len(best)):]
		joined[q] = slices.Concat(best[:min(spec.limit, len(best))]...)
	}
	return nil
}

// groupScore is the score of a group whose hits are best first.
func groupScore(hits []hit, scorer string) float64 {
	if scorer == scoreOfBest {
		return float64(hits[0].score)
	}
	sum := 0.0
	for _, h := range hits {
		sum += float64(h.score)
	}
	if scorer == scoreMean {
		sum /= float64(len(hits))
	}
	return sum
}
