package failover

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
)

// Field is rows whose nearest neighbours are known, so that a search's answer can be judged: k hits and the right ones.
type Field struct {
	Rows    []client.Row
	queries [][]float32
	nearest [][]int64
	k       int
}

// NewField makes n rows of dimension dim and some queries with their k nearest rows by brute force.
func NewField(n, dim, k int, seed uint64) *Field {
	rng := rand.New(rand.NewPCG(seed, 1))
	vector := func() []float32 {
		v := make([]float32, dim)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	f := &Field{k: k}
	for i := range n {
		f.Rows = append(f.Rows, client.Row{Key: int64(i), Version: 1, Vector: vector()})
	}
	for range 16 {
		q := vector()
		f.queries = append(f.queries, q)
		f.nearest = append(f.nearest, f.brute(q))
	}
	return f
}

func (f *Field) brute(q []float32) []int64 {
	type hit struct {
		key  int64
		dist float32
	}
	hits := make([]hit, len(f.Rows))
	for i, r := range f.Rows {
		d := float32(0)
		for j, x := range r.Vector {
			d += (x - q[j]) * (x - q[j])
		}
		hits[i] = hit{r.Key, d}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.dist, b.dist) })
	keys := make([]int64, f.k)
	for i := range keys {
		keys[i] = hits[i].key
	}
	slices.Sort(keys)
	return keys
}

// Insert inserts all rows.
func (f *Field) Insert(ctx context.Context, c *client.Client, name string) error {
	for part := range slices.Chunk(f.Rows, 5000) {
		if err := c.InsertRows(ctx, name, part); err != nil {
			return err
		}
	}
	return nil
}

// Search asks the n-th query and fails with ErrWrong unless the answer is exactly its k nearest rows.
func (f *Field) Search(ctx context.Context, c *client.Client, name string, n int, level commonpb.ConsistencyLevel) error {
	i := n % len(f.queries)
	got, err := c.SearchKeys(ctx, name, f.queries[i:i+1], f.k, level)
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("%w: %d results for one query", ErrWrong, len(got))
	}
	slices.Sort(got[0])
	if !slices.Equal(got[0], f.nearest[i]) {
		missing := 0
		for _, key := range f.nearest[i] {
			if !slices.Contains(got[0], key) {
				missing++
			}
		}
		return fmt.Errorf("%w: %d hits, %d of the %d nearest rows are missing", ErrWrong, len(got[0]), missing, f.k)
	}
	return nil
}
