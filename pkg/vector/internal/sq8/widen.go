package sq8

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	// MaxWiden bounds what MeasureWidening returns.
	MaxWiden = 64

	probes      = 16
	probeK      = 10
	probeRecall = 0.98
	scanBatch   = 256
	seed        = 0x9e3779b97f4a7c15
)

// Coding is all rows of an index with their codes.
type Coding struct {
	Quant  *Quantiser
	Rows   vector.Rows
	Codes  kernel.Codes
	Weight []int32
	IDs    []uint32 // the row of each code; nil means that code i is row i
}

// MeasureWidening finds out how well codes order the rows: by how much the candidates of a search must be widened so that
// the exactly nearest are among them. That is 1 for ordinary embeddings. It is more where few dimensions are much wider
// than the rest: one scale serves all, and the narrow ones vanish in it.
func MeasureWidening(ctx context.Context, c Coding, workers int) (int, error) {
	n := c.Rows.Len()
	if n <= Candidates(probeK, 1) {
		return 1, nil
	}
	count := min(probes, n)
	results := make([][]float64, count)
	errs := make([]error, count)
	work.Parallel(workers, count, func(i int) { results[i], errs[i] = c.probe(ctx, int(work.Mix(uint64(i)+seed)%uint64(n))) })
	for _, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("measuring how well codes order rows: %w", err)
		}
	}
	for step := 0; ; step++ {
		widen := 1 << step
		sum := 0.0
		for _, r := range results {
			sum += r[step]
		}
		if sum >= probeRecall*float64(count) || widen == MaxWiden {
			return widen, nil
		}
	}
}

// probe searches for a row by scan and returns the recall that candidates widened by 1, 2, 4 and so on give.
func (c *Coding) probe(ctx context.Context, row int) ([]float64, error) {
	metric := c.Quant.Metric
	query := c.Quant.NewCoder(c.Rows).Vector(row)
	sc := flat.Scanner{Set: c.Quant.Set, Metric: metric, Rows: c.Rows}
	best, _, err := sc.Search(ctx, query, probeK, nil)
	if err != nil {
		return nil, err
	}
	worst := metric.Key(best[0][len(best[0])-1].Score)
	first := Candidates(probeK, 1)
	scorer := vector.NewScorer(c.Quant.Set, metric, c.Rows.Elem(), query)
	var recall []float64
	hits := 0
	for i, id := range c.nearest(query, first*MaxWiden) {
		var score [1]float32
		scorer.Rows([][]byte{c.Rows.Row(int(id))}, score[:])
		if metric.Key(score[0]) <= worst {
			hits++
		}
		if i+1 == first<<len(recall) {
			recall = append(recall, min(1, float64(hits)/probeK))
		}
	}
	for widen := 1 << len(recall); widen <= MaxWiden; widen *= 2 {
		recall = append(recall, 1) // more candidates than rows
	}
	return recall, nil
}

// nearest returns the k rows whose codes are nearest to a query, nearest first.
func (c *Coding) nearest(query []float32, k int) []uint32 {
	q := Coded{Q: make([]int8, c.Codes.Stride)}
	c.Quant.Query(c.Quant.Prepare(query, make([]float32, len(query))), &q)
	var heap topk.Heap
	heap.Reset(k)
	n := c.Rows.Len()
	ids, dist := make([]uint32, 0, scanBatch), make([]int32, scanBatch)
	for at := range uint32(n) {
		if ids = append(ids, at); len(ids) < scanBatch && int(at) < n-1 {
			continue
		}
		q.Measure(c.Quant.Set, c.Codes, ids, c.Weight, dist[:len(ids)])
		for i, d := range dist[:len(ids)] {
			heap.Push(topk.Pack(Key(d), ids[i]))
		}
		ids = ids[:0]
	}
	near := make([]uint32, 0, heap.Len())
	for _, p := range heap.Sort() {
		id := topk.ID(p)
		if c.IDs != nil {
			id = c.IDs[id]
		}
		near = append(near, id)
	}
	return near
}
