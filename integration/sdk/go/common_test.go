package sdkgo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

const dim = 16

// address is where the server listens; the tests have no use without one.
func address(t *testing.T, key string) string {
	t.Helper()
	for _, k := range []string{key, "GYR_URI"} {
		if uri := os.Getenv(k); uri != "" {
			return strings.TrimPrefix(uri, "http://")
		}
	}
	t.Fatal("GYR_URI is not set: start a server (make run) and set GYR_URI=http://127.0.0.1:19530, or run make test")
	return ""
}

// connect gives every test a client and a deadline, without which a call to nobody would wait for ever.
func connect(t *testing.T) (context.Context, *milvusclient.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	c, err := milvusclient.New(ctx, &milvusclient.ClientConfig{Address: address(t, "GYR_URI")})
	must(t, "connect", err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return ctx, c
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func freshName() string { return fmt.Sprintf("t_%012x", rand.Uint64()>>16) }

// unit makes n seeded vectors of length 1.
func unit(n, dim int, seed uint64) [][]float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([][]float32, n)
	for i := range out {
		out[i] = make([]float32, dim)
		var sum float64
		for j := range out[i] {
			x := r.NormFloat64()
			out[i][j], sum = float32(x), sum+x*x
		}
		for j := range out[i] {
			out[i][j] /= float32(math.Sqrt(sum))
		}
	}
	return out
}

func dot(a, b []float32) (s float32) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

// nearest answers the ids (of those given) whose vectors have the largest inner product, best first.
func nearest(vectors [][]float32, ids []int64, query []float32, k int) []int64 {
	order := slices.Clone(ids)
	slices.SortStableFunc(order, func(a, b int64) int {
		x, y := dot(vectors[a], query), dot(vectors[b], query)
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return order[:min(k, len(order))]
}

func upTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

func keep(ids []int64, f func(int64) bool) []int64 {
	return slices.DeleteFunc(slices.Clone(ids), func(i int64) bool { return !f(i) })
}

func schema() *entity.Schema {
	return entity.NewSchema().WithDynamicFieldEnabled(true).
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("vec").WithDataType(entity.FieldTypeFloatVector).WithDim(dim)).
		WithField(entity.NewField().WithName("n").WithDataType(entity.FieldTypeInt64)).
		WithField(entity.NewField().WithName("word").WithDataType(entity.FieldTypeVarChar).WithMaxLength(32)).
		WithField(entity.NewField().WithName("price").WithDataType(entity.FieldTypeDouble).WithNullable(true))
}

// rows are the columns of rows start, start+1, ...: n = id % 10, word = w(id % 3), price = id / 2, null at every fifth.
func rows(t *testing.T, vectors [][]float32, start int64) []column.Column {
	t.Helper()
	var ids, n []int64
	var words []string
	var prices []float64
	var valid []bool
	for i := range vectors {
		id := start + int64(i)
		ids, n, words = append(ids, id), append(n, id%10), append(words, fmt.Sprintf("w%d", id%3))
		valid = append(valid, id%5 != 0)
		if id%5 != 0 {
			prices = append(prices, float64(id)/2)
		}
	}
	price, err := column.NewNullableColumnDouble("price", prices, valid)
	must(t, "nullable column", err)
	return []column.Column{
		column.NewColumnInt64("id", ids), column.NewColumnFloatVector("vec", len(vectors[0]), vectors),
		column.NewColumnInt64("n", n), column.NewColumnVarChar("word", words), price,
	}
}

// made is a collection that is indexed and loaded and holds rows.
type made struct {
	*testing.T
	ctx     context.Context
	client  *milvusclient.Client
	name    string
	vectors [][]float32
}

func create(t *testing.T, n int, idx index.Index) made {
	t.Helper()
	ctx, c := connect(t)
	m := made{t, ctx, c, freshName(), unit(n, dim, 7)}
	must(t, "create", c.CreateCollection(ctx, milvusclient.NewCreateCollectionOption(m.name, schema()).
		WithConsistencyLevel(entity.ClStrong).WithIndexOptions(milvusclient.NewCreateIndexOption(m.name, "vec", idx))))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		must(t, "drop", c.DropCollection(ctx, milvusclient.NewDropCollectionOption(m.name)))
	})
	m.load()
	r, err := c.Insert(ctx, milvusclient.NewColumnBasedInsertOption(m.name).WithColumns(rows(t, m.vectors, 0)...))
	must(t, "insert", err)
	if r.InsertCount != int64(n) || r.IDs.Len() != n {
		t.Fatalf("insert counts %d and answers %d ids, want %d", r.InsertCount, r.IDs.Len(), n)
	}
	return m
}

func hnsw() index.Index { return index.NewHNSWIndex(entity.COSINE, 16, 100) }

func (m made) load() {
	m.Helper()
	task, err := m.client.LoadCollection(m.ctx, milvusclient.NewLoadCollectionOption(m.name))
	must(m.T, "load", err)
	must(m.T, "wait for the load", task.Await(m.ctx))
}

func (m made) flush() {
	m.Helper()
	task, err := m.client.Flush(m.ctx, milvusclient.NewFlushOption(m.name))
	must(m.T, "flush", err)
	must(m.T, "wait for the flush", task.Await(m.ctx))
}

func longs(t *testing.T, c column.Column) []int64 {
	t.Helper()
	if c == nil {
		t.Fatal("the column is not in the answer")
	}
	out := make([]int64, c.Len())
	for i := range out {
		v, err := c.GetAsInt64(i)
		must(t, "read a column", err)
		out[i] = v
	}
	return out
}

// query answers the ids of the rows that pass a filter.
func (m made) query(filter string, partitions ...string) []int64 {
	m.Helper()
	r, err := m.client.Query(m.ctx, milvusclient.NewQueryOption(m.name).WithFilter(filter).WithOutputFields("id").WithLimit(1000).WithPartitions(partitions...))
	must(m.T, "query "+filter, err)
	return longs(m.T, r.GetColumn("id"))
}

func (m made) count(name, filter string) int64 {
	m.Helper()
	r, err := m.client.Query(m.ctx, milvusclient.NewQueryOption(name).WithFilter(filter).WithOutputFields("count(*)"))
	must(m.T, "count", err)
	return longs(m.T, r.GetColumn("count(*)"))[0]
}

// search answers the ids of the k nearest rows of one query.
func (m made) search(query []float32, k int, filter string) []int64 {
	m.Helper()
	r, err := m.client.Search(m.ctx, milvusclient.NewSearchOption(m.name, k, []entity.Vector{entity.FloatVector(query)}).WithANNSField("vec").WithFilter(filter))
	must(m.T, "search", err)
	if len(r) != 1 {
		m.Fatalf("search answers %d results for one query", len(r))
	}
	return longs(m.T, r[0].IDs)
}
