package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// DescribeCollection implements milvuspb.MilvusServiceServer.
func (p *Proxy) DescribeCollection(_ context.Context, req *milvuspb.DescribeCollectionRequest) (*milvuspb.DescribeCollectionResponse, error) {
	c, err := p.describedCollection(req.DbName, req.CollectionName, req.CollectionID)
	var e *errs.Error
	if errors.As(err, &e) && e.Code == errs.CollectionNotFound {
		return &milvuspb.DescribeCollectionResponse{Status: describeNotFound(req.DbName, req.CollectionName)}, nil
	}
	if err != nil {
		return nil, err
	}
	name := req.CollectionName
	if name == "" {
		name = c.Name
	}
	return p.description(c, name), nil
}

func (p *Proxy) describedCollection(db, name string, id int64) (*catalog.Collection, error) {
	if name == "" && id != 0 {
		c := p.deps.Cache.CollectionByID(id)
		if c == nil || c.State == catalog.Dropping {
			return nil, collectionNotFound(db, strconv.FormatInt(id, 10))
		}
		return c, nil
	}
	return p.collection(db, name)
}

// describeNotFound is the odd Status by which SDKs recognise, in this one method, that a collection is not there.
func describeNotFound(db, name string) *commonpb.Status {
	reason := fmt.Sprintf("can't find collection[database=%s][collection=%s]", db, name)
	return &commonpb.Status{
		Code: int32(errs.CollectionNotFound), ErrorCode: commonpb.ErrorCode_UnexpectedError, Reason: reason, Detail: reason,
		ExtraInfo: map[string]string{"is_input_error": "true"},
	}
}

// description describes a collection; asked is the name or alias that the user gave.
func (p *Proxy) description(c *catalog.Collection, asked string) *milvuspb.DescribeCollectionResponse {
	out := &milvuspb.DescribeCollectionResponse{
		Status: success(), Schema: publicSchema(c), CollectionID: c.ID, CollectionName: asked, DbName: c.DB,
		CreatedTimestamp: c.CreatedTS, CreatedUtcTimestamp: uint64(tso.UnixMS(c.CreatedTS)),
		UpdateTimestamp: c.UpdatedTS, UpdateTimestampStr: strconv.FormatUint(c.UpdatedTS, 10),
		ShardsNum: int32(len(c.ShardLogs)), NumPartitions: int64(len(livePartitions(c))),
		ConsistencyLevel: commonpb.ConsistencyLevel(c.Consistency), Properties: sortedKVs(c.Properties),
		RequestTime: tso.Compose(0, 0),
	}
	if db := p.deps.Cache.Database(c.DB); db != nil {
		out.DbId = db.ID
	}
	for _, a := range p.deps.Cache.AliasesOf(c.ID) {
		out.Aliases = append(out.Aliases, a.Name)
	}
	for shard, log := range c.ShardLogs {
		out.PhysicalChannelNames = append(out.PhysicalChannelNames, physicalChannel(log))
		out.VirtualChannelNames = append(out.VirtualChannelNames, virtualChannel(c.ID, shard, log))
	}
	return out
}

func physicalChannel(log int) string { return fmt.Sprintf("gyr-log_%d", log) }

func virtualChannel(collection int64, shard, log int) string {
	return fmt.Sprintf("%s_%dv%d", physicalChannel(log), collection, shard)
}

// publicSchema is a schema as users see it: without the hidden dynamic field.
func publicSchema(c *catalog.Collection) *schemapb.CollectionSchema {
	out := &schemapb.CollectionSchema{
		Name: c.Name, Description: c.Description, EnableDynamicField: c.Schema.EnableDynamic, DbName: c.DB,
		Version: c.Schema.Version, Properties: sortedKVs(c.Properties),
	}
	for i := range c.Schema.Fields {
		if f := &c.Schema.Fields[i]; !f.Dynamic {
			out.Fields = append(out.Fields, publicField(f))
			out.AutoID = out.AutoID || f.AutoID
		}
	}
	return out
}

func publicField(f *schema.Field) *schemapb.FieldSchema {
	return &schemapb.FieldSchema{
		FieldID: f.ID, Name: f.Name, Description: f.Description, DataType: schemapb.DataType(f.Shown()),
		ElementType: schemapb.DataType(f.Elem), IsPrimaryKey: f.PrimaryKey, AutoID: f.AutoID, IsPartitionKey: f.PartitionKey,
		Nullable: f.Nullable, IsDynamic: f.Dynamic, TypeParams: kvPairs(f.TypeParams), DefaultValue: publicDefault(f),
	}
}

// publicDefault is a field's default value in the API's form, or nil.
func publicDefault(f *schema.Field) *schemapb.ValueField {
	d := f.Default
	if d == nil || d.N == 0 {
		return nil
	}
	switch {
	case f.Form == schema.Timestamptz:
		return &schemapb.ValueField{Data: &schemapb.ValueField_StringData{StringData: schema.ShowTime(d.Ints[0], time.UTC)}}
	case f.Type == schema.Bool:
		return &schemapb.ValueField{Data: &schemapb.ValueField_BoolData{BoolData: d.Bools[0]}}
	case f.Type == schema.Int64:
		return &schemapb.ValueField{Data: &schemapb.ValueField_LongData{LongData: d.Ints[0]}}
	case f.Type.IsInt():
		return &schemapb.ValueField{Data: &schemapb.ValueField_IntData{IntData: int32(d.Ints[0])}}
	case f.Type == schema.Float:
		return &schemapb.ValueField{Data: &schemapb.ValueField_FloatData{FloatData: d.Floats[0]}}
	case f.Type == schema.Double:
		return &schemapb.ValueField{Data: &schemapb.ValueField_DoubleData{DoubleData: d.Doubles[0]}}
	case f.Type == schema.VarChar:
		return &schemapb.ValueField{Data: &schemapb.ValueField_StringData{StringData: d.Strings[0]}}
	}
	return nil
}

func livePartitions(c *catalog.Collection) []*catalog.Partition {
	var out []*catalog.Partition
	for i := range c.Partitions {
		if c.Partitions[i].State != catalog.Dropping {
			out = append(out, &c.Partitions[i])
		}
	}
	return out
}

func kvPairs(kvs []schema.KV) []*commonpb.KeyValuePair {
	var out []*commonpb.KeyValuePair
	for _, kv := range kvs {
		out = append(out, &commonpb.KeyValuePair{Key: kv.Key, Value: kv.Value})
	}
	return out
}

func sortedKVs(m map[string]string) []*commonpb.KeyValuePair {
	var out []*commonpb.KeyValuePair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, &commonpb.KeyValuePair{Key: k, Value: m[k]})
	}
	return out
}
