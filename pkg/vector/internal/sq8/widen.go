package sq8

import (
	"context"
	"fmt"
	"math"
	"slices"

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
	// High says that Codes and Weight are the High and HighWeight of Planes.
	High bool
}

// MeasureWidening finds out how well codes order the rows: by how much the candidates of a search must be widened so that
// the exactly nearest are among them. That is 1 for ordinary embeddings. It is more where few dimensions are much wider
// than the rest: one scale serves all, and the narrow ones vanish in it.
func MeasureWidening(ctx context.Context, c Coding, workers int) (int, error) {
	p, err := NewProbes(ctx, c.Quant, c.Rows, workers)
	if err != nil {
		return 0, err
	}
	o, err := p.Measure(ctx, c, Candidates(probeK, 1), workers)
	return o.Widen, err
}

// Probes are rows with their exactly nearest rows, to measure codes by.
type Probes struct {
	set    kernel.Set
	metric vector.Metric
	rows   vector.Rows
	at     []int    // rows
	worst  []uint32 // keys of their probeK-th nearest
}

// Order is how well codes order rows.
type Order struct {
	// Widen is by how much first candidates must be widened to hold the nearest rows, a power of two up to MaxWiden.
	Widen int
	// Spread is how fast rows lie further away: the distance by code of the r-th nearest row grows as r to the power of
	// Spread, about rank 10 to 100. It is 0 where codes give no distances.
	Spread float64
}

// NewProbes picks rows to measure codes of q or of others with its metric by, the same for the same number of them, and scans for their neighbours.
func NewProbes(ctx context.Context, q *Quantiser, rows vector.Rows, workers int) (*Probes, error) {
	set, metric := q.Set, q.Metric
	n := rows.Len()
	p := &Probes{set: set, metric: metric, rows: rows}
	if n <= Candidates(probeK, 1) {
		return p, nil
	}
	queries := make([]float32, 0, probes*rows.Dim())
	coder := (&Quantiser{Set: set, Metric: metric}).NewCoder(rows)
	for i := range min(probes, n) {
		p.at = append(p.at, int(work.Mix(uint64(i)+seed)%uint64(n)))
		queries = append(queries, coder.Vector(p.at[i])...)
	}
	p.worst = make([]uint32, len(p.at))
	errs := make([]error, len(p.at))
	sc := flat.Scanner{Set: set, Metric: metric, Rows: rows}
	work.Parallel(workers, len(p.at), func(i int) {
		hits, _, err := sc.Search(ctx, queries[i*rows.Dim():(i+1)*rows.Dim()], probeK, nil)
		if errs[i] = err; err == nil {
			p.worst[i] = metric.Key(hits[0][len(hits[0])-1].Score)
		}
	})
	return p, firstOf(errs)
}

// Measure compares the order of codes with that of scores, for searches that score first rows at least for the ten nearest.
func (p *Probes) Measure(ctx context.Context, c Coding, first, workers int) (Order, error) {
	count := len(p.at)
	o := Order{Widen: 1}
	if count == 0 {
		return o, nil
	}
	results, spreads, errs := make([][]float64, count), make([]float64, count), make([]error, count)
	work.Parallel(workers, count, func(i int) { results[i], spreads[i], errs[i] = p.probe(ctx, c, i, first) })
	if err := firstOf(errs); err != nil {
		return o, err
	}
	slices.Sort(spreads)
	o.Spread = spreads[count/2]
	for step := 0; ; step++ {
		o.Widen = 1 << step
		sum := 0.0
		for _, r := range results {
			sum += r[step]
		}
		if sum >= probeRecall*float64(count) || o.Widen == MaxWiden {
			return o, nil
		}
	}
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("measuring how well codes order rows: %w", err)
		}
	}
	return nil
}

// probe searches for a row by a scan of codes and returns the recall that first candidates widened by 1, 2, 4 and so on
// give, and the spread of distances.
func (p *Probes) probe(ctx context.Context, c Coding, i, first int) (recall []float64, spread float64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	query := (&Quantiser{Set: p.set, Metric: p.metric}).NewCoder(p.rows).Vector(p.at[i])
	scorer := vector.NewScorer(p.set, p.metric, p.rows.Elem(), query)
	worst, hits := p.worst[i], 0
	near, dist := c.nearest(query, first*MaxWiden)
	for i, id := range near {
		var score [1]float32
		scorer.Rows([][]byte{p.rows.Row(int(id))}, score[:])
		if p.metric.Key(score[0]) <= worst {
			hits++
		}
		if i+1 == first<<len(recall) {
			recall = append(recall, min(1, float64(hits)/probeK))
		}
	}
	for widen := 1 << len(recall); widen <= MaxWiden; widen *= 2 {
		recall = append(recall, 1) // more candidates than rows
	}
	if p.metric != vector.IP && len(dist) >= 100 && dist[9] > 0 {
		spread = math.Log10(float64(dist[99]) / float64(dist[9]))
	}
	return recall, spread, nil
}

// nearest returns the k rows whose codes are nearest to a query, nearest first, and their distances by code.
func (c *Coding) nearest(query []float32, k int) (near []uint32, dists []int32) {
	q := Coded{Q: make([]int8, 2*c.Codes.Stride)}
	c.Quant.Query(c.Quant.Prepare(query, make([]float32, len(query))), &q)
	var heap topk.Heap
	heap.Reset(k)
	n := c.Rows.Len()
	ids, dist := make([]uint32, 0, scanBatch), make([]int32, scanBatch)
	for at := range uint32(n) {
		if ids = append(ids, at); len(ids) < scanBatch && int(at) < n-1 {
			continue
		}
		if c.High {
			q.MeasureHigh(c.Quant.Set, c.Codes, ids, c.Weight, dist[:len(ids)])
		} else {
			q.Measure(c.Quant.Set, c.Codes, ids, c.Weight, dist[:len(ids)])
		}
		for i, d := range dist[:len(ids)] {
			heap.Push(topk.Pack(Key(d), ids[i]))
		}
		ids = ids[:0]
	}
	near, dists = make([]uint32, 0, heap.Len()), make([]int32, 0, heap.Len())
	for _, p := range heap.Sort() {
		id := topk.ID(p)
		if c.IDs != nil {
			id = c.IDs[id]
		}
		near, dists = append(near, id), append(dists, distOf(topk.Key(p)))
	}
	return near, dists
}
