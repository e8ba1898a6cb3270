package consistency

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
)

// ask is a read of keys and versions.
type ask struct {
	name, expr string
	level      commonpb.ConsistencyLevel
	guarantee  uint64
	limit      int
	iterator   bool
}

// seen is one row as a read showed it.
type seen struct{ key, version int64 }

func longs(fields []*schemapb.FieldData, name string) []int64 {
	for _, f := range fields {
		if f.FieldName == name {
			return f.GetScalars().GetLongData().GetData()
		}
	}
	return nil
}

func pairs(keys, versions []int64) ([]seen, error) {
	if len(keys) != len(versions) {
		return nil, fmt.Errorf("%d keys but %d versions", len(keys), len(versions))
	}
	out := make([]seen, len(keys))
	for i := range keys {
		out[i] = seen{keys[i], versions[i]}
	}
	return out, nil
}

// query reads rows by an expression and returns them with the session's timestamp.
func query(ctx context.Context, c *client.Client, a ask) ([]seen, uint64, error) {
	req := &milvuspb.QueryRequest{
		CollectionName: a.name, Expr: a.expr, OutputFields: []string{"key", "version"}, ConsistencyLevel: a.level, GuaranteeTimestamp: a.guarantee,
	}
	if a.limit > 0 {
		req.QueryParams = append(req.QueryParams, &commonpb.KeyValuePair{Key: "limit", Value: fmt.Sprint(a.limit)})
	}
	if a.iterator {
		req.QueryParams = append(req.QueryParams, &commonpb.KeyValuePair{Key: "iterator", Value: "True"},
			&commonpb.KeyValuePair{Key: "reduce_stop_for_best", Value: "True"})
	}
	r, err := c.Query(ctx, req)
	if err := client.Check(r.GetStatus(), err); err != nil {
		return nil, 0, err
	}
	rows, err := pairs(longs(r.FieldsData, "key"), longs(r.FieldsData, "version"))
	return rows, r.SessionTs, err
}

// search reads a key by a filtered search that asks for more rows than there may be.
func search(ctx context.Context, c *client.Client, a ask) ([]seen, error) {
	raw := []byte{}
	for _, x := range []float32{1, 2, 3, 4} {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	group, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{
		{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector, Values: [][]byte{raw}},
	}})
	if err != nil {
		return nil, err
	}
	r, err := c.Search(ctx, &milvuspb.SearchRequest{
		CollectionName: a.name, Dsl: a.expr, DslType: commonpb.DslType_BoolExprV1, Nq: 1, ConsistencyLevel: a.level, GuaranteeTimestamp: a.guarantee,
		SearchInput:  &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: group},
		SearchParams: []*commonpb.KeyValuePair{{Key: "topk", Value: "5"}, {Key: "anns_field", Value: "vec"}}, OutputFields: []string{"version"},
	})
	if err := client.Check(r.GetStatus(), err); err != nil {
		return nil, err
	}
	return pairs(r.Results.GetIds().GetIntId().GetData(), longs(r.Results.FieldsData, "version"))
}

// one turns the rows of one key into what a history knows.
func one(rows []seen) int64 {
	switch len(rows) {
	case 0:
		return Absent
	case 1:
		return rows[0].version
	}
	return Doubled
}

// upsert writes one row and returns the write's timestamp.
func upsert(ctx context.Context, c *client.Client, name string, r client.Row) (uint64, error) {
	res, err := c.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: name, FieldsData: client.Columns([]client.Row{r}), NumRows: 1})
	return res.GetTimestamp(), client.Check(res.GetStatus(), err)
}

// remove deletes one key and returns the delete's timestamp.
func remove(ctx context.Context, c *client.Client, name string, key int64) (uint64, error) {
	res, err := c.Delete(ctx, &milvuspb.DeleteRequest{CollectionName: name, Expr: fmt.Sprintf("key in [%d]", key)})
	return res.GetTimestamp(), client.Check(res.GetStatus(), err)
}
