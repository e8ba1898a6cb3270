package proxy

import (
	"context"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// countName is the output field that asks for the number of rows, and the name of the column that answers.
const countName = "count(*)"

// querySpec is a query as it was understood.
type querySpec struct {
	filter        *plan.Plan
	limit, offset int64 // limit 0: all rows
	count         bool
	iterator      bool
	ignoreGrowing bool
	outs          *outputs
}

// Query implements milvuspb.MilvusServiceServer.
func (p *Proxy) Query(ctx context.Context, req *milvuspb.QueryRequest) (*milvuspb.QueryResults, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if err := readable(c, req.PartitionNames); err != nil {
		return nil, err
	}
	if err := refuseUnknown(req); err != nil {
		return nil, err
	}
	spec, err := parseQuery(c, req)
	if err != nil {
		return nil, err
	}
	r, err := p.begin(ctx, c, readSpec{
		partitions: req.PartitionNames, ignoreGrowing: spec.ignoreGrowing, filter: spec.filter,
		wish: wish{level: req.ConsistencyLevel, useDefault: req.UseDefaultConsistency, guarantee: req.GuaranteeTimestamp, iterator: spec.iterator},
	})
	if err != nil {
		return nil, err
	}
	out, err := p.runQuery(ctx, c, r, spec)
	if err != nil {
		return nil, err
	}
	out.Status, out.CollectionName, out.SessionTs = success(), req.CollectionName, r.sessionTS()
	out.PrimaryFieldName = c.Schema.PrimaryKey().Name
	return out, nil
}

func (p *Proxy) runQuery(ctx context.Context, c *catalog.Collection, r *reading, spec *querySpec) (*milvuspb.QueryResults, error) {
	if spec.count {
		n, err := p.count(ctx, r, spec.filter)
		return &milvuspb.QueryResults{FieldsData: []*schemapb.FieldData{countColumn(n)}, OutputFields: []string{countName}}, err
	}
	pk := c.Schema.PrimaryKey()
	want := int64(0)
	if spec.limit > 0 {
		want = spec.limit + spec.offset
	}
	var rows *queryRows
	err := r.run(ctx, func(ctx context.Context, routes []route) (err error) {
		rows, err = p.queryNodes(ctx, routes, spec.filter, spec.outs.ids(), pk.ID, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	data, err := spec.outs.columns(rows.window(spec.offset, spec.limit))
	return &milvuspb.QueryResults{FieldsData: data, OutputFields: spec.outs.names}, err
}

func countColumn(n int64) *schemapb.FieldData {
	return &schemapb.FieldData{
		Type: schemapb.DataType_Int64, FieldName: countName,
		Field: &schemapb.FieldData_Scalars{Scalars: &schemapb.ScalarField{
			Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: []int64{n}}},
		}},
	}
}

func parseQuery(c *catalog.Collection, req *milvuspb.QueryRequest) (*querySpec, error) {
	params, err := readParams(req.QueryParams)
	if err != nil {
		return nil, err
	}
	if err := params.refuse("group_by_fields", "order_by_fields"); err != nil {
		return nil, err
	}
	if req.GetNamespace() != "" {
		return nil, notBuilt("namespace")
	}
	s := &querySpec{}
	if s.iterator, err = params.boolean("iterator"); err != nil {
		return nil, err
	}
	if s.iterator {
		if err := checkCollectionID(c, params); err != nil {
			return nil, err
		}
	}
	if s.ignoreGrowing, err = params.boolean("ignore_growing"); err != nil {
		return nil, err
	}
	if err := s.window(params); err != nil {
		return nil, err
	}
	if s.count, err = wantsCount(req.OutputFields); err != nil {
		return nil, err
	}
	switch {
	case s.count && s.limit > 0:
		return nil, errs.Invalid("count entities with pagination is not allowed")
	case !s.count && s.limit == 0 && strings.TrimSpace(req.Expr) == "":
		return nil, errs.Invalid("empty expression should be used with limit")
	}
	zone, err := askedZone(c, params)
	if err != nil {
		return nil, err
	}
	if s.filter, err = parseFilter(req.Expr, &c.Schema, req.ExprTemplateValues, zone); err != nil {
		return nil, err
	}
	if !s.count {
		if s.outs, err = parseOutputs(c, req.OutputFields, true); err == nil {
			s.outs.zone = zone
		}
	}
	return s, err
}

// window reads limit and offset; an offset counts only beside a limit.
func (s *querySpec) window(params paramSet) error {
	limit, given, err := params.number("limit")
	if err != nil || !given || limit == -1 { // -1: none
		return err
	}
	offset, _, err := params.number("offset")
	if err != nil {
		return err
	}
	if offset < 0 {
		return errs.Invalid("offset [%d] is invalid, it should be at least 0", offset)
	}
	if sum := limit + offset; limit < 1 || sum > maxTopK {
		return errs.Invalid("invalid max query result window, (offset+limit) should be in range [1, %d], but got %d", maxTopK, sum)
	}
	s.limit, s.offset = limit, offset
	return nil
}

// wantsCount reports whether the rows shall be counted. Other aggregates are refused by name.
func wantsCount(names []string) (bool, error) {
	count := false
	for _, name := range names {
		plain := strings.ToLower(strings.ReplaceAll(name, " ", ""))
		switch {
		case plain == countName:
			count = true
		case isAggregate(plain):
			return false, notBuilt("aggregate " + name)
		}
	}
	if count && len(names) > 1 {
		return false, errs.Invalid("count(*) cannot be asked for together with other output fields")
	}
	return count, nil
}

func isAggregate(name string) bool {
	for _, f := range []string{"count(", "sum(", "min(", "max(", "avg("} {
		if strings.HasPrefix(name, f) && strings.HasSuffix(name, ")") {
			return true
		}
	}
	return false
}

// window cuts a page out of all rows; no limit is all of them.
func (q *queryRows) window(offset, limit int64) *schema.Batch {
	if limit <= 0 {
		return q.batch
	}
	lo := min(offset, int64(q.batch.N))
	hi := min(lo+limit, int64(q.batch.N))
	out := &schema.Batch{N: int(hi - lo)}
	for _, c := range q.batch.Columns {
		out.Columns = append(out.Columns, c.Slice(int(lo), int(hi)))
	}
	return out
}
