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

	"github.com/gyr-db/gyr/pkg/errs"
)

func restCollections() map[string]restFunc {
	return map[string]restFunc{
		"collections/list":           restListCollections,
		"collections/has":            restHasCollection,
		"collections/describe":       restDescribeCollection,
		"collections/create":         restCreateCollection,
		"collections/drop":           restDropCollection,
		"collections/truncate":       restTruncateCollection,
		"collections/rename":         restRenameCollection,
		"collections/load":           restLoad(false),
		"collections/refresh_load":   restLoad(true),
		"collections/release":        restRelease,
		"collections/get_stats":      restStats,
		"collections/get_load_state": restLoadState,
		"collections/flush":          restFlush,
	}
}

// restNamed is the body of calls that name a collection.
type restNamed struct {
	Collection string   `json:"collectionName"`
	New        string   `json:"newCollectionName"`
	NewDB      string   `json:"newDbName"`
	Partitions []string `json:"partitionNames"`
}

func (r *restRequest) named() (restNamed, error) {
	var in restNamed
	if err := r.read(&in); err != nil {
		return in, err
	}
	return in, need("collectionName", in.Collection)
}

func restListCollections(ctx context.Context, r *restRequest) (any, error) {
	resp, err := invoke(ctx, r.p, "ShowCollections", &milvuspb.ShowCollectionsRequest{DbName: r.db}, r.p.ShowCollections)
	return append([]string{}, resp.GetCollectionNames()...), err
}

func restHasCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "HasCollection", &milvuspb.HasCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.HasCollection)
	return map[string]bool{"has": resp.GetValue()}, err
}

func restDropCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "DropCollection", &milvuspb.DropCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.DropCollection)
	return nil, err
}

func restTruncateCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "TruncateCollection", &milvuspb.TruncateCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.TruncateCollection)
	return nil, err
}

func restRenameCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err == nil {
		err = need("newCollectionName", in.New)
	}
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "RenameCollection", &milvuspb.RenameCollectionRequest{DbName: r.db, OldName: in.Collection, NewName: in.New, NewDBName: in.NewDB}, r.p.RenameCollection)
	return nil, err
}

func restLoad(refresh bool) restFunc {
	return func(ctx context.Context, r *restRequest) (any, error) {
		in, err := r.named()
		if err != nil {
			return nil, err
		}
		_, err = invoke(ctx, r.p, "LoadCollection", &milvuspb.LoadCollectionRequest{DbName: r.db, CollectionName: in.Collection, Refresh: refresh}, r.p.LoadCollection)
		return nil, err
	}
}

func restRelease(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "ReleaseCollection", &milvuspb.ReleaseCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.ReleaseCollection)
	return nil, err
}

func restFlush(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "Flush", &milvuspb.FlushRequest{DbName: r.db, CollectionNames: []string{in.Collection}}, r.p.Flush)
	return nil, err
}

func restStats(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "GetCollectionStatistics", &milvuspb.GetCollectionStatisticsRequest{DbName: r.db, CollectionName: in.Collection}, r.p.GetCollectionStatistics)
	if err != nil {
		return nil, err
	}
	rows, err := strconv.ParseInt(kvMap(resp.Stats)["row_count"], 10, 64)
	return map[string]int64{"rowCount": rows}, err
}

func restLoadState(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	state, err := invoke(ctx, r.p, "GetLoadState", &milvuspb.GetLoadStateRequest{DbName: r.db, CollectionName: in.Collection, PartitionNames: in.Partitions}, r.p.GetLoadState)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"loadState": state.State.String()}
	if state.State == commonpb.LoadState_LoadStateLoading || state.State == commonpb.LoadState_LoadStateLoaded {
		progress, err := invoke(ctx, r.p, "GetLoadingProgress", &milvuspb.GetLoadingProgressRequest{DbName: r.db, CollectionName: in.Collection, PartitionNames: in.Partitions}, r.p.GetLoadingProgress)
		if err != nil {
			return nil, err
		}
		out["loadProgress"] = progress.Progress
	}
	return out, nil
}

func restDescribeCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.named()
	if err != nil {
		return nil, err
	}
	d, err := invoke(ctx, r.p, "DescribeCollection", &milvuspb.DescribeCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.DescribeCollection)
	if err != nil {
		return nil, err
	}
	state, err := invoke(ctx, r.p, "GetLoadState", &milvuspb.GetLoadStateRequest{DbName: r.db, CollectionName: in.Collection}, r.p.GetLoadState)
	if err != nil {
		return nil, err
	}
	indexes := []map[string]string{}
	if c, err := r.p.collection(r.db, in.Collection); err == nil {
		for i := range c.Indexes {
			x := &c.Indexes[i]
			indexes = append(indexes, map[string]string{"fieldName": indexFieldName(c, x), "indexName": x.Name, "metricType": x.Metric})
		}
	}
	fields := []map[string]any{}
	for _, f := range d.Schema.Fields {
		fields = append(fields, restField(f))
	}
	return map[string]any{
		"collectionName": d.CollectionName, "collectionID": d.CollectionID, "description": d.Schema.Description, "autoId": d.Schema.AutoID,
		"enableDynamicField": d.Schema.EnableDynamicField, "load": state.State.String(), "shardsNum": d.ShardsNum, "partitionsNum": d.NumPartitions,
		"consistencyLevel": d.ConsistencyLevel.String(), "fields": fields, "indexes": indexes,
		"aliases": append([]string{}, d.Aliases...), "properties": restPairs(d.Properties),
	}, nil
}

func restField(f *schemapb.FieldSchema) map[string]any {
	out := map[string]any{
		"name": f.Name, "id": f.FieldID, "type": f.DataType.String(), "primaryKey": f.IsPrimaryKey, "partitionKey": f.IsPartitionKey,
		"clusteringKey": f.IsClusteringKey, "autoId": f.AutoID, "nullable": f.Nullable, "description": f.Description,
	}
	if len(f.TypeParams) > 0 {
		out["params"] = restPairs(f.TypeParams)
	}
	if f.DataType == schemapb.DataType_Array {
		out["elementType"] = f.ElementType.String()
	}
	return out
}

func restPairs(kvs []*commonpb.KeyValuePair) []map[string]string {
	out := []map[string]string{}
	for _, kv := range kvs {
		out = append(out, map[string]string{"key": kv.Key, "value": kv.Value})
	}
	return out
}

// restCreate is the body of a request to create a collection: the quick form with a dimension, or one with a schema.
type restCreate struct {
	Collection   string            `json:"collectionName"`
	Dimension    json.Number       `json:"dimension"`
	Metric       string            `json:"metricType"`
	IDType       string            `json:"idType"`
	AutoID       any               `json:"autoID"`
	PrimaryField string            `json:"primaryFieldName"`
	VectorField  string            `json:"vectorFieldName"`
	Description  string            `json:"description"`
	Schema       *restSchema       `json:"schema"`
	Indexes      []restIndexParams `json:"indexParams"`
	Params       map[string]any    `json:"params"`
	Properties   map[string]any    `json:"properties"`
}

type restSchema struct {
	AutoID  any              `json:"autoId"`
	AutoID2 any              `json:"autoID"`
	Dynamic any              `json:"enableDynamicField"`
	Fields  []restFieldShape `json:"fields"`
}

type restFieldShape struct {
	Name         string          `json:"fieldName"`
	DataType     string          `json:"dataType"`
	Element      string          `json:"elementDataType"`
	Primary      any             `json:"isPrimary"`
	PartitionKey any             `json:"isPartitionKey"`
	Nullable     any             `json:"nullable"`
	Default      json.RawMessage `json:"defaultValue"`
	Description  string          `json:"description"`
	Params       map[string]any  `json:"elementTypeParams"`
}

type restIndexParams struct {
	Field  string         `json:"fieldName"`
	Name   string         `json:"indexName"`
	Metric string         `json:"metricType"`
	Type   string         `json:"indexType"`
	Params map[string]any `json:"params"`
}

// truth reads a boolean that may come as one or as text.
func truth(v any) bool {
	on, err := strconv.ParseBool(strings.TrimSpace(fmt.Sprint(v)))
	return err == nil && on
}

func restCreateCollection(ctx context.Context, r *restRequest) (any, error) {
	var in restCreate
	if err := r.read(&in); err != nil {
		return nil, err
	}
	if err := need("collectionName", in.Collection); err != nil {
		return nil, err
	}
	s, err := in.schema()
	if err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(s)
	if err != nil {
		return nil, err
	}
	req := &milvuspb.CreateCollectionRequest{DbName: r.db, CollectionName: in.Collection, Schema: raw, ConsistencyLevel: commonpb.ConsistencyLevel_Bounded}
	if err := in.options(req); err != nil {
		return nil, err
	}
	if _, err := invoke(ctx, r.p, "CreateCollection", req, r.p.CreateCollection); err != nil {
		return nil, err
	}
	indexes := in.Indexes
	if in.Schema == nil {
		indexes = []restIndexParams{{Field: firstOf(in.VectorField, "vector"), Metric: firstOf(in.Metric, "COSINE"), Type: autoIndex}}
	}
	if len(indexes) == 0 {
		return nil, nil
	}
	for _, x := range indexes {
		if err := restMakeIndex(ctx, r, in.Collection, x); err != nil {
			return nil, err
		}
	}
	_, err = invoke(ctx, r.p, "LoadCollection", &milvuspb.LoadCollectionRequest{DbName: r.db, CollectionName: in.Collection}, r.p.LoadCollection)
	return nil, err
}

func (in *restCreate) options(req *milvuspb.CreateCollectionRequest) error {
	req.Properties = textPairs(in.Properties)
	for _, key := range slices.Sorted(maps.Keys(in.Params)) {
		text := fmt.Sprint(in.Params[key])
		switch key {
		case "shardsNum", "partitionsNum":
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return errs.Invalid("%s [%s] is no whole number", key, text)
			}
			if key == "shardsNum" {
				req.ShardsNum = int32(n)
			} else {
				req.NumPartitions = n
			}
		case "consistencyLevel":
			level, ok := commonpb.ConsistencyLevel_value[text]
			if !ok {
				return errs.Invalid("consistencyLevel can only be [Strong, Session, Bounded, Eventually, Customized], default: Bounded: invalid parameter[actual=%s]", text)
			}
			req.ConsistencyLevel = commonpb.ConsistencyLevel(level)
		case "ttlSeconds":
			req.Properties = append(req.Properties, &commonpb.KeyValuePair{Key: "collection.ttl.seconds", Value: text})
		}
	}
	return nil
}

func (in *restCreate) schema() (*schemapb.CollectionSchema, error) {
	out := &schemapb.CollectionSchema{Name: in.Collection, Description: in.Description}
	if in.Schema == nil {
		return out, in.quickSchema(out)
	}
	out.EnableDynamicField = truth(in.Schema.Dynamic)
	auto := truth(in.Schema.AutoID) || truth(in.Schema.AutoID2)
	for i := range in.Schema.Fields {
		f, err := in.Schema.Fields[i].field(auto)
		if err != nil {
			return nil, err
		}
		out.Fields = append(out.Fields, f)
	}
	return out, nil
}

func (in *restCreate) quickSchema(out *schemapb.CollectionSchema) error {
	if in.Dimension == "" {
		return errs.Input(restMissing, "dimension is required for quickly create collection(default metric type: COSINE): missing required parameters")
	}
	key := &schemapb.FieldSchema{Name: firstOf(in.PrimaryField, "id"), DataType: schemapb.DataType_Int64, IsPrimaryKey: true, AutoID: truth(in.AutoID)}
	switch strings.ToLower(in.IDType) {
	case "", "int64", "int":
	case "varchar", "string":
		key.DataType = schemapb.DataType_VarChar
		length := fmt.Sprint(in.Params["max_length"])
		if in.Params["max_length"] == nil {
			length = strconv.Itoa(maxVarCharLength)
		}
		key.TypeParams = []*commonpb.KeyValuePair{{Key: "max_length", Value: length}}
	default:
		return errs.Invalid("idType can only be [Int64, VarChar], default: Int64: invalid parameter[actual=%s]", in.IDType)
	}
	out.EnableDynamicField = in.Params["enableDynamicField"] == nil || truth(in.Params["enableDynamicField"])
	out.Fields = []*schemapb.FieldSchema{key, {
		Name: firstOf(in.VectorField, "vector"), DataType: schemapb.DataType_FloatVector,
		TypeParams: []*commonpb.KeyValuePair{{Key: "dim", Value: in.Dimension.String()}},
	}}
	return nil
}

func (in *restFieldShape) field(auto bool) (*schemapb.FieldSchema, error) {
	kind, ok := schemapb.DataType_value[in.DataType]
	if !ok {
		return nil, errs.Invalid("data type %s of field %s is not known", in.DataType, in.Name)
	}
	out := &schemapb.FieldSchema{
		Name: in.Name, Description: in.Description, DataType: schemapb.DataType(kind), IsPrimaryKey: truth(in.Primary),
		IsPartitionKey: truth(in.PartitionKey), Nullable: truth(in.Nullable),
	}
	out.AutoID = out.IsPrimaryKey && auto
	if in.Element != "" {
		if kind, ok = schemapb.DataType_value[in.Element]; !ok {
			return nil, errs.Invalid("element data type %s of field %s is not known", in.Element, in.Name)
		}
		out.ElementType = schemapb.DataType(kind)
	}
	for _, k := range slices.Sorted(maps.Keys(in.Params)) {
		out.TypeParams = append(out.TypeParams, &commonpb.KeyValuePair{Key: k, Value: paramText(in.Params[k])})
	}
	if len(in.Default) > 0 && string(in.Default) != "null" {
		v, err := restDefault(out, in.Default)
		if err != nil {
			return nil, err
		}
		out.DefaultValue = v
	}
	return out, nil
}

func restDefault(f *schemapb.FieldSchema, raw json.RawMessage) (*schemapb.ValueField, error) {
	bad := errs.Invalid("the default value %s of field %s is not of type %s", clip(raw), f.Name, f.DataType)
	var text string
	if f.DataType == schemapb.DataType_VarChar {
		if json.Unmarshal(raw, &text) != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_StringData{StringData: text}}, nil
	}
	text = strings.Trim(string(raw), `"`)
	switch f.DataType {
	case schemapb.DataType_Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_BoolData{BoolData: v}}, nil
	case schemapb.DataType_Int64:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_LongData{LongData: v}}, nil
	case schemapb.DataType_Int8, schemapb.DataType_Int16, schemapb.DataType_Int32:
		v, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_IntData{IntData: int32(v)}}, nil
	case schemapb.DataType_Float:
		v, err := strconv.ParseFloat(text, 32)
		if err != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_FloatData{FloatData: float32(v)}}, nil
	case schemapb.DataType_Double:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, bad
		}
		return &schemapb.ValueField{Data: &schemapb.ValueField_DoubleData{DoubleData: v}}, nil
	}
	return nil, bad
}

func restMakeIndex(ctx context.Context, r *restRequest, collection string, x restIndexParams) error {
	params := map[string]string{}
	for k, v := range x.Params {
		params[k] = paramText(v)
	}
	if x.Metric != "" {
		params[keyMetricType] = x.Metric
	}
	if x.Type != "" {
		params[keyIndexType] = x.Type
	}
	_, err := invoke(ctx, r.p, "CreateIndex", &milvuspb.CreateIndexRequest{
		DbName: r.db, CollectionName: collection, FieldName: x.Field, IndexName: x.Name, ExtraParams: sortedKVs(params),
	}, r.p.CreateIndex)
	return err
}
