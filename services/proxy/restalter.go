package proxy

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
)

// restAlterations are the calls that change properties, fields and what is loaded, and those about compactions.
func restAlterations() map[string]restFunc {
	return map[string]restFunc{
		"collections/alter_properties":        restAlterCollection,
		"collections/drop_properties":         restAlterCollection,
		"collections/fields/add":              restAddField,
		"collections/fields/alter_properties": restAlterField,
		"collections/compact":                 restCompact,
		"collections/get_compaction_state":    restCompactionState,
		"partitions/load":                     restLoadPartitions,
		"partitions/release":                  restReleasePartitions,
		"partitions/get_stats":                restPartitionStats,
		"indexes/alter_properties":            restAlterIndex,
		"indexes/drop_properties":             restAlterIndex,
		"databases/alter":                     restAlterDatabase,
		"databases/alter_properties":          restAlterDatabase,
		"databases/drop_properties":           restAlterDatabase,
	}
}

// restChange is the body of these calls. Of properties to set and keys to drop a path names one; both are done.
type restChange struct {
	Collection  string          `json:"collectionName"`
	Partition   string          `json:"partitionName"`
	Partitions  []string        `json:"partitionNames"`
	Index       string          `json:"indexName"`
	Field       string          `json:"fieldName"`
	FieldParams map[string]any  `json:"fieldParams"`
	Properties  map[string]any  `json:"properties"`
	Keys        []string        `json:"propertyKeys"`
	Schema      *restFieldShape `json:"schema"`
	Clustering  any             `json:"isClustering"`
}

// change reads the body; the members named in needed must be there.
func (r *restRequest) change(needed ...string) (restChange, error) {
	var in restChange
	if err := r.read(&in); err != nil {
		return in, err
	}
	for _, name := range needed {
		value := map[string]string{
			"collectionName": in.Collection, "partitionName": in.Partition, "partitionNames": strings.Join(in.Partitions, ","),
			"indexName": in.Index, "fieldName": in.Field,
		}[name]
		if err := need(name, value); err != nil {
			return in, err
		}
	}
	return in, nil
}

// textPairs are properties as the API has them, in order of their keys.
func textPairs(values map[string]any) []*commonpb.KeyValuePair {
	texts := make(map[string]string, len(values))
	for k, v := range values {
		texts[k] = paramText(v)
	}
	return sortedKVs(texts)
}

func restAlterCollection(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AlterCollection", &milvuspb.AlterCollectionRequest{
		DbName: r.db, CollectionName: in.Collection, Properties: textPairs(in.Properties), DeleteKeys: in.Keys,
	}, r.p.AlterCollection)
	return nil, err
}

func restAddField(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName")
	if err != nil {
		return nil, err
	}
	if in.Schema == nil {
		return nil, need("schema", "")
	}
	f, err := in.Schema.field(false)
	if err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(f)
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AddCollectionField", &milvuspb.AddCollectionFieldRequest{DbName: r.db, CollectionName: in.Collection, Schema: raw}, r.p.AddCollectionField)
	return nil, err
}

func restAlterField(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName", "fieldName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AlterCollectionField", &milvuspb.AlterCollectionFieldRequest{
		DbName: r.db, CollectionName: in.Collection, FieldName: in.Field, Properties: textPairs(in.FieldParams), DeleteKeys: in.Keys,
	}, r.p.AlterCollectionField)
	return nil, err
}

func restAlterIndex(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName", "indexName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AlterIndex", &milvuspb.AlterIndexRequest{
		DbName: r.db, CollectionName: in.Collection, IndexName: in.Index, ExtraParams: textPairs(in.Properties), DeleteKeys: in.Keys,
	}, r.p.AlterIndex)
	return nil, err
}

func restAlterDatabase(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change()
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AlterDatabase", &milvuspb.AlterDatabaseRequest{DbName: r.db, Properties: textPairs(in.Properties), DeleteKeys: in.Keys}, r.p.AlterDatabase)
	return nil, err
}

func restLoadPartitions(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName", "partitionNames")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "LoadPartitions", &milvuspb.LoadPartitionsRequest{DbName: r.db, CollectionName: in.Collection, PartitionNames: in.Partitions}, r.p.LoadPartitions)
	return nil, err
}

func restReleasePartitions(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName", "partitionNames")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "ReleasePartitions", &milvuspb.ReleasePartitionsRequest{DbName: r.db, CollectionName: in.Collection, PartitionNames: in.Partitions}, r.p.ReleasePartitions)
	return nil, err
}

func restPartitionStats(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName", "partitionName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "GetPartitionStatistics", &milvuspb.GetPartitionStatisticsRequest{DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition}, r.p.GetPartitionStatistics)
	if err != nil {
		return nil, err
	}
	rows, err := strconv.ParseInt(kvMap(resp.Stats)["row_count"], 10, 64)
	return map[string]int64{"rowCount": rows}, err
}

func restCompact(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.change("collectionName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "ManualCompaction", &milvuspb.ManualCompactionRequest{
		DbName: r.db, CollectionName: in.Collection, MajorCompaction: truth(in.Clustering),
	}, r.p.ManualCompaction)
	return map[string]any{"compactionID": resp.GetCompactionID()}, err
}

// restCompactionState takes the id as a number, or as text by clients that cannot hold one of 64 bits.
func restCompactionState(ctx context.Context, r *restRequest) (any, error) {
	var in struct {
		Job json.RawMessage `json:"jobID"`
	}
	if err := r.read(&in); err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(strings.Trim(string(in.Job), `"`), 10, 64)
	if err != nil {
		return nil, errs.Input(restMissing, "missing required parameters, error: jobID [%s] is no whole number", clip(in.Job))
	}
	resp, err := invoke(ctx, r.p, "GetCompactionState", &milvuspb.GetCompactionStateRequest{CompactionID: id}, r.p.GetCompactionState)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"compactionID": id, "state": resp.State.String(), "executingPlanNumber": resp.ExecutingPlanNo,
		"timeoutPlanNumber": resp.TimeoutPlanNo, "completedPlanNumber": resp.CompletedPlanNo,
	}, nil
}
