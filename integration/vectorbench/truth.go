package vectorbench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/index"
)

// judge scores what engines return. A returned row counts when its distance is not above that of the k-th nearest row, so
// it does not matter which of several rows at equal distance an engine picks.
type judge struct {
	set    *Set
	k      int
	want   []int      // per query, neighbours that exist: k, or fewer when the filter allows fewer
	bound  []float64  // per query, the score that a row must reach, rounding allowed for
	filter *rowFilter // nil: all rows
}

// rowFilter is a set of allowed rows.
type rowFilter struct {
	allowed bitset.Set
	count   int
	name    string
}

// bytes is one byte per row, for numpy.
func (f *rowFilter) bytes(rows int) []uint8 {
	out := make([]uint8, rows)
	f.allowed.Each(func(i int) bool {
		out[i] = 1
		return true
	})
	return out
}

// newFilter allows a share of the rows: random ones, or those with the smallest first component, which lie together.
func newFilter(cfg Config, set *Set) (*rowFilter, error) {
	if cfg.Filter == 0 {
		return nil, nil
	}
	n := set.Rows()
	count := int(math.Round(cfg.Filter * float64(n)))
	if count < 1 {
		return nil, fmt.Errorf("a filter of %g allows none of %d rows: say a larger share", cfg.Filter, n)
	}
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	f := &rowFilter{allowed: bitset.New(n), count: count, name: "random"}
	if cfg.Correlated {
		f.name = "correlated"
		slices.SortStableFunc(order, func(a, b int) int {
			switch x, y := set.Row(a)[0], set.Row(b)[0]; {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return a - b
		})
	}
	for _, i := range order[:count] {
		f.allowed.Add(i)
	}
	return f, nil
}

// newJudge takes the truth from the data set where it fits, from the cache, or computes it.
func newJudge(ctx context.Context, cfg Config, set *Set, f *rowFilter) (*judge, error) {
	j := &judge{set: set, k: cfg.K, filter: f, want: make([]int, set.Asks()), bound: make([]float64, set.Asks())}
	if set.Truth != nil && f == nil {
		wrong, err := j.doubt(ctx, set.Truth, set.TruthK)
		if err != nil {
			return nil, err
		}
		if wrong < 0 {
			j.take(set.Truth, set.TruthK)
			cfg.logf("truth: gt_ids.npy of the data folder")
			return j, nil
		}
		cfg.logf("truth: gt_ids.npy disagrees with the vectors at query %d by %s; computing it instead", wrong, set.Metric)
	}
	ids, err := cachedTruth(ctx, cfg, set, f)
	if err != nil {
		return nil, err
	}
	j.take(ids, cfg.K)
	return j, nil
}

// doubt recomputes a few queries exactly and returns the first that differs, or -1.
func (j *judge) doubt(ctx context.Context, ids []int64, width int) (int, error) {
	for i := 0; i < j.set.Asks(); i += max(1, j.set.Asks()/5) {
		got, err := exact(ctx, j.set, nil, j.k, i, i+1)
		if err != nil {
			return -1, err
		}
		a, b := j.score(i, ids[i*width+j.k-1]), j.score(i, got[j.k-1])
		if got[j.k-1] >= 0 && math.Abs(a-b) > 2*slack(b) {
			return i, nil
		}
	}
	return -1, nil
}

// take keeps the distance of the k-th neighbour of each query.
func (j *judge) take(ids []int64, width int) {
	for q := range j.want {
		row := ids[q*width : q*width+j.k]
		n := len(row)
		for n > 0 && row[n-1] < 0 {
			n--
		}
		if j.want[q] = n; n > 0 {
			s := j.score(q, row[n-1])
			j.bound[q] = s + slack(s)
		}
	}
}

// slack is what float32 arithmetic may do to a distance.
func slack(s float64) float64 { return 1e-6 * (1 + math.Abs(s)) }

// score is a distance in float64: squared L2, or the negated inner product.
func (j *judge) score(q int, row int64) float64 {
	if row < 0 {
		return math.Inf(1)
	}
	a, b := j.set.Ask(q), j.set.Row(int(row))
	if j.set.Metric != "L2" {
		return -dot(a, b)
	}
	var sum float64
	for i, x := range a {
		d := float64(x) - float64(b[i])
		sum += d * d
	}
	return sum
}

// recall is the share of true neighbours found; ids holds k rows per query, -1 for none.
func (j *judge) recall(ids []int32) (float64, error) {
	if len(ids) != len(j.want)*j.k {
		return 0, fmt.Errorf("%d results for %d queries of %d", len(ids), len(j.want), j.k)
	}
	found, want := 0, 0
	for q, n := range j.want {
		want += n
		row := ids[q*j.k : (q+1)*j.k]
		hits := 0
		for i, id := range row {
			if id < 0 {
				continue
			}
			if int(id) >= j.set.Rows() {
				return 0, fmt.Errorf("query %d returned row %d of %d", q, id, j.set.Rows())
			}
			if j.filter != nil && !j.filter.allowed.Has(int(id)) {
				return 0, fmt.Errorf("query %d returned row %d, which the filter does not allow", q, id)
			}
			if !slices.Contains(row[:i], id) && j.score(q, int64(id)) <= j.bound[q] {
				hits++
			}
		}
		found += min(hits, n)
	}
	if want == 0 {
		return 0, errors.New("there are no true neighbours")
	}
	return float64(found) / float64(want), nil
}

// cachedTruth computes the truth once for each data, metric, k and filter.
func cachedTruth(ctx context.Context, cfg Config, set *Set, f *rowFilter) ([]int64, error) {
	filter := "all"
	if f != nil {
		filter = fmt.Sprintf("%s-%d", f.name, f.count)
	}
	path := filepath.Join(cfg.Cache, "truth", fmt.Sprintf("%s-%s-%s-k%d-%s.i64", set.RowHash, set.AskHash, set.Metric, cfg.K, filter))
	if ids := readIDs(path, set, cfg.K); ids != nil {
		cfg.logf("truth: computed earlier, from the cache")
		return ids, nil
	}
	cfg.logf("truth: looking at all rows for %d queries", set.Asks())
	ids, err := exact(ctx, set, f, cfg.K, 0, set.Asks())
	if err != nil {
		return nil, fmt.Errorf("computing the exact neighbours: %w", err)
	}
	raw := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(id))
	}
	if err := replace(path, raw); err != nil {
		return nil, fmt.Errorf("keeping the exact neighbours: %w", err)
	}
	return ids, nil
}

// readIDs reads what replace wrote; nil when there is nothing usable.
func readIDs(path string, set *Set, k int) []int64 {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) != 8*set.Asks()*k {
		return nil
	}
	ids := make([]int64, set.Asks()*k)
	for i := range ids {
		ids[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		if ids[i] < -1 || ids[i] >= int64(set.Rows()) {
			return nil
		}
	}
	return ids
}

// replace writes a file so that it is there whole or not at all.
func replace(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Chmod(0o644), f.Close()) // a temporary file is made for its owner only
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// exact looks at every allowed row for queries lo to hi and returns k rows for each, -1 where there are fewer.
func exact(ctx context.Context, set *Set, f *rowFilter, k, lo, hi int) ([]int64, error) {
	flat, err := openFlat(set)
	if err != nil {
		return nil, err
	}
	defer flat.Close()
	out := make([]int64, (hi-lo)*k)
	// Sixteen queries a pass over the rows: the rows come from memory once for all of them.
	const batch = 16
	err = share(ctx, runtime.GOMAXPROCS(0), (hi-lo+batch-1)/batch, func(b int) error {
		from := lo + b*batch
		to := min(hi, from+batch)
		hits, _, err := searchIndex(ctx, flat, set, from, to, k, index.Effort{}, f.filter())
		if err != nil {
			return err
		}
		for q := from; q < to; q++ {
			row := out[(q-lo)*k : (q-lo+1)*k]
			for i := range row {
				row[i] = -1
			}
			for i, id := range hits.IDs[q-from] {
				row[i] = int64(id)
			}
		}
		return nil
	})
	return out, err
}
