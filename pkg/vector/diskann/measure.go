package diskann

import (
	"context"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq4"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	probes      = 16
	probeK      = 10
	probeRecall = 0.98
	scanBatch   = 256
)

// candidates returns how many rows a scan for k rows scores by their vectors: more than k, as codes order rows only nearly
// as scores do. widen is what measureWidening found.
func candidates(k, widen int) int { return widen * (k + max(k, 24)) }

// measureWidening searches for some of the rows by scans over codes, and returns by how much the candidates must be widened
// so that the truly nearest are among them: 1 for ordinary embeddings. It measures the error of codes besides.
func (b *builder) measureWidening(ctx context.Context) (int, error) {
	n := b.rows.Len()
	if n <= candidates(probeK, 1) {
		return 1, nil
	}
	count := min(probes, n)
	results, squares, fails := make([][]float64, count), make([]float64, count), make([]error, count)
	work.Parallel(b.workers(), count, func(i int) {
		p := probe{b: b, query: int(work.Mix(uint64(i)+seed) % uint64(n))}
		results[i], squares[i], fails[i] = p.run(ctx)
	})
	mean := 0.0
	for i, err := range fails {
		if err != nil {
			return 0, fmt.Errorf("measuring how well codes order rows: %w", err)
		}
		mean += squares[i] / float64(count)
	}
	if mean = math.Sqrt(mean); mean < math.MaxFloat32 { // not for a NaN
		b.img.head.deviation = float32(mean)
	}
	for step := 0; ; step++ {
		sum := 0.0
		for _, r := range results {
			sum += r[step]
		}
		if widen := 1 << step; widen == maxWide || sum >= probeRecall*float64(count) {
			return widen, nil
		}
	}
}

// probe is a search for one of the rows.
type probe struct {
	b     *builder
	query int
}

// run returns the recall among the candidates widened by 1, 2, 4 and so on, and the mean squared error of distances by
// codes, as a share of the query's squared length.
func (p *probe) run(ctx context.Context) (recall []float64, squares float64, err error) {
	b := p.b
	rows, metric := b.rows, b.cfg.Metric
	prepare := sq8.Quantiser{Set: b.cfg.Set, Metric: metric}
	query := append([]float32(nil), prepare.NewCoder(rows).Vector(p.query)...)
	sc := flat.Scanner{Set: b.cfg.Set, Metric: metric, Rows: rows}
	best, _, err := sc.Search(ctx, query, probeK, nil)
	if err != nil {
		return nil, 0, err
	}
	worst := metric.Key(best[0][len(best[0])-1].Score)
	var coded sq4.Coded
	prepared := b.img.turn.Apply(prepare.Prepare(query, make([]float32, len(query))), make([]float32, len(query)))
	b.img.quant.Query(prepared, &coded)
	scorer := vector.NewScorer(b.cfg.Set, metric, rows.Elem(), query)
	hits := 0
	length := lengthOf(&b.img.quant, prepared)
	near := b.nearest(&coded, candidates(probeK, maxWide))
	for i, pair := range near {
		var score [1]float32
		scorer.Rows([][]byte{rows.Row(int(topk.ID(pair)))}, score[:])
		if metric.Key(score[0]) <= worst {
			hits++
		}
		if i+1 == candidates(probeK, 1)<<len(recall) {
			recall = append(recall, min(1, float64(hits)/probeK))
		}
		if length > 0 {
			e := float64(coded.Distance(topk.Key(pair))-asDistance(metric, score[0])) / length
			squares += e * e / float64(len(near))
		}
	}
	for 1<<len(recall) <= maxWide {
		recall = append(recall, 1) // more candidates than rows
	}
	return recall, squares, nil
}

// asDistance turns a score into what codes measure: distance, or negated product.
func asDistance(m vector.Metric, score float32) float32 {
	switch m {
	case vector.IP:
		return -score
	case vector.Cosine:
		return 2 - 2*score
	}
	return score
}

// lengthOf returns the length of the part of a query that codes are multiplied with, to which their error is proportional.
func lengthOf(q *sq4.Quantiser, prepared []float32) float64 {
	sum := 0.0
	for d, v := range prepared {
		if !q.IP {
			v -= q.Mean[d]
		}
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// nearest returns the k rows whose codes are nearest to a query, nearest first.
func (b *builder) nearest(q *sq4.Coded, k int) []uint64 {
	img, n := b.img, b.rows.Len()
	var heap topk.Heap
	heap.Reset(k)
	ids, keys := make([]uint32, 0, scanBatch), make([]uint32, scanBatch)
	for from := 0; from < n; from += scanBatch {
		ids = ids[:0]
		for id := from; id < min(from+scanBatch, n); id++ {
			ids = append(ids, uint32(id))
		}
		img.quant.Measure(q, img.codes, ids, img.weight, keys)
		for i, id := range ids {
			heap.Push(topk.Pack(keys[i], id))
		}
	}
	return heap.Sort()
}
