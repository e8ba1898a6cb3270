package proxy

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// maxGroupSize is the API's limit of hits per group.
const maxGroupSize = 10

// grouping is what a search groups its hits by: limit and offset count groups, of which each brings up to size hits.
type grouping struct {
	field  *schema.Field
	path   []string // into the documents of a JSON field
	size   int
	strict bool // try to fill each group
	plural bool // asked for as group_by_fields
}

// parseGrouping reads a search's grouping; nil when there is none.
func parseGrouping(c *catalog.Collection, params paramSet) (*grouping, error) {
	g := &grouping{size: 1}
	name := strings.TrimSpace(params["group_by_field"])
	if name == "" {
		name, g.plural = strings.TrimSpace(params["group_by_fields"]), true
	}
	if name == "" {
		return nil, nil
	}
	if strings.Contains(name, ",") {
		return nil, notBuilt("grouping by several fields")
	}
	err := params.refuse(keyJSONPath, "json_type", "strict_cast")
	if err != nil {
		return nil, err
	}
	if g.field, g.path, err = groupedField(c, name); err != nil {
		return nil, err
	}
	if t := g.field.Type; t != schema.Bool && !t.IsInt() && t != schema.VarChar && t != schema.JSON {
		return nil, errs.Invalid("unsupported data type %s for group by operator", t)
	}
	size, given, err := params.number("group_size")
	switch {
	case err != nil:
		return nil, err
	case given && size > maxGroupSize:
		return nil, errs.Invalid("input group size:%d exceeds configured max group size:%d, group_size is out of range", size, maxGroupSize)
	case given && size < 1:
		return nil, errs.Invalid("input group size:%d is negative or zero, group_size should be in range [1, %d]", size, maxGroupSize)
	case given:
		g.size = int(size)
	}
	g.strict, err = params.boolean("strict_group_size")
	return g, err
}

// allowed says with what a grouping does not go together.
func (g *grouping) allowed(s *searchSpec) error {
	switch {
	case g == nil:
		return nil
	case s.iter != nil:
		return errs.Invalid("Not allowed to do groupBy when doing iteration")
	case s.radius != nil:
		return errs.Invalid("Not allowed to do range-search when doing search-group-by")
	case s.field.Type == schema.BinaryVector:
		return errs.Invalid("not support search_group_by operation based on binary vector column")
	}
	return nil
}

// groupKey is a value of the field that is grouped by.
type groupKey struct {
	null bool
	i    int64 // numbers, and 1 for true
	s    string
}

// groups collects one query's hits.
type groups struct {
	by      *grouping
	members map[groupKey][]hit
	seen    map[hitKey]bool
	ended   bool // there are no more hits
}

func newGroups(by *grouping) *groups {
	return &groups{by: by, members: map[groupKey][]hit{}, seen: map[hitKey]bool{}}
}

// add takes hits, best first, whose values are in col from row at on, and returns how many of them are new.
func (g *groups) add(hits []hit, col *schema.Column, at int) (fresh int) {
	for i := range hits {
		if g.seen[hits[i].key()] {
			continue
		}
		fresh++
		g.seen[hits[i].key()] = true
		key := g.by.key(col, at+i)
		if m := g.members[key]; len(m) < g.by.size {
			g.members[key] = append(m, hits[i])
		}
	}
	return fresh
}

func (g *grouping) key(col *schema.Column, row int) groupKey {
	switch {
	case col.IsNull(row):
		return groupKey{null: true}
	case col.Type == schema.Bool && col.Bools[row]:
		return groupKey{i: 1}
	case col.Type == schema.Bool:
		return groupKey{}
	case col.Type == schema.VarChar:
		return groupKey{s: col.Strings[row]}
	case col.Type == schema.JSON:
		return jsonKey(col.Bytes[row], g.path)
	}
	return groupKey{i: col.Ints[row]}
}

// enough reports whether want groups are there and, where that is asked for, the best of them are full.
func (g *groups) enough(want int, asc bool) bool {
	if g.ended || len(g.members) < want || !g.by.strict {
		return g.ended || len(g.members) >= want
	}
	for _, m := range g.sorted(asc)[:want] {
		if len(m) < g.by.size {
			return false
		}
	}
	return true
}

// sorted returns the groups, best first, with their members best first.
func (g *groups) sorted(asc bool) [][]hit {
	out := make([][]hit, 0, len(g.members))
	for key, m := range g.members {
		slices.SortFunc(m, func(a, b hit) int { return compareHits(&a, &b, asc) })
		g.members[key] = m
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b []hit) int { return compareHits(&a[0], &b[0], asc) })
	return out
}

// rest selects the rows outside the groups that are full; of documents all.
func (g *groups) rest() plan.Node {
	if g.by.field.Type == schema.JSON {
		return plan.Const{Value: true}
	}
	of := plan.Operand{Field: g.by.field.ID, Type: g.by.field.Type}
	full := &plan.In{Operand: of}
	nullFull := false
	for key, m := range g.members {
		switch {
		case len(m) < g.by.size:
		case key.null:
			nullFull = true
		case of.Type == schema.Bool:
			full.Values = append(full.Values, plan.BoolValue(key.i == 1))
		case of.Type == schema.VarChar:
			full.Values = append(full.Values, plan.StringValue(key.s))
		default:
			full.Values = append(full.Values, plan.IntValue(key.i))
		}
	}
	var other plan.Node = plan.Const{Value: true}
	if len(full.Values) > 0 {
		other = &plan.Not{Term: full} // unknown, so not selected, where there is no value
	}
	switch {
	case !g.by.field.Nullable:
		return other
	case nullFull:
		return plan.Conj(other, &plan.Not{Term: &plan.IsNull{Operand: of}})
	case len(full.Values) > 0:
		return plan.Disj(other, &plan.IsNull{Operand: of})
	}
	return other
}

// page returns the hits of the groups from offset on, best group first.
func (g *groups) page(offset, limit int, asc bool) []hit {
	best := g.sorted(asc)
	best = best[min(offset, len(best)):]
	return slices.Concat(best[:min(limit, len(best))]...)
}

const (
	firstGroupHits = 64 // hits that a grouped search looks at, at least
	groupRounds    = 64 // searches for one query, at most
)

// searchGroups returns each query's hits by group. It looks at more hits than groups are asked for; when these lie in too
// few groups it goes on outside the groups that are full, so a large group near the query hides no other. Of groups by
// JSON, which it cannot leave out, it finds those among the nearest maxTopK hits.
func (p *Proxy) searchGroups(ctx context.Context, routes []route, spec *searchSpec) ([][]hit, error) {
	want, asc := spec.depth(), ascending(spec.metric)
	sub := spec.request()
	deepen(sub, min(maxTopK, max(firstGroupHits, 4*want*spec.group.size)))
	all := make([]*groups, spec.nq)
	for q := range all {
		all[q] = newGroups(spec.group)
	}
	if err := p.groupRound(ctx, routes, sub, all); err != nil {
		return nil, err
	}
	out := make([][]hit, spec.nq)
	size := len(spec.vectors) / spec.nq
	for q, g := range all {
		one := spec.request()
		one.Nq, one.Vectors = 1, spec.vectors[q*size:(q+1)*size]
		k := int(sub.K)
		for round := 1; !g.enough(want, asc) && round < groupRounds; round++ {
			if spec.group.field.Type == schema.JSON && k == maxTopK {
				break // the same hits would come again
			}
			k = min(2*k, maxTopK)
			deepen(one, k)
			if err := restrict(one, spec.filter, g.rest()); err != nil {
				return nil, err
			}
			if err := p.groupRound(ctx, routes, one, []*groups{g}); err != nil {
				return nil, err
			}
		}
		out[q] = g.page(spec.offset, spec.topK, asc)
	}
	return out, nil
}

// groupRound searches once and adds what it finds to the groups of each query.
func (p *Proxy) groupRound(ctx context.Context, routes []route, sub *pb.SubSearch, all []*groups) error {
	merged, err := p.searchNodes(ctx, routes, []*pb.SubSearch{sub})
	if err != nil {
		return err
	}
	for q := range merged[0] {
		// Behind the K best of all nodes each node's list may end before another's: a nearer row may be missing.
		merged[0][q] = window(merged[0][q], 0, int(sub.K))
	}
	field := all[0].by.field
	rows, err := p.fetch(ctx, routes, slices.Concat(merged[0]...), []int64{field.ID})
	if err != nil {
		return err
	}
	at := 0
	for q, g := range all {
		hits, fresh := merged[0][q], 0
		if len(hits) > 0 {
			fresh = g.add(hits, rows.Column(field.ID), at)
		}
		at += len(hits)
		// Fewer hits than asked for may also be several versions of one row, so the end is where none is new.
		g.ended = fresh == 0 && len(hits) < int(sub.K)
	}
	return nil
}

// deepen asks for k hits; an effort that the user gave must not be smaller.
func deepen(sub *pb.SubSearch, k int) {
	sub.K = int32(k)
	for _, name := range []string{"ef", "search_list", "reorder_k"} {
		if v, err := strconv.Atoi(sub.Params[name]); err == nil && v < k {
			sub.Params[name] = strconv.Itoa(k)
		}
	}
}

// restrict limits a search to what both the user's filter and node select.
func restrict(sub *pb.SubSearch, filter *plan.Plan, node plan.Node) error {
	if filter != nil {
		node = plan.Conj(filter.Root(), node)
	}
	pl, err := plan.New(node)
	if err != nil {
		return errs.New(errs.Internal, "filter of a grouped search: %w", err)
	}
	sub.Plan = encodePlan(pl)
	return nil
}

// describe puts the values of the hits' groups into the answer.
func (g *grouping) describe(out *schemapb.SearchResultData, rows *schema.Batch) {
	col := rows.Column(g.field.ID)
	if col == nil {
		col = schema.NewColumn(g.field)
	}
	values := publicColumn(g.field, col)
	if g.plural {
		out.GroupByFieldValues = []*schemapb.FieldData{values}
		return
	}
	out.GroupByFieldValue = values
}
