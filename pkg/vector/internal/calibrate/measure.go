package calibrate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	// enough is the mean recall at which a curve ends.
	enough = 0.997
	// blend is how far every second query lies on the way to another row.
	blend = 0.25
	seed  = 0x51ed270b0a1f39c1
)

// Config says what to measure.
type Config struct {
	Set    kernel.Set
	Metric vector.Metric
	// Held are the rows that queries are made from; neither Search nor Exact returns them.
	Held []uint32
	// Efforts are the steps, ascending, at most 64 of them; a curve ends early when its recall leaves nothing to wish for.
	Efforts []int
	// FromK says that an effort below k is no less than k; such steps are left out.
	FromK bool
	// Search returns the rows that a search for k rows finds at an effort, in any order. It is called from up to Workers
	// goroutines at a time, with the number of the goroutine.
	Search func(ctx context.Context, worker int, query []float32, k, effort int) ([]uint32, error)
	// Exact returns the k nearest rows. Nil means a scan of raw vectors, which reads them all for each query.
	Exact   func(ctx context.Context, query []float32, k int) ([]uint32, error)
	Workers int
}

// Sample returns up to count rows of n to hold back, ascending and the same for the same numbers, but not more than a
// twentieth of all.
func Sample(n, count int) []uint32 {
	count = min(count, n/20)
	held := make([]uint32, count)
	for i := range held {
		from, to := i*n/count, (i+1)*n/count
		held[i] = uint32(from + int(work.Mix(uint64(i)+seed)%uint64(to-from)))
	}
	return held
}

// Measure makes the table of an index over rows, which lie in memory. With few rows held back it is empty.
func Measure(ctx context.Context, cfg Config, rows vector.Rows) (Table, error) {
	var t Table
	if len(cfg.Held) < 8 || rows.Len()-len(cfg.Held) < 4*ks[0] {
		return t, nil
	}
	m := &measurement{cfg: cfg, rows: rows, workers: work.Workers(cfg.Workers)}
	if err := m.prepare(ctx); err != nil {
		return t, fmt.Errorf("calibrating an index: %w", err)
	}
	for i, k := range ks {
		if rows.Len()-len(cfg.Held) < 4*k {
			break
		}
		var err error
		if t.curves[i], err = m.curve(ctx, k); err != nil {
			return Table{}, fmt.Errorf("calibrating an index: %w", err)
		}
	}
	return t, nil
}

type measurement struct {
	cfg     Config
	rows    vector.Rows
	workers int
	queries [][]float32
	exact   [][]uint32 // the keys of the nearest rows' scores, ascending
}

// each calls fn for all queries, spread over the workers.
func (m *measurement) each(ctx context.Context, fn func(worker, query int) error) error {
	errs := make([]error, m.workers)
	work.Parallel(m.workers, m.workers, func(w int) {
		for i := w; i < len(m.queries) && errs[w] == nil; i += m.workers {
			if errs[w] = ctx.Err(); errs[w] == nil {
				errs[w] = fn(w, i)
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *measurement) prepare(ctx context.Context) error {
	m.queries, m.exact = make([][]float32, len(m.cfg.Held)), make([][]uint32, len(m.cfg.Held))
	for i := range m.queries {
		m.queries[i] = m.query(i)
	}
	find := m.cfg.Exact
	if find == nil {
		find = m.scan()
	}
	return m.each(ctx, func(_, i int) error {
		ids, err := find(ctx, m.queries[i], min(ks[len(ks)-1], m.rows.Len()-len(m.cfg.Held)))
		if err != nil {
			return err
		}
		m.exact[i] = m.keys(m.queries[i], ids)
		return nil
	})
}

// query returns held row i, every second time moved towards another held row. For Cosine both count with length 1.
func (m *measurement) query(i int) []float32 {
	q := m.vector(i)
	if i%2 == 0 {
		return q
	}
	other := m.vector((i + len(m.queries)/2) % len(m.queries))
	weight := float32(blend)
	if m.cfg.Metric == vector.Cosine {
		if n := m.cfg.Set.Dot(other, other); n > 0 {
			weight *= float32(math.Sqrt(float64(m.cfg.Set.Dot(q, q) / n)))
		}
	}
	for d, v := range other {
		q[d] = q[d]*(1-blend) + v*weight
	}
	return q
}

func (m *measurement) vector(i int) []float32 {
	buf := make([]float32, m.rows.Dim())
	copy(buf, m.cfg.Set.Decode(m.rows.Elem(), m.rows.Row(int(m.cfg.Held[i])), buf))
	return buf
}

// keys returns the keys of the exact scores of rows, ascending.
func (m *measurement) keys(query []float32, ids []uint32) []uint32 {
	scorer := vector.NewScorer(m.cfg.Set, m.cfg.Metric, m.rows.Elem(), query)
	list := make([][]byte, len(ids))
	for i, id := range ids {
		list[i] = m.rows.Row(int(id))
	}
	scores, keys := make([]float32, len(ids)), make([]uint32, len(ids))
	scorer.Rows(list, scores)
	for i, s := range scores {
		keys[i] = m.cfg.Metric.Key(s)
	}
	slices.Sort(keys)
	return keys
}

// scan returns an Exact that scans raw vectors.
func (m *measurement) scan() func(context.Context, []float32, int) ([]uint32, error) {
	sc := flat.Scanner{Set: m.cfg.Set, Metric: m.cfg.Metric, Rows: m.rows}
	return func(ctx context.Context, query []float32, k int) ([]uint32, error) {
		hits, _, err := sc.Search(ctx, query, k+len(m.cfg.Held), nil)
		if err != nil {
			return nil, err
		}
		ids := make([]uint32, 0, k)
		for _, h := range hits[0] {
			if _, held := slices.BinarySearch(m.cfg.Held, h.ID); !held && len(ids) < k {
				ids = append(ids, h.ID)
			}
		}
		return ids, nil
	}
}

// curve runs the queries at growing efforts. Where chance makes recall fall from one step to the next, it stays level.
func (m *measurement) curve(ctx context.Context, k int) ([]Point, error) {
	var curve []Point
	recalls := make([]float64, len(m.queries))
	for _, effort := range m.cfg.Efforts {
		if m.cfg.FromK && effort < k {
			continue
		}
		err := m.each(ctx, func(worker, i int) error {
			ids, err := m.cfg.Search(ctx, worker, m.queries[i], k, effort)
			recalls[i] = m.recall(i, k, ids)
			return err
		})
		if err != nil {
			return nil, err
		}
		p := Point{effort, float32(lower(recalls))}
		if len(curve) > 0 {
			p.Recall = max(p.Recall, curve[len(curve)-1].Recall)
		}
		if curve = append(curve, p); mean(recalls) >= enough {
			break
		}
	}
	return curve, nil
}

// recall returns the share of the k nearest rows of query i that ids reach; rows of equal score count alike.
func (m *measurement) recall(i, k int, ids []uint32) float64 {
	want := m.exact[i][:min(k, len(m.exact[i]))]
	if len(want) == 0 {
		return 1
	}
	hits := 0
	for _, key := range m.keys(m.queries[i], ids) {
		if key <= want[len(want)-1] {
			hits++
		}
	}
	return min(1, float64(hits)/float64(len(want)))
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// lower returns the lesser of the mean recall of rows as they are and of the moved ones, as it depends on the data which
// kind is harder, less two standard errors of the mean of both.
func lower(x []float64) float64 {
	var sum [2]float64
	var squares float64
	for i, v := range x {
		sum[i%2] += v
		squares += v * v
	}
	n := float64(len(x))
	all := (sum[0] + sum[1]) / n
	least := min(sum[0]/float64((len(x)+1)/2), sum[1]/float64(len(x)/2))
	return max(0, least-2*math.Sqrt(max(0, squares/n-all*all)/n))
}
