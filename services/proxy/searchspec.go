package proxy

import (
	"math"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// searchSpec is one search as it was understood: a whole request, or a part of a hybrid one.
type searchSpec struct {
	field   *schema.Field
	metric  string
	params  paramSet
	topK    int
	offset  int
	decimal int
	nq      int
	filter  *plan.Plan
	// ids, if not empty, are the keys whose vectors are the queries.
	ids     schema.Keys
	vectors []byte
	radius  *float64
	bound   *float64 // range_filter
	iter    *searchIterator
	growing bool // ignore_growing is not set
	group   *grouping
}

// parseSearch reads a search request; k wins over its own topk if it is not 0, and part tells a part of a hybrid search,
// whose offset is ignored.
func parseSearch(c *catalog.Collection, req *milvuspb.SearchRequest, part bool) (*searchSpec, error) {
	if err := refuseSearchParts(req); err != nil {
		return nil, err
	}
	params, err := readParams(req.SearchParams)
	if err != nil {
		return nil, err
	}
	if err := params.refuse("order_by_fields", "analyzer_name"); err != nil {
		return nil, err
	}
	s := &searchSpec{params: params}
	if s.iter, err = parseSearchIterator(c, params); err != nil {
		return nil, err
	}
	if err := s.window(part); err != nil {
		return nil, err
	}
	if s.field, err = searchField(c, params["anns_field"]); err != nil {
		return nil, err
	}
	if s.decimal, err = params.roundDecimal(); err != nil {
		return nil, err
	}
	if s.group, err = parseGrouping(c, params); err != nil {
		return nil, err
	}
	ignore, err := params.boolean("ignore_growing")
	if err != nil {
		return nil, err
	}
	s.growing = !ignore
	zone, err := askedZone(c, params)
	if err != nil {
		return nil, err
	}
	if s.filter, err = parseFilter(req.Dsl, &c.Schema, req.ExprTemplateValues, zone); err != nil {
		return nil, err
	}
	if err := s.queries(c, req); err != nil {
		return nil, err
	}
	if err := s.against(c); err != nil {
		return nil, err
	}
	return s, s.group.allowed(s)
}

func refuseSearchParts(req *milvuspb.SearchRequest) error {
	switch {
	case req.FunctionScore != nil && len(req.FunctionScore.Functions) > 0:
		return notBuilt("function_score of a search")
	case req.Highlighter != nil:
		return notBuilt("highlighter")
	case req.SearchAggregation != nil:
		return notBuilt("search_aggregation")
	case len(req.SubReqs) > 0:
		return notBuilt("sub_reqs of a search")
	case req.GetNamespace() != "":
		return notBuilt("namespace")
	}
	return refuseUnknown(req)
}

// window reads topk and offset.
func (s *searchSpec) window(part bool) error {
	k, given, err := s.params.number("topk")
	if err == nil && !given {
		k, given, err = s.params.number("limit")
	}
	if s.iter != nil && s.iter.v2 {
		k, given = int64(s.iter.batch), true
	}
	switch {
	case err != nil:
		return err
	case !given:
		return errs.Invalid("topk is required")
	case k < 1 || k > maxTopK:
		return errs.Invalid("topk [%d] is invalid, it should be in range [1, %d], but got %d", k, maxTopK, k)
	}
	s.topK = int(k)
	offset, _, err := s.params.number("offset")
	switch {
	case err != nil:
		return err
	case part:
		return nil
	case offset < 0 || offset > maxTopK:
		return errs.Invalid("offset [%d] is invalid, it should be in range [0, %d], but got %d", offset, maxTopK, offset)
	case offset+k > maxTopK:
		return errs.Invalid("offset+topk [%d] is invalid, it should be in range [1, %d], but got %d", offset+k, maxTopK, offset+k)
	}
	s.offset = int(offset)
	return nil
}

// searchField finds the vector field to search.
func searchField(c *catalog.Collection, name string) (*schema.Field, error) {
	vectors := c.Schema.VectorFields()
	if name == "" {
		if len(vectors) != 1 {
			return nil, errs.Invalid("multiple anns_fields exist, please specify a anns_field in search_params")
		}
		return vectors[0], nil
	}
	f := c.Schema.Field(name)
	switch {
	case f == nil:
		return nil, errs.Invalid("failed to create query plan: failed to get field schema by name: fieldName(%s) not found", name)
	case !f.Type.IsVector():
		return nil, errs.Invalid("failed to create query plan: field (%s) to search is not of vector data type", name)
	}
	return f, nil
}

// queries reads the query vectors, or the keys that stand for them.
func (s *searchSpec) queries(c *catalog.Collection, req *milvuspb.SearchRequest) error {
	if ids := req.GetIds(); ids != nil {
		s.ids = schema.Keys{Ints: ids.GetIntId().GetData(), Strings: ids.GetStrId().GetData()}
		pk := c.Schema.PrimaryKey()
		if len(s.ids.Ints) > 0 && pk.Type != schema.Int64 || len(s.ids.Strings) > 0 && pk.Type != schema.VarChar {
			return errs.Invalid("the ids of the search are not of the primary key's type %s", pk.Type)
		}
		s.nq = s.ids.Len()
	} else {
		var err error
		if s.nq, s.vectors, err = parsePlaceholders(req.GetPlaceholderGroup(), s.field); err != nil {
			return err
		}
	}
	if s.nq < 1 || s.nq > maxNQ {
		return errs.Invalid("nq [%d] is invalid, nq (number of search vector per search request) should be in range [1, %d], but got %d", s.nq, maxNQ, s.nq)
	}
	if s.iter != nil && s.nq != 1 {
		return errs.Invalid("search iterator only supports nq = 1, but got %d", s.nq)
	}
	return nil
}

// against checks the search against the field's index.
func (s *searchSpec) against(c *catalog.Collection) error {
	def, err := indexFor(c, s.field.ID)
	if err != nil {
		return err
	}
	s.metric = def.Metric
	if asked := strings.ToUpper(s.params[keyMetricType]); asked != "" && asked != def.Metric {
		return errs.Invalid("metric type not match: invalid parameter[expected=%s][actual=%s]", def.Metric, s.params[keyMetricType])
	}
	spec := index.SpecOf(s.field, def.Type, def.Metric, def.Params)
	if _, err := index.ParseEffort(spec, s.params.indexParams(), s.depth()); err != nil {
		return err
	}
	return s.bounds()
}

// bounds reads radius and range_filter.
func (s *searchSpec) bounds() (err error) {
	if s.radius, err = s.params.float("radius"); err != nil {
		return err
	}
	if s.bound, err = s.params.float("range_filter"); err != nil {
		return err
	}
	switch {
	case s.bound == nil:
		return nil
	case s.radius == nil:
		return errs.Invalid("range_filter needs a radius: invalid parameter[expected=radius][actual=none]")
	case ascending(s.metric) && *s.bound >= *s.radius:
		return errs.Invalid("metric type %s, range_filter(%g) must be less than radius(%g)", s.metric, *s.bound, *s.radius)
	case !ascending(s.metric) && *s.bound <= *s.radius:
		return errs.Invalid("metric type %s, range_filter(%g) must be greater than radius(%g)", s.metric, *s.bound, *s.radius)
	}
	return nil
}

// depth is how many hits nodes are asked for.
func (s *searchSpec) depth() int { return s.topK + s.offset }

// request is the search in the nodes' form.
func (s *searchSpec) request() *pb.SubSearch {
	return &pb.SubSearch{
		Field: s.field.ID, Nq: int32(s.nq), Vectors: s.vectors, Plan: encodePlan(s.filter), K: int32(s.depth()),
		Metric: s.metric, Params: s.params.indexParams(), Radius: s.radius, RangeFilter: s.bound,
	}
}

// ascending tells whether a smaller score is the better one.
func ascending(metric string) bool { return index.Ascending(metric) }

// round rounds a score to some decimal places; -1 leaves it.
func round(v float32, decimal int) float32 {
	if decimal < 0 {
		return v
	}
	m := math.Pow10(decimal)
	return float32(math.Floor(float64(v)*m+0.5) / m)
}

// searchIterator is what a page of an iterator brings along.
type searchIterator struct {
	v2    bool
	batch int
	token string
	last  *float32 // the score that the page before ended with
}

// parseSearchIterator reads the parameters of an iterator; nil when the search is none.
func parseSearchIterator(c *catalog.Collection, params paramSet) (*searchIterator, error) {
	on, err := params.boolean("iterator")
	if err != nil || !on {
		return nil, err
	}
	if err := checkCollectionID(c, params); err != nil {
		return nil, err
	}
	it := &searchIterator{token: params["search_iter_id"]}
	if it.v2, err = params.boolean("search_iter_v2"); err != nil || !it.v2 {
		return it, err
	}
	batch, given, err := params.number("search_iter_batch_size")
	switch {
	case err != nil:
		return nil, err
	case !given:
		return nil, errs.Invalid("batch size is required for iterator search")
	case batch < 1 || batch > maxTopK:
		return nil, errs.Invalid("batch size is invalid, it should be in range [1, %d], but got %d", maxTopK, batch)
	}
	it.batch = int(batch)
	if offset, _, _ := params.number("offset"); offset > 0 {
		return nil, errs.Invalid("search iterator does not support offset")
	}
	if text := params["search_iter_last_bound"]; text != "" {
		v, err := strconv.ParseFloat(text, 32)
		if err != nil || math.IsNaN(v) {
			return nil, errs.Invalid("search_iter_last_bound [%s] is invalid, it should be a number", text)
		}
		last := float32(v)
		it.last = &last
	}
	return it, nil
}

// checkCollectionID makes sure that an iterator goes on over the collection that it began with.
func checkCollectionID(c *catalog.Collection, params paramSet) error {
	id, given, err := params.number("collection_id")
	if err != nil {
		return err
	}
	if given && id != 0 && id != c.ID {
		return errs.Invalid("collection id:%d in the request is not consistent with that of collection %s: %d, the iterator cannot go on", id, c.Name, c.ID)
	}
	return nil
}
