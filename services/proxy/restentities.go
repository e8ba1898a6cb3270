package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// restDefaultLimit is the limit of searches and queries that name none.
const restDefaultLimit = 100

func restEntities() map[string]restFunc {
	return map[string]restFunc{
		"entities/insert":          restInsert,
		"entities/upsert":          restUpsert,
		"entities/delete":          restDelete,
		"entities/get":             restGet,
		"entities/query":           restQuery,
		"entities/search":          restSearch,
		"entities/hybrid_search":   restHybrid,
		"entities/advanced_search": restHybrid,
	}
}

// restRows is the body of inserts and upserts.
type restRows struct {
	Collection string        `json:"collectionName"`
	Partition  string        `json:"partitionName"`
	Data       restOneOrMany `json:"data"`
	Partial    bool          `json:"partialUpdate"`
	Ops        []struct {
		Field string `json:"fieldName"`
		Op    string `json:"op"`
	} `json:"fieldOps"`
}

// fieldOps are what a partial upsert does to fields other than replacing their values.
func (in *restRows) fieldOps() ([]*schemapb.FieldPartialUpdateOp, error) {
	var out []*schemapb.FieldPartialUpdateOp
	for _, o := range in.Ops {
		op, ok := schemapb.FieldPartialUpdateOp_OpType_value[strings.ToUpper(strings.TrimSpace(o.Op))]
		if !ok {
			return nil, errs.Invalid("unsupported partial update op: %s", o.Op)
		}
		out = append(out, &schemapb.FieldPartialUpdateOp{FieldName: o.Field, Op: schemapb.FieldPartialUpdateOp_OpType(op)})
	}
	return out, nil
}

// restOneOrMany accepts a row or a list of rows.
type restOneOrMany []map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (r *restOneOrMany) UnmarshalJSON(raw []byte) error {
	var many []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &many); err == nil {
		*r = many
		return nil
	}
	var one map[string]json.RawMessage
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*r = restOneOrMany{one}
	return nil
}

func (r *restRequest) rows() (restRows, *catalog.Collection, []*schemapb.FieldData, error) {
	var in restRows
	if err := r.read(&in); err != nil {
		return in, nil, nil, err
	}
	if err := need("collectionName", in.Collection); err != nil {
		return in, nil, nil, err
	}
	if len(in.Data) == 0 {
		return in, nil, nil, errs.Input(restMissing, "missing required parameters, error: Key: 'data' is required")
	}
	c, err := r.p.collection(r.db, in.Collection)
	if err != nil {
		return in, nil, nil, err
	}
	data, err := columnsOfRows(&c.Schema, in.Data)
	return in, c, data, err
}

func restInsert(ctx context.Context, r *restRequest) (any, error) {
	in, c, data, err := r.rows()
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "Insert", &milvuspb.InsertRequest{
		DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition, FieldsData: data, NumRows: uint32(len(in.Data)), SchemaTimestamp: c.UpdatedTS,
	}, r.p.Insert)
	return map[string]any{"insertCount": resp.GetInsertCnt(), "insertIds": r.ids(resp.GetIDs())}, err
}

func restUpsert(ctx context.Context, r *restRequest) (any, error) {
	in, c, data, err := r.rows()
	if err != nil {
		return nil, err
	}
	ops, err := in.fieldOps()
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "Upsert", &milvuspb.UpsertRequest{
		DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition, FieldsData: data, NumRows: uint32(len(in.Data)),
		SchemaTimestamp: c.UpdatedTS, PartialUpdate: in.Partial, FieldOps: ops,
	}, r.p.Upsert)
	return map[string]any{"upsertCount": resp.GetUpsertCnt(), "upsertIds": r.ids(resp.GetIDs())}, err
}

func (r *restRequest) ids(ids *schemapb.IDs) any {
	if s := ids.GetStrId(); s != nil {
		return append([]string{}, s.Data...)
	}
	out := []any{}
	for _, id := range ids.GetIntId().GetData() {
		out = append(out, r.int64(id))
	}
	return out
}

// restRead is the body of reads and deletes.
type restRead struct {
	Collection  string                     `json:"collectionName"`
	Partition   string                     `json:"partitionName"`
	Partitions  []string                   `json:"partitionNames"`
	Filter      string                     `json:"filter"`
	ID          json.RawMessage            `json:"id"`
	Outputs     []string                   `json:"outputFields"`
	Limit       *int64                     `json:"limit"`
	Offset      int64                      `json:"offset"`
	Data        []json.RawMessage          `json:"data"`
	Field       string                     `json:"annsField"`
	Grouping    string                     `json:"groupingField"`
	GroupSize   int64                      `json:"groupSize"`
	FullGroups  bool                       `json:"strictGroupSize"`
	Params      map[string]any             `json:"searchParams"`
	Consistency string                     `json:"consistencyLevel"`
	ExprParams  map[string]json.RawMessage `json:"exprParams"`
	Searches    []restRead                 `json:"search"`
	Rerank      struct {
		Strategy string         `json:"strategy"`
		Params   map[string]any `json:"params"`
	} `json:"rerank"`
}

func (r *restRequest) reading() (restRead, *catalog.Collection, error) {
	var in restRead
	if err := r.read(&in); err != nil {
		return in, nil, err
	}
	if err := need("collectionName", in.Collection); err != nil {
		return in, nil, err
	}
	c, err := r.p.collection(r.db, in.Collection)
	return in, c, err
}

// level is the consistency that the body asks for; none is the collection's.
func (in *restRead) level() (commonpb.ConsistencyLevel, bool, error) {
	if in.Consistency == "" {
		return 0, true, nil
	}
	v, ok := commonpb.ConsistencyLevel_value[in.Consistency]
	if !ok {
		return 0, false, errs.Invalid("consistencyLevel can only be [Strong, Session, Bounded, Eventually, Customized]: invalid parameter[actual=%s]", in.Consistency)
	}
	return commonpb.ConsistencyLevel(v), false, nil
}

func (in *restRead) templates() (map[string]*schemapb.TemplateValue, error) {
	out := map[string]*schemapb.TemplateValue{}
	for name, raw := range in.ExprParams {
		v, err := jsonValue(raw)
		if err != nil {
			return nil, errs.Invalid("exprParams.%s: %v", name, err)
		}
		out[name] = publicTemplate(v)
	}
	return out, nil
}

func restDelete(ctx context.Context, r *restRequest) (any, error) {
	in, c, err := r.reading()
	if err != nil {
		return nil, err
	}
	if in.Filter == "" && len(in.ID) > 0 {
		if in.Filter, err = keyFilter(c, in.ID); err != nil {
			return nil, err
		}
	}
	if err := need("filter", in.Filter); err != nil {
		return nil, err
	}
	values, err := in.templates()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "Delete", &milvuspb.DeleteRequest{
		DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition, Expr: in.Filter, ExprTemplateValues: values,
	}, r.p.Delete)
	return nil, err
}

// keyFilter is the filter for one key or a list of keys.
func keyFilter(c *catalog.Collection, raw json.RawMessage) (string, error) {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil {
		many = []json.RawMessage{raw}
	}
	pk := c.Schema.PrimaryKey()
	text := pk.Name + " in ["
	for i, one := range many {
		if i > 0 {
			text += ","
		}
		v, err := jsonValue(one)
		switch {
		case err != nil:
			return "", errs.Invalid("id: %v", err)
		case pk.Type == schema.VarChar && v.Str == "" && string(one) != `""`:
			text += fmt.Sprintf("%q", string(one))
		case pk.Type == schema.Int64 && v.Kind == plan.KindString: // big numbers come as text from JavaScript
			n, err := strconv.ParseInt(v.Str, 10, 64)
			if err != nil {
				return "", errs.Invalid("id %s is no Int64", clip(one))
			}
			text += strconv.FormatInt(n, 10)
		default:
			text += string(one)
		}
	}
	return text + "]", nil
}

func restGet(ctx context.Context, r *restRequest) (any, error) {
	in, c, err := r.reading()
	if err != nil {
		return nil, err
	}
	if len(in.ID) == 0 {
		return nil, errs.Input(restMissing, "missing required parameters, error: Key: 'id' is required")
	}
	if in.Filter, err = keyFilter(c, in.ID); err != nil {
		return nil, err
	}
	return restRunQuery(ctx, r, c, &in, nil)
}

func restQuery(ctx context.Context, r *restRequest) (any, error) {
	in, c, err := r.reading()
	if err != nil {
		return nil, err
	}
	params := map[string]string{}
	if !slices.Contains(in.Outputs, countName) {
		limit := int64(restDefaultLimit)
		if in.Limit != nil {
			limit = *in.Limit
		}
		params["limit"], params["offset"] = fmt.Sprint(limit), fmt.Sprint(in.Offset)
	}
	return restRunQuery(ctx, r, c, &in, params)
}

func restRunQuery(ctx context.Context, r *restRequest, c *catalog.Collection, in *restRead, params map[string]string) (any, error) {
	level, useDefault, err := in.level()
	if err != nil {
		return nil, err
	}
	values, err := in.templates()
	if err != nil {
		return nil, err
	}
	outputs := in.Outputs
	if len(outputs) == 0 {
		outputs = []string{"*"}
	}
	resp, err := invoke(ctx, r.p, "Query", &milvuspb.QueryRequest{
		DbName: r.db, CollectionName: in.Collection, Expr: in.Filter, OutputFields: outputs, PartitionNames: in.Partitions, QueryParams: sortedKVs(params),
		ConsistencyLevel: level, UseDefaultConsistency: useDefault, ExprTemplateValues: values,
	}, r.p.Query)
	if err != nil {
		return nil, err
	}
	return r.rowsOfColumns(c, resp.FieldsData)
}

// group adds what the hits are to be grouped by to a search's parameters.
func (in *restRead) group(params map[string]string) {
	if in.Grouping == "" {
		return
	}
	params["group_by_field"], params["strict_group_size"] = in.Grouping, fmt.Sprint(in.FullGroups)
	if in.GroupSize != 0 {
		params["group_size"] = fmt.Sprint(in.GroupSize)
	}
}

// searchRequest is one search of a body in the API's form.
func (in *restRead) searchRequest(r *restRequest, c *catalog.Collection) (*milvuspb.SearchRequest, error) {
	level, useDefault, err := in.level()
	if err != nil {
		return nil, err
	}
	values, err := in.templates()
	if err != nil {
		return nil, err
	}
	field, err := searchField(c, in.Field)
	if err != nil {
		return nil, err
	}
	group := &commonpb.PlaceholderValue{Tag: "$0", Type: commonpb.PlaceholderType(field.Type)}
	for _, raw := range in.Data {
		v, err := restQueryVector(field, raw)
		if err != nil {
			return nil, err
		}
		group.Values = append(group.Values, v)
	}
	raw, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{group}})
	if err != nil {
		return nil, err
	}
	limit := int64(restDefaultLimit)
	if in.Limit != nil {
		limit = *in.Limit
	}
	params := map[string]string{"topk": fmt.Sprint(limit), "offset": fmt.Sprint(in.Offset), "anns_field": in.Field}
	in.group(params)
	for _, k := range slices.Sorted(maps.Keys(in.Params)) {
		if k == "metricType" {
			params[keyMetricType] = paramText(in.Params[k])
			continue
		}
		params[k] = paramText(in.Params[k])
	}
	return &milvuspb.SearchRequest{
		DbName: r.db, CollectionName: c.Name, PartitionNames: in.Partitions, Dsl: in.Filter, DslType: commonpb.DslType_BoolExprV1,
		OutputFields: in.Outputs, SearchParams: sortedKVs(params), Nq: int64(len(in.Data)), ConsistencyLevel: level,
		UseDefaultConsistency: useDefault, ExprTemplateValues: values, SearchInput: &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: raw},
	}, nil
}

func restSearch(ctx context.Context, r *restRequest) (any, error) {
	in, c, err := r.reading()
	if err != nil {
		return nil, err
	}
	if len(in.Data) == 0 {
		return nil, errs.Input(restMissing, "missing required parameters, error: Key: 'data' is required")
	}
	req, err := in.searchRequest(r, c)
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "Search", req, r.p.Search)
	if err != nil {
		return nil, err
	}
	return r.hits(c, resp.Results)
}

func restHybrid(ctx context.Context, r *restRequest) (any, error) {
	in, c, err := r.reading()
	if err != nil {
		return nil, err
	}
	level, useDefault, err := in.level()
	if err != nil {
		return nil, err
	}
	limit := int64(restDefaultLimit)
	if in.Limit != nil {
		limit = *in.Limit
	}
	rank := map[string]string{"strategy": in.Rerank.Strategy, "limit": fmt.Sprint(limit), "offset": fmt.Sprint(in.Offset), keyParams: paramText(in.Rerank.Params)}
	in.group(rank)
	req := &milvuspb.HybridSearchRequest{
		DbName: r.db, CollectionName: in.Collection, PartitionNames: in.Partitions, OutputFields: in.Outputs, RankParams: sortedKVs(rank),
		ConsistencyLevel: level, UseDefaultConsistency: useDefault,
	}
	for i := range in.Searches {
		sub, err := in.Searches[i].searchRequest(r, c)
		if err != nil {
			return nil, err
		}
		req.Requests = append(req.Requests, sub)
	}
	resp, err := invoke(ctx, r.p, "HybridSearch", req, r.p.HybridSearch)
	if err != nil {
		return nil, err
	}
	return r.hits(c, resp.Results)
}

// hits are the found rows of all queries in one list, each with its distance and its fields.
func (r *restRequest) hits(c *catalog.Collection, res *schemapb.SearchResultData) (any, error) {
	rows, err := r.rowsOfColumns(c, res.FieldsData)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(res.Scores))
	for i := range out {
		out[i] = map[string]any{}
		if i < len(rows) {
			out[i] = rows[i]
		}
		out[i]["distance"] = res.Scores[i]
		if ids := res.Ids.GetStrId(); ids != nil {
			out[i][res.PrimaryFieldName] = ids.Data[i]
		} else {
			out[i][res.PrimaryFieldName] = r.int64(res.Ids.GetIntId().Data[i])
		}
	}
	return out, nil
}
