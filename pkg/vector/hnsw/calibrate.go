package hnsw

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
)

const (
	// heldRows is the number of rows that are inserted last, and are the queries of the calibration before that.
	heldRows = 128
	// calibrateFrom is the number of nodes from which a graph is calibrated: a search of fewer may as well try hard.
	calibrateFrom = 40 * heldRows
)

// efforts returns the pools that a calibration tries. Coarse codes need larger ones.
func efforts(coarse bool) []int {
	pools := []int{10, 16, 25, 40, 64, 100, 160, 250, 400, 640}
	if coarse {
		return append(pools, 1000, 1600, 2500)
	}
	return pools
}

// held moves the nodes that are held back for the calibration to the end of the order, and returns how many they are. Rows
// with twins are not among them, as searches could not find the twins.
func (b *builder) held() int {
	if len(b.order) < calibrateFrom {
		return 0
	}
	g := &b.img.graph
	all := len(b.order)
	last := all
	for i := all - 1; i >= all-4*heldRows && last > all-heldRows; i-- {
		if id := b.order[i]; g.twins[id] == none && g.level(id) == 0 {
			last--
			b.order[i], b.order[last] = b.order[last], b.order[i]
		}
	}
	return all - last
}

// calibrate measures the recall of searches over a graph that holds all nodes but held.
func (b *builder) calibrate(ctx context.Context, held []uint32) error {
	exact, err := NewIndex(b.cfg.Set, b.img, b.rows)
	if err != nil {
		return err
	}
	x := exact
	if b.product != nil {
		if x, err = NewIndex(b.cfg.Set, b.img, b.rows); err != nil {
			return err
		}
		x.product = b.product
	}
	others := &allBut{words: make([]uint64, (b.img.n+63)/64), n: b.img.n - len(held)}
	for i := range b.img.n {
		others.words[i/64] |= 1 << (i % 64)
	}
	for _, id := range held {
		others.words[id/64] &^= 1 << (id % 64)
	}
	find := func(ctx context.Context, x *Index, query []float32, k int, p Params) ([]uint32, error) {
		hits, _, err := x.Search(ctx, query, p)
		if err != nil {
			return nil, err
		}
		ids := make([]uint32, 0, k)
		for _, h := range hits[0][:min(k, len(hits[0]))] {
			ids = append(ids, h.ID)
		}
		return ids, nil
	}
	b.img.table, err = calibrate.Measure(ctx, calibrate.Config{
		Set: b.cfg.Set, Metric: b.cfg.Metric, Held: held, Efforts: efforts(b.product != nil), FromK: true, Workers: b.workers(),
		Search: func(ctx context.Context, _ int, query []float32, k, effort int) ([]uint32, error) {
			return find(ctx, x, query, k, Params{K: k, Ef: effort})
		},
		// A pool of all rows is a scan of codes; with twice as many hits as are wanted, its order is exact.
		Exact: func(ctx context.Context, query []float32, k int) ([]uint32, error) {
			return find(ctx, exact, query, k, Params{K: 2 * k, Ef: b.img.n, Filter: others})
		},
	}, b.rows)
	return err
}

// effort returns the pool for a search for k rows with a wanted recall.
func (x *Index) effort(k int, recall float64) int {
	if ef, ok := x.img.table.Effort(k, recall); ok {
		return max(k, ef)
	}
	// Nothing is known. On ordinary embeddings this is about twice what it takes.
	return max(k, int(math.Ceil(float64(k+32)/4/max(0.001, 1-recall))))
}

// allBut is a filter of all rows but a few.
type allBut struct {
	words []uint64
	n     int
}

func (f *allBut) Test(ids []uint32) uint64 {
	var m uint64
	for i, id := range ids {
		m |= f.words[id/64] >> (id % 64) & 1 << i
	}
	return m
}

func (f *allBut) Count() int { return f.n }

func (f *allBut) Words() []uint64 { return f.words }

var _ vector.Filter = (*allBut)(nil)
