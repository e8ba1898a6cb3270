package proxy

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// CreateCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) CreateCollection(ctx context.Context, req *milvuspb.CreateCollectionRequest) (*commonpb.Status, error) {
	if _, err := p.database(req.DbName); err != nil {
		return nil, err
	}
	s, in, err := parseSchema(req.Schema, req.CollectionName, req.ShardsNum)
	if err != nil {
		return nil, err
	}
	keyed := slices.ContainsFunc(s.Fields, func(f schema.Field) bool { return f.PartitionKey })
	if req.NumPartitions != 0 && !keyed {
		return nil, errs.Invalid("num_partitions should only be specified with partition key field enabled")
	}
	if req.NumPartitions < 0 || req.NumPartitions > 1024 {
		return nil, errs.Invalid("the specified partitions should be greater than 0 and at most 1024 if partition key is used")
	}
	props := kvMap(in.Properties)
	maps.Copy(props, kvMap(req.Properties))
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().CreateCollection(ctx, &pb.CreateCollectionRequest{
		Db: req.DbName, Name: req.CollectionName, Description: in.Description, SchemaJson: raw, Shards: max(req.ShardsNum, 1),
		Consistency: int32(req.ConsistencyLevel), NumPartitions: int32(req.NumPartitions), Properties: props,
	})
	return success(), p.changed(ctx, ack, err)
}

func kvMap(kvs []*commonpb.KeyValuePair) map[string]string {
	out := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		out[kv.Key] = kv.Value
	}
	return out
}

// DropCollection implements milvuspb.MilvusServiceServer. Dropping what is not there succeeds.
func (p *Proxy) DropCollection(ctx context.Context, req *milvuspb.DropCollectionRequest) (*commonpb.Status, error) {
	if _, err := p.database(req.DbName); err != nil {
		return nil, err
	}
	if err := checkCollectionName(req.CollectionName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().DropCollection(ctx, ref(req.DbName, req.CollectionName))
	return success(), p.changed(ctx, ack, err)
}

// TruncateCollection implements milvuspb.MilvusServiceServer: it takes all rows out of a collection and nothing else.
func (p *Proxy) TruncateCollection(ctx context.Context, req *milvuspb.TruncateCollectionRequest) (*milvuspb.TruncateCollectionResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().TruncateCollection(ctx, ref(c.DB, c.Name))
	return &milvuspb.TruncateCollectionResponse{Status: success()}, p.changed(ctx, ack, err)
}

// HasCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) HasCollection(_ context.Context, req *milvuspb.HasCollectionRequest) (*milvuspb.BoolResponse, error) {
	_, err := p.collection(req.DbName, req.CollectionName)
	if err != nil && !errs.Is(err, errs.CollectionNotFound) {
		return nil, err
	}
	return &milvuspb.BoolResponse{Status: success(), Value: err == nil}, nil
}

// BatchDescribeCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) BatchDescribeCollection(ctx context.Context, req *milvuspb.BatchDescribeCollectionRequest) (*milvuspb.BatchDescribeCollectionResponse, error) {
	out := &milvuspb.BatchDescribeCollectionResponse{Status: success()}
	one := func(name string, id int64) error {
		resp, err := p.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{DbName: req.DbName, CollectionName: name, CollectionID: id})
		out.Responses = append(out.Responses, resp)
		return err
	}
	for _, name := range req.CollectionName {
		if err := one(name, 0); err != nil {
			return nil, err
		}
	}
	for _, id := range req.CollectionID {
		if len(req.CollectionName) > 0 {
			break // names win, as in a single describe
		}
		if err := one("", id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ShowCollections implements milvuspb.MilvusServiceServer.
func (p *Proxy) ShowCollections(_ context.Context, req *milvuspb.ShowCollectionsRequest) (*milvuspb.ShowCollectionsResponse, error) {
	if _, err := p.database(req.DbName); err != nil {
		return nil, err
	}
	collections := p.deps.Cache.Collections(req.DbName)
	if len(req.CollectionNames) > 0 {
		collections = nil
		for _, name := range req.CollectionNames {
			c, err := p.collection(req.DbName, name)
			if err != nil {
				return nil, err
			}
			if req.Type == milvuspb.ShowType_InMemory && c.Load == nil {
				return nil, collectionNotLoaded(c)
			}
			collections = append(collections, c)
		}
	}
	out := &milvuspb.ShowCollectionsResponse{Status: success()}
	for _, c := range collections {
		if req.Type == milvuspb.ShowType_InMemory && c.Load == nil {
			continue
		}
		out.CollectionNames = append(out.CollectionNames, c.Name)
		out.CollectionIds = append(out.CollectionIds, c.ID)
		out.CreatedTimestamps = append(out.CreatedTimestamps, c.CreatedTS)
		out.CreatedUtcTimestamps = append(out.CreatedUtcTimestamps, uint64(tso.UnixMS(c.CreatedTS)))
		out.ShardsNum = append(out.ShardsNum, int32(len(c.ShardLogs)))
		percent := p.publishedPercent(c)
		out.InMemoryPercentages = append(out.InMemoryPercentages, percent)
		out.QueryServiceAvailable = append(out.QueryServiceAvailable, percent == 100)
	}
	return out, nil
}

// publishedPercent is the share of a collection's shards that have a view.
func (p *Proxy) publishedPercent(c *catalog.Collection) int64 {
	if c.Load == nil || len(c.ShardLogs) == 0 {
		return 0
	}
	have := map[int]bool{}
	for _, v := range p.deps.Cache.Views(c.ID) {
		have[v.Shard] = true
	}
	return int64(100 * len(have) / len(c.ShardLogs))
}

// RenameCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) RenameCollection(ctx context.Context, req *milvuspb.RenameCollectionRequest) (*commonpb.Status, error) {
	if err := checkCollectionName(req.NewName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().RenameCollection(ctx, &pb.RenameCollectionRequest{
		Db: req.DbName, Name: req.OldName, NewDb: req.NewDBName, NewName: req.NewName,
	})
	return success(), p.changed(ctx, ack, err)
}

// AlterCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) AlterCollection(ctx context.Context, req *milvuspb.AlterCollectionRequest) (*commonpb.Status, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	if err != nil {
		return nil, err
	}
	if len(req.Properties) == 0 && len(req.DeleteKeys) == 0 {
		return nil, errs.Invalid("either properties or delete keys should be given to alter a collection")
	}
	set := kvMap(req.Properties)
	change := &pb.AlterCollectionRequest{Collection: ref(c.DB, c.Name), Set: set, DeleteKeys: req.DeleteKeys}
	if d, ok := set["collection.description"]; ok {
		delete(set, "collection.description")
		change.Description = &d
	}
	ack, err := p.deps.Peers.Coordinator().AlterCollection(ctx, change)
	return success(), p.changed(ctx, ack, err)
}

// AlterCollectionField implements milvuspb.MilvusServiceServer.
func (p *Proxy) AlterCollectionField(ctx context.Context, req *milvuspb.AlterCollectionFieldRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if c.Schema.Field(req.FieldName) == nil {
		return nil, errs.Invalid("field %s does not exist in collection %s", req.FieldName, req.CollectionName)
	}
	ack, err := p.deps.Peers.Coordinator().AlterCollection(ctx, &pb.AlterCollectionRequest{
		Collection: ref(c.DB, c.Name), Field: req.FieldName, Set: kvMap(req.Properties), DeleteKeys: req.DeleteKeys,
	})
	return success(), p.changed(ctx, ack, err)
}

// AddCollectionField implements milvuspb.MilvusServiceServer.
func (p *Proxy) AddCollectionField(ctx context.Context, req *milvuspb.AddCollectionFieldRequest) (*commonpb.Status, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	if err != nil {
		return nil, err
	}
	var in schemapb.FieldSchema
	if err := proto.Unmarshal(req.Schema, &in); err != nil {
		return nil, errs.Invalid("the field is no valid FieldSchema: %v", err)
	}
	if err := checkType(&in); err != nil {
		return nil, err
	}
	field, err := parseAddedField(&in, c.Name)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(field)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().AddField(ctx, &pb.AddFieldRequest{Collection: ref(c.DB, c.Name), FieldJson: raw})
	return success(), p.changed(ctx, ack, err)
}

// parseAddedField lets the coordinator refuse a vector with its own words before the vector's parameters are looked at.
func parseAddedField(in *schemapb.FieldSchema, collection string) (schema.Field, error) {
	if schema.Type(in.DataType).IsVector() {
		return schema.Field{Name: in.Name, Type: schema.Type(in.DataType), Nullable: in.Nullable}, nil
	}
	return parseField(in, collection)
}

// GetCollectionStatistics implements milvuspb.MilvusServiceServer. Rows are all that were written, dead or not, until
// compaction drops them.
func (p *Proxy) GetCollectionStatistics(ctx context.Context, req *milvuspb.GetCollectionStatisticsRequest) (*milvuspb.GetCollectionStatisticsResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	rows, err := p.rows(ctx, c, 0)
	return &milvuspb.GetCollectionStatisticsResponse{Status: success(), Stats: rowCount(rows)}, err
}
