// Package packages is the demo's collection: fields id, vector, name, section and size, over the public API. The benchmark
// uses it too. It works against any server that speaks that API.
package packages

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/demo/dataset"
)

// BatchRows is how many rows go into one insert.
const BatchRows = 1000

// poll is how often a wait asks the server.
const poll = 20 * time.Millisecond

// Collection is one collection on one server.
type Collection struct {
	Client *client.Client
	Name   string
}

func kv(k string, v any) *commonpb.KeyValuePair {
	return &commonpb.KeyValuePair{Key: k, Value: fmt.Sprint(v)}
}

// Exists reports whether the collection is there.
func (c Collection) Exists(ctx context.Context) (bool, error) {
	r, err := c.Client.HasCollection(ctx, &milvuspb.HasCollectionRequest{CollectionName: c.Name})
	return r.GetValue(), client.Check(r.GetStatus(), err)
}

// Create makes the empty collection.
func (c Collection) Create(ctx context.Context, dim int) error {
	schema, err := proto.Marshal(&schemapb.CollectionSchema{Name: c.Name, Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vector", DataType: schemapb.DataType_FloatVector, TypeParams: []*commonpb.KeyValuePair{kv("dim", dim)}},
		{Name: "name", DataType: schemapb.DataType_VarChar, TypeParams: []*commonpb.KeyValuePair{kv("max_length", 256)}},
		{Name: "section", DataType: schemapb.DataType_VarChar, TypeParams: []*commonpb.KeyValuePair{kv("max_length", 64)}},
		{Name: "size", DataType: schemapb.DataType_Int64},
	}})
	if err != nil {
		return err
	}
	st, err := c.Client.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{
		CollectionName: c.Name, Schema: schema, ShardsNum: 1, ConsistencyLevel: commonpb.ConsistencyLevel_Bounded,
	})
	return wrap("create the collection", client.Check(st, err))
}

// Drop removes the collection.
func (c Collection) Drop(ctx context.Context) error {
	st, err := c.Client.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: c.Name})
	return wrap("drop the collection", client.Check(st, err))
}

// Insert writes rows from..to of the data set.
func (c Collection) Insert(ctx context.Context, set *dataset.Set, from, to int) error {
	r, err := c.Client.Insert(ctx, InsertRequest(c.Name, set, from, to))
	return wrap(fmt.Sprintf("insert rows %d to %d", from, to), client.Check(r.GetStatus(), err))
}

// InsertRequest is the request that Insert sends.
func InsertRequest(name string, set *dataset.Set, from, to int) *milvuspb.InsertRequest {
	var ids, sizes []int64
	var names, sections []string
	for _, r := range set.Rows[from:to] {
		ids, sizes = append(ids, r.ID), append(sizes, r.Size)
		names, sections = append(names, r.Name), append(sections, r.Section)
	}
	dim := set.Vectors.Dim
	return &milvuspb.InsertRequest{CollectionName: name, NumRows: uint32(to - from), FieldsData: []*schemapb.FieldData{
		longs("id", ids), floats("vector", dim, set.Vectors.Data[from*dim:to*dim]), texts("name", names), texts("section", sections), longs("size", sizes),
	}}
}

func longs(name string, v []int64) *schemapb.FieldData {
	return &schemapb.FieldData{FieldName: name, Type: schemapb.DataType_Int64, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: v}}},
	}}
}

func texts(name string, v []string) *schemapb.FieldData {
	return &schemapb.FieldData{FieldName: name, Type: schemapb.DataType_VarChar, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: v}}},
	}}
}

func floats(name string, dim int, v []float32) *schemapb.FieldData {
	return &schemapb.FieldData{FieldName: name, Type: schemapb.DataType_FloatVector, Field: &schemapb.FieldData_Vectors{
		Vectors: &schemapb.VectorField{Dim: int64(dim), Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: v}}},
	}}
}

// Flush writes all rows to storage and waits until that is done.
func (c Collection) Flush(ctx context.Context) error {
	return wrap("flush", c.Client.FlushWait(ctx, c.Name))
}

// CreateIndex asks for an HNSW index; WaitIndex waits for it.
func (c Collection) CreateIndex(ctx context.Context) error {
	st, err := c.Client.CreateIndex(ctx, &milvuspb.CreateIndexRequest{
		CollectionName: c.Name, FieldName: "vector", IndexName: "vector",
		ExtraParams: []*commonpb.KeyValuePair{kv("index_type", "HNSW"), kv("metric_type", "COSINE"), kv("M", 16), kv("efConstruction", 200)},
	})
	return wrap("create the index", client.Check(st, err))
}

// WaitIndex waits until every sealed row is indexed, reporting the counts that the server tells.
func (c Collection) WaitIndex(ctx context.Context, progress func(indexed, total int64)) error {
	for {
		r, err := c.Client.DescribeIndex(ctx, &milvuspb.DescribeIndexRequest{CollectionName: c.Name, IndexName: "vector"})
		if err := client.Check(r.GetStatus(), err); err != nil {
			return wrap("ask for the index's state", err)
		}
		if len(r.IndexDescriptions) == 0 {
			return fmt.Errorf("ask for the index's state: the server knows no index")
		}
		d := r.IndexDescriptions[0]
		progress(d.IndexedRows, d.TotalRows)
		switch {
		case d.State == commonpb.IndexState_Failed:
			return fmt.Errorf("the index build failed: %s", d.IndexStateFailReason)
		case d.State == commonpb.IndexState_Finished && d.PendingIndexRows == 0 && d.IndexedRows >= d.TotalRows:
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for the index (%d of %d rows): %w", d.IndexedRows, d.TotalRows, err)
		}
	}
}

// Load loads the collection for searching and waits for it.
func (c Collection) Load(ctx context.Context) error { return c.Client.Load(ctx, c.Name) }

// Query is one search request.
type Query struct {
	Vectors  [][]float32
	K, Ef    int
	Filter   string
	Output   []string
	Strong   bool // else Bounded
	Deadline time.Duration
}

// Hit is one answer; Score is the cosine. The texts and the size are there when the query asks for those fields.
type Hit struct {
	ID      int64
	Score   float32
	Name    string
	Section string
	Size    int64
}

// Search answers with the hits of each query vector, best first.
func (c Collection) Search(ctx context.Context, q Query) ([][]Hit, error) {
	req, err := c.request(q)
	if err != nil {
		return nil, err
	}
	if q.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, q.Deadline)
		defer cancel()
	}
	r, err := c.Client.Search(ctx, req)
	if err := client.Check(r.GetStatus(), err); err != nil {
		return nil, wrap("search", err)
	}
	return hits(r.GetResults(), len(q.Vectors))
}

func (c Collection) request(q Query) (*milvuspb.SearchRequest, error) {
	ph := &commonpb.PlaceholderValue{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector}
	for _, v := range q.Vectors {
		raw := make([]byte, 0, 4*len(v))
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		ph.Values = append(ph.Values, raw)
	}
	group, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{ph}})
	if err != nil {
		return nil, err
	}
	level := commonpb.ConsistencyLevel_Bounded
	if q.Strong {
		level = commonpb.ConsistencyLevel_Strong
	}
	return &milvuspb.SearchRequest{
		CollectionName: c.Name, Dsl: q.Filter, DslType: commonpb.DslType_BoolExprV1, Nq: int64(len(q.Vectors)), OutputFields: q.Output,
		SearchInput: &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: group}, ConsistencyLevel: level,
		SearchParams: []*commonpb.KeyValuePair{
			kv("anns_field", "vector"), kv("topk", q.K), kv("metric_type", "COSINE"), kv("round_decimal", -1), kv("params", fmt.Sprintf(`{"ef":%d}`, q.Ef)),
		},
	}, nil
}

func hits(r *schemapb.SearchResultData, queries int) ([][]Hit, error) {
	ids, scores, counts := r.GetIds().GetIntId().GetData(), r.GetScores(), r.GetTopks()
	if len(ids) != len(scores) || len(counts) != queries && len(ids) > 0 {
		return nil, fmt.Errorf("search answers %d ids, %d scores, %d of %d queries", len(ids), len(scores), len(counts), queries)
	}
	out := make([][]Hit, queries)
	at := 0
	for i, n := range counts {
		if at+int(n) > len(ids) {
			return nil, fmt.Errorf("search answers %d ids, but counts them as %v", len(ids), counts)
		}
		for range n {
			h := Hit{ID: ids[at], Score: scores[at]}
			if err := fill(&h, r.GetFieldsData(), at); err != nil {
				return nil, err
			}
			out[i] = append(out[i], h)
			at++
		}
	}
	return out, nil
}

// fill takes the output fields of hit number at.
func fill(h *Hit, fields []*schemapb.FieldData, at int) error {
	for _, f := range fields {
		texts, longs := f.GetScalars().GetStringData().GetData(), f.GetScalars().GetLongData().GetData()
		var there bool
		switch f.FieldName {
		case "name":
			if there = at < len(texts); there {
				h.Name = texts[at]
			}
		case "section":
			if there = at < len(texts); there {
				h.Section = texts[at]
			}
		case "size":
			if there = at < len(longs); there {
				h.Size = longs[at]
			}
		default:
			there = true
		}
		if !there {
			return fmt.Errorf("search answers no %s for hit %d", f.FieldName, at)
		}
	}
	return nil
}

// IDs are the ids of each query's hits.
func IDs(all [][]Hit) [][]int64 {
	out := make([][]int64, len(all))
	for i, hits := range all {
		for _, h := range hits {
			out[i] = append(out[i], h.ID)
		}
	}
	return out
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(poll):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
