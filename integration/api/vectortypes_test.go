package api

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

const typeDim = 16

// vectorType is one type of vectors on the wire. Row i has the number i in binary digits, so that all rows differ.
type vectorType struct {
	name   string
	typ    schemapb.DataType
	metric string
	ones   []byte // a component that is 1; none for bits
}

func vectorTypes() []vectorType {
	return []vectorType{
		{"half", schemapb.DataType_Float16Vector, "L2", []byte{0x00, 0x3c}},
		{"brain", schemapb.DataType_BFloat16Vector, "L2", []byte{0x80, 0x3f}},
		{"int8", schemapb.DataType_Int8Vector, "L2", []byte{1}},
		{"bits", schemapb.DataType_BinaryVector, "HAMMING", nil},
	}
}

func (v vectorType) row(i int) []byte {
	if v.ones == nil {
		return []byte{byte(i), byte(i >> 8)}
	}
	var out []byte
	for d := range typeDim {
		if i>>d&1 == 1 {
			out = append(out, v.ones...)
		} else {
			out = append(out, make([]byte, len(v.ones))...)
		}
	}
	return out
}

func (v vectorType) column(from, to int) *schemapb.FieldData {
	var raw []byte
	for i := from; i < to; i++ {
		raw = append(raw, v.row(i)...)
	}
	f := &schemapb.VectorField{Dim: typeDim}
	switch v.typ {
	case schemapb.DataType_Float16Vector:
		f.Data = &schemapb.VectorField_Float16Vector{Float16Vector: raw}
	case schemapb.DataType_BFloat16Vector:
		f.Data = &schemapb.VectorField_Bfloat16Vector{Bfloat16Vector: raw}
	case schemapb.DataType_Int8Vector:
		f.Data = &schemapb.VectorField_Int8Vector{Int8Vector: raw}
	default:
		f.Data = &schemapb.VectorField_BinaryVector{BinaryVector: raw}
	}
	return &schemapb.FieldData{FieldName: v.name, Type: v.typ, Field: &schemapb.FieldData_Vectors{Vectors: f}}
}

func (v vectorType) bytes(f *schemapb.VectorField) []byte {
	switch v.typ {
	case schemapb.DataType_Float16Vector:
		return f.GetFloat16Vector()
	case schemapb.DataType_BFloat16Vector:
		return f.GetBfloat16Vector()
	case schemapb.DataType_Int8Vector:
		return f.GetInt8Vector()
	}
	return f.GetBinaryVector()
}

func pairs(kv ...string) []*commonpb.KeyValuePair {
	var out []*commonpb.KeyValuePair
	for i := 0; i < len(kv); i += 2 {
		out = append(out, &commonpb.KeyValuePair{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

const sealedTyped, allTyped = 1500, 1800 // enough for index files, and some rows that stay in the log

// TestVectorTypes: rows with vectors of every type, half of them sealed and half in the log, are found by each of them after a
// kill, and come back byte for byte.
func TestVectorTypes(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	createTyped(ctx, t, c)
	insertTyped(ctx, t, c, 0, sealedTyped)
	if err := c.FlushWait(ctx, "v"); err != nil {
		t.Fatal(err)
	}
	insertTyped(ctx, t, c, sealedTyped, allTyped)
	checkTyped(ctx, t, c)
	s.Kill()
	s.Restart(t)
	checkTyped(ctx, t, c)
}

func createTyped(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	fields := []*schemapb.FieldSchema{{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true}}
	for _, v := range vectorTypes() {
		fields = append(fields, &schemapb.FieldSchema{Name: v.name, DataType: v.typ, TypeParams: pairs("dim", fmt.Sprint(typeDim))})
	}
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "v", Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "v", Schema: raw, ConsistencyLevel: commonpb.ConsistencyLevel_Strong})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectorTypes() {
		st, err := c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "v", FieldName: v.name, ExtraParams: pairs("index_type", "AUTOINDEX", "metric_type", v.metric)})
		if err := client.Check(st, err); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Load(ctx, "v"); err != nil {
		t.Fatal(err)
	}
}

func insertTyped(ctx context.Context, t *testing.T, c *client.Client, from, to int) {
	t.Helper()
	var keys []int64
	for i := from; i < to; i++ {
		keys = append(keys, int64(i))
	}
	data := []*schemapb.FieldData{{FieldName: "id", Type: schemapb.DataType_Int64, Field: &schemapb.FieldData_Scalars{
		Scalars: &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: keys}}},
	}}}
	for _, v := range vectorTypes() {
		data = append(data, v.column(from, to))
	}
	r, err := c.Insert(ctx, &milvuspb.InsertRequest{CollectionName: "v", FieldsData: data, NumRows: uint32(to - from)})
	if err := client.Check(r.GetStatus(), err); err != nil {
		t.Fatal(err)
	}
}

// checkTyped searches by vectors of sealed and growing rows, and reads them.
func checkTyped(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	asked := []int{7, 1234, sealedTyped + 100}
	for _, v := range vectorTypes() {
		var queries [][]byte
		for _, i := range asked {
			queries = append(queries, v.row(i))
		}
		r, err := c.Search(ctx, &milvuspb.SearchRequest{
			CollectionName: "v", DslType: commonpb.DslType_BoolExprV1, Nq: int64(len(asked)), OutputFields: []string{v.name},
			SearchInput:      &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: placeholders(t, commonpb.PlaceholderType(v.typ), queries...)},
			SearchParams:     pairs("topk", "5", "anns_field", v.name),
			ConsistencyLevel: commonpb.ConsistencyLevel_Strong,
		})
		if err := client.Check(r.GetStatus(), err); err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		ids, size := r.Results.Ids.GetIntId().GetData(), len(v.row(0))
		got := v.bytes(r.Results.FieldsData[0].GetVectors())
		if len(ids) != 5*len(asked) || len(got) != size*len(ids) {
			t.Fatalf("%s: %d hits with %d bytes", v.name, len(ids), len(got))
		}
		for q, i := range asked {
			// One row is equal, and those that differ in one place are next.
			if ids[5*q] != int64(i) || r.Results.Scores[5*q] != 0 || r.Results.Scores[5*q+1] != 1 {
				t.Fatalf("%s: row %d: found %v with scores %v", v.name, i, ids[5*q:5*q+5], r.Results.Scores[5*q:5*q+5])
			}
		}
		for h, id := range ids {
			if !bytes.Equal(got[h*size:(h+1)*size], v.row(int(id))) {
				t.Fatalf("%s: row %d comes back as % x", v.name, id, got[h*size:(h+1)*size])
			}
		}
	}
}
