// Package client is a small client of the public API for Gyr's own tests, straight on the protocol so that a test sees
// every status that a server sends.
package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// Client is a connection to one proxy.
type Client struct {
	milvuspb.MilvusServiceClient
	conn *grpc.ClientConn
}

// StatusError is a Status that says no.
type StatusError struct{ *commonpb.Status }

func (e StatusError) Error() string {
	return fmt.Sprintf("code %d (%s): %s", e.Code, e.ErrorCode, e.Reason)
}

// Check turns a call's outcome into an error.
func Check(s *commonpb.Status, err error) error {
	switch {
	case err != nil:
		return err
	case s.GetCode() != 0 || s.GetErrorCode() != commonpb.ErrorCode_Success:
		return StatusError{s}
	}
	return nil
}

// Dial connects lazily. It looks for a server that is gone ten times a second, so that a test measures the server's
// absence and not the client's patience.
func Dial(addr string) (*Client, error) {
	retry := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 100 * time.Millisecond}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	return &Client{milvuspb.NewMilvusServiceClient(conn), conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Row is one row of the test collections: key, version, vector.
type Row struct {
	Key, Version int64
	Vector       []float32
}

// Spec describes a test collection: fields key (Int64), version (Int64), vec (FloatVector).
type Spec struct {
	Name       string
	Dim        int
	Shards     int32
	Index      string // HNSW or FLAT
	Metric     string
	NoLoad     bool
	Consistent commonpb.ConsistencyLevel
}

// Create creates, indexes and loads a test collection.
func (c *Client) Create(ctx context.Context, s Spec) error {
	kv := func(k, v string) *commonpb.KeyValuePair { return &commonpb.KeyValuePair{Key: k, Value: v} }
	schema, err := proto.Marshal(&schemapb.CollectionSchema{Name: s.Name, Fields: []*schemapb.FieldSchema{
		{Name: "key", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "version", DataType: schemapb.DataType_Int64},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: []*commonpb.KeyValuePair{kv("dim", fmt.Sprint(s.Dim))}},
	}})
	if err != nil {
		return err
	}
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: s.Name, Schema: schema, ShardsNum: s.Shards, ConsistencyLevel: s.Consistent})
	if err := Check(st, err); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	index, metric := s.Index, s.Metric
	if index == "" {
		index = "FLAT"
	}
	if metric == "" {
		metric = "L2"
	}
	st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{
		CollectionName: s.Name, FieldName: "vec",
		ExtraParams: []*commonpb.KeyValuePair{kv("index_type", index), kv("metric_type", metric), kv("M", "16"), kv("efConstruction", "200")},
	})
	if err := Check(st, err); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if s.NoLoad {
		return nil
	}
	return c.Load(ctx, s.Name)
}

// Load loads a collection and waits for it.
func (c *Client) Load(ctx context.Context, name string) error {
	st, err := c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: name})
	if err := Check(st, err); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	for {
		p, err := c.GetLoadingProgress(ctx, &milvuspb.GetLoadingProgressRequest{CollectionName: name})
		if err := Check(p.GetStatus(), err); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if p.Progress >= 100 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("load at %d %%: %w", p.Progress, ctx.Err())
		}
	}
}

// Columns turns rows into the API's columns.
func Columns(rows []Row) []*schemapb.FieldData {
	var keys, versions []int64
	var vectors []float32
	for _, r := range rows {
		keys, versions, vectors = append(keys, r.Key), append(versions, r.Version), append(vectors, r.Vector...)
	}
	long := func(name string, v []int64) *schemapb.FieldData {
		return &schemapb.FieldData{FieldName: name, Type: schemapb.DataType_Int64, Field: &schemapb.FieldData_Scalars{
			Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: v}}},
		}}
	}
	return []*schemapb.FieldData{long("key", keys), long("version", versions), {
		FieldName: "vec", Type: schemapb.DataType_FloatVector,
		Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim:  int64(len(vectors) / max(len(rows), 1)),
			Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: vectors}},
		}},
	}}
}

// InsertRows inserts rows.
func (c *Client) InsertRows(ctx context.Context, name string, rows []Row) error {
	r, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: name, FieldsData: Columns(rows), NumRows: uint32(len(rows))})
	return Check(r.GetStatus(), err)
}

// UpsertRows upserts rows.
func (c *Client) UpsertRows(ctx context.Context, name string, rows []Row) error {
	r, err := c.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: name, FieldsData: Columns(rows), NumRows: uint32(len(rows))})
	return Check(r.GetStatus(), err)
}

// DeleteWhere deletes by an expression.
func (c *Client) DeleteWhere(ctx context.Context, name, expr string) error {
	r, err := c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: name, Expr: expr})
	return Check(r.GetStatus(), err)
}

// FlushWait flushes and waits until the flush is through.
func (c *Client) FlushWait(ctx context.Context, name string) error {
	f, err := c.Flush(ctx, &milvuspb.FlushRequest{CollectionNames: []string{name}})
	if err := Check(f.GetStatus(), err); err != nil {
		return err
	}
	for {
		s, err := c.GetFlushState(ctx, &milvuspb.GetFlushStateRequest{SegmentIDs: f.CollSegIDs[name].GetData(), FlushTs: f.CollFlushTs[name], CollectionName: name})
		if err := Check(s.GetStatus(), err); err != nil {
			return err
		}
		if s.Flushed {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// QueryRows reads rows under Strong, in key order; limit 0 means none.
func (c *Client) QueryRows(ctx context.Context, name, expr string, limit int) ([]Row, error) {
	req := &milvuspb.QueryRequest{CollectionName: name, Expr: expr, OutputFields: []string{"key", "version", "vec"}, ConsistencyLevel: commonpb.ConsistencyLevel_Strong}
	if limit > 0 {
		req.QueryParams = []*commonpb.KeyValuePair{{Key: "limit", Value: fmt.Sprint(limit)}}
	}
	r, err := c.Query(ctx, req)
	if err := Check(r.GetStatus(), err); err != nil {
		return nil, err
	}
	var keys, versions []int64
	var vectors []float32
	for _, f := range r.FieldsData {
		switch f.FieldName {
		case "key":
			keys = f.GetScalars().GetLongData().GetData()
		case "version":
			versions = f.GetScalars().GetLongData().GetData()
		case "vec":
			vectors = f.GetVectors().GetFloatVector().GetData()
		}
	}
	if len(versions) != len(keys) || (len(keys) > 0 && len(vectors)%len(keys) != 0) {
		return nil, fmt.Errorf("query answers %d keys, %d versions, %d floats", len(keys), len(versions), len(vectors))
	}
	rows := make([]Row, len(keys))
	for i := range rows {
		dim := len(vectors) / len(keys)
		rows[i] = Row{keys[i], versions[i], vectors[i*dim : (i+1)*dim]}
	}
	return rows, nil
}

// Count is count(*) under Strong.
func (c *Client) Count(ctx context.Context, name string) (int64, error) {
	r, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: name, OutputFields: []string{"count(*)"}, ConsistencyLevel: commonpb.ConsistencyLevel_Strong})
	if err := Check(r.GetStatus(), err); err != nil {
		return 0, err
	}
	if len(r.FieldsData) != 1 || len(r.FieldsData[0].GetScalars().GetLongData().GetData()) != 1 {
		return 0, fmt.Errorf("count(*) answers %d columns", len(r.FieldsData))
	}
	return r.FieldsData[0].GetScalars().GetLongData().Data[0], nil
}

// SearchKeys searches for the k nearest keys of each query.
func (c *Client) SearchKeys(ctx context.Context, name string, queries [][]float32, k int, level commonpb.ConsistencyLevel, params ...*commonpb.KeyValuePair) ([][]int64, error) {
	ph := &commonpb.PlaceholderValue{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector}
	for _, q := range queries {
		raw := make([]byte, 0, 4*len(q))
		for _, x := range q {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		ph.Values = append(ph.Values, raw)
	}
	group, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{ph}})
	if err != nil {
		return nil, err
	}
	r, err := c.Search(ctx, &milvuspb.SearchRequest{
		CollectionName: name, DslType: commonpb.DslType_BoolExprV1, Nq: int64(len(queries)),
		SearchInput:      &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: group},
		SearchParams:     append([]*commonpb.KeyValuePair{{Key: "topk", Value: fmt.Sprint(k)}, {Key: "anns_field", Value: "vec"}}, params...),
		ConsistencyLevel: level,
	})
	if err := Check(r.GetStatus(), err); err != nil {
		return nil, err
	}
	ids := r.Results.GetIds().GetIntId().GetData()
	var out [][]int64
	for _, n := range r.Results.Topks {
		if int(n) > len(ids) {
			return nil, fmt.Errorf("search answers topks %v with %d ids left", r.Results.Topks, len(ids))
		}
		out = append(out, ids[:n])
		ids = ids[n:]
	}
	return out, nil
}
