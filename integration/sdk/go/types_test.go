package sdkgo

import (
	"fmt"
	"testing"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

// TestVectorTypes: rows with a vector of every type are found by each of them and come back as they were written, before
// and after a flush.
func TestVectorTypes(t *testing.T) {
	ctx, c := connect(t)
	name, n := freshName(), 200
	numbers := unit(n, dim, 21)
	var ids []int64
	var halves, brains, bits [][]byte
	var bytes [][]int8
	for i, v := range numbers {
		ids = append(ids, int64(i))
		halves, brains = append(halves, entity.FloatVector(v).ToFloat16Vector()), append(brains, entity.FloatVector(v).ToBFloat16Vector())
		small, packed := make([]int8, dim), make([]byte, 2)
		for d, x := range v {
			small[d] = int8(100 * x)
		}
		packed[0], packed[1] = byte(i), byte(i>>4)
		bytes, bits = append(bytes, small), append(bits, packed)
	}
	fields := map[string]struct {
		kind   entity.FieldType
		dim    int64
		metric entity.MetricType
		column column.Column
		query  func(i int) entity.Vector
	}{
		"half":  {entity.FieldTypeFloat16Vector, dim, entity.COSINE, column.NewColumnFloat16Vector("half", dim, halves), func(i int) entity.Vector { return entity.Float16Vector(halves[i]) }},
		"brain": {entity.FieldTypeBFloat16Vector, dim, entity.L2, column.NewColumnBFloat16Vector("brain", dim, brains), func(i int) entity.Vector { return entity.BFloat16Vector(brains[i]) }},
		"small": {entity.FieldTypeInt8Vector, dim, entity.L2, column.NewColumnInt8Vector("small", dim, bytes), func(i int) entity.Vector { return entity.Int8Vector(bytes[i]) }},
		"bits":  {entity.FieldTypeBinaryVector, 16, entity.HAMMING, column.NewColumnBinaryVector("bits", 16, bits), func(i int) entity.Vector { return entity.BinaryVector(bits[i]) }},
	}
	schema := entity.NewSchema().WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true))
	var indexes []milvusclient.CreateIndexOption
	columns := []column.Column{column.NewColumnInt64("id", ids)}
	for field, f := range fields {
		schema.WithField(entity.NewField().WithName(field).WithDataType(f.kind).WithDim(f.dim))
		indexes = append(indexes, milvusclient.NewCreateIndexOption(name, field, index.NewAutoIndex(f.metric)))
		columns = append(columns, f.column)
	}
	must(t, "create", c.CreateCollection(ctx, milvusclient.NewCreateCollectionOption(name, schema).
		WithConsistencyLevel(entity.ClStrong).WithIndexOptions(indexes...)))
	defer func() { must(t, "drop", c.DropCollection(ctx, milvusclient.NewDropCollectionOption(name))) }()
	load, err := c.LoadCollection(ctx, milvusclient.NewLoadCollectionOption(name))
	must(t, "load", err)
	must(t, "load", load.Await(ctx))
	_, err = c.Insert(ctx, milvusclient.NewColumnBasedInsertOption(name).WithColumns(columns...))
	must(t, "insert", err)
	for _, state := range []string{"growing", "sealed"} {
		for field, f := range fields {
			queries := []entity.Vector{f.query(3), f.query(150)}
			r, err := c.Search(ctx, milvusclient.NewSearchOption(name, 4, queries).WithANNSField(field).WithOutputFields(field))
			must(t, field, err)
			for q, want := range []int{3, 150} {
				if got := longs(t, r[q].IDs); got[0] != int64(want) || len(got) != 4 {
					t.Errorf("%s %s: nearest to %d: %v", state, field, want, got)
				}
				got, err := r[q].GetColumn(field).Get(0)
				wanted, _ := f.column.Get(want)
				if err != nil || fmt.Sprint(got) != fmt.Sprint(wanted) {
					t.Errorf("%s %s: row %d comes back as %v, %v", state, field, want, got, err)
				}
			}
		}
		flush, err := c.Flush(ctx, milvusclient.NewFlushOption(name))
		must(t, "flush", err)
		must(t, "flush", flush.Await(ctx))
	}
}
