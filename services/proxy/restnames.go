package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
)

// restNames are the calls about partitions, indexes, aliases and databases.
func restNames() map[string]restFunc {
	return map[string]restFunc{
		"partitions/list":    restListPartitions,
		"partitions/has":     restHasPartition,
		"partitions/create":  restCreatePartition,
		"partitions/drop":    restDropPartition,
		"indexes/list":       restListIndexes,
		"indexes/describe":   restDescribeIndex,
		"indexes/create":     restCreateIndexes,
		"indexes/drop":       restDropIndex,
		"aliases/list":       restListAliases,
		"aliases/describe":   restDescribeAlias,
		"aliases/create":     restCreateAlias,
		"aliases/drop":       restDropAlias,
		"aliases/alter":      restAlterAlias,
		"databases/list":     restListDatabases,
		"databases/create":   restCreateDatabase,
		"databases/drop":     restDropDatabase,
		"databases/describe": restDescribeDatabase,
	}
}

// restSubject is the body of these calls.
type restSubject struct {
	Collection string            `json:"collectionName"`
	Partition  string            `json:"partitionName"`
	Index      string            `json:"indexName"`
	Alias      string            `json:"aliasName"`
	Indexes    []restIndexParams `json:"indexParams"`
	Properties map[string]any    `json:"properties"`
}

func (r *restRequest) subject(needed ...string) (restSubject, error) {
	var in restSubject
	if err := r.read(&in); err != nil {
		return in, err
	}
	for _, name := range needed {
		value := map[string]string{"collectionName": in.Collection, "partitionName": in.Partition, "indexName": in.Index, "aliasName": in.Alias}[name]
		if err := need(name, value); err != nil {
			return in, err
		}
	}
	return in, nil
}

func restListPartitions(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "ShowPartitions", &milvuspb.ShowPartitionsRequest{DbName: r.db, CollectionName: in.Collection}, r.p.ShowPartitions)
	return append([]string{}, resp.GetPartitionNames()...), err
}

func restHasPartition(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "partitionName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "HasPartition", &milvuspb.HasPartitionRequest{DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition}, r.p.HasPartition)
	return map[string]bool{"has": resp.GetValue()}, err
}

func restCreatePartition(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "partitionName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "CreatePartition", &milvuspb.CreatePartitionRequest{DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition}, r.p.CreatePartition)
	return nil, err
}

func restDropPartition(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "partitionName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "DropPartition", &milvuspb.DropPartitionRequest{DbName: r.db, CollectionName: in.Collection, PartitionName: in.Partition}, r.p.DropPartition)
	return nil, err
}

func restListIndexes(_ context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName")
	if err != nil {
		return nil, err
	}
	c, err := r.p.collection(r.db, in.Collection)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for i := range c.Indexes {
		names = append(names, c.Indexes[i].Name)
	}
	return names, nil
}

func restDescribeIndex(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "indexName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "DescribeIndex", &milvuspb.DescribeIndexRequest{DbName: r.db, CollectionName: in.Collection, IndexName: in.Index}, r.p.DescribeIndex)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, d := range resp.IndexDescriptions {
		params := kvMap(d.Params)
		out = append(out, map[string]any{
			"indexName": d.IndexName, "fieldName": d.FieldName, "indexType": params[keyIndexType], "metricType": params[keyMetricType],
			"indexState": d.State.String(), "totalRows": d.TotalRows, "indexedRows": d.IndexedRows, "pendingRows": d.PendingIndexRows, "failReason": d.IndexStateFailReason,
		})
	}
	return out, nil
}

func restCreateIndexes(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName")
	if err != nil {
		return nil, err
	}
	for _, x := range in.Indexes {
		if err := restMakeIndex(ctx, r, in.Collection, x); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func restDropIndex(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "indexName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "DropIndex", &milvuspb.DropIndexRequest{DbName: r.db, CollectionName: in.Collection, IndexName: in.Index}, r.p.DropIndex)
	return nil, err
}

func restListAliases(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject()
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "ListAliases", &milvuspb.ListAliasesRequest{DbName: r.db, CollectionName: in.Collection}, r.p.ListAliases)
	return append([]string{}, resp.GetAliases()...), err
}

func restDescribeAlias(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("aliasName")
	if err != nil {
		return nil, err
	}
	resp, err := invoke(ctx, r.p, "DescribeAlias", &milvuspb.DescribeAliasRequest{DbName: r.db, Alias: in.Alias}, r.p.DescribeAlias)
	return map[string]string{"dbName": resp.GetDbName(), "aliasName": resp.GetAlias(), "collectionName": resp.GetCollection()}, err
}

func restCreateAlias(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "aliasName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "CreateAlias", &milvuspb.CreateAliasRequest{DbName: r.db, CollectionName: in.Collection, Alias: in.Alias}, r.p.CreateAlias)
	return nil, err
}

func restDropAlias(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("aliasName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "DropAlias", &milvuspb.DropAliasRequest{DbName: r.db, Alias: in.Alias}, r.p.DropAlias)
	return nil, err
}

func restAlterAlias(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject("collectionName", "aliasName")
	if err != nil {
		return nil, err
	}
	_, err = invoke(ctx, r.p, "AlterAlias", &milvuspb.AlterAliasRequest{DbName: r.db, CollectionName: in.Collection, Alias: in.Alias}, r.p.AlterAlias)
	return nil, err
}

func restListDatabases(ctx context.Context, r *restRequest) (any, error) {
	resp, err := invoke(ctx, r.p, "ListDatabases", &milvuspb.ListDatabasesRequest{}, r.p.ListDatabases)
	return append([]string{}, resp.GetDbNames()...), err
}

func restCreateDatabase(ctx context.Context, r *restRequest) (any, error) {
	in, err := r.subject()
	if err != nil {
		return nil, err
	}
	props := []*commonpb.KeyValuePair{}
	for k, v := range in.Properties {
		props = append(props, &commonpb.KeyValuePair{Key: k, Value: paramText(v)})
	}
	_, err = invoke(ctx, r.p, "CreateDatabase", &milvuspb.CreateDatabaseRequest{DbName: r.db, Properties: props}, r.p.CreateDatabase)
	return nil, err
}

func restDropDatabase(ctx context.Context, r *restRequest) (any, error) {
	_, err := invoke(ctx, r.p, "DropDatabase", &milvuspb.DropDatabaseRequest{DbName: r.db}, r.p.DropDatabase)
	return nil, err
}

func restDescribeDatabase(ctx context.Context, r *restRequest) (any, error) {
	resp, err := invoke(ctx, r.p, "DescribeDatabase", &milvuspb.DescribeDatabaseRequest{DbName: r.db}, r.p.DescribeDatabase)
	if err != nil {
		return nil, err
	}
	return map[string]any{"dbName": resp.DbName, "dbID": resp.DbID, "properties": restPairs(resp.Properties)}, nil
}
