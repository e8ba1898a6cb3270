package calibrate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TestMeasure calibrates a search that finds the rows up to an effort by their true rank, and loses each second one
// beyond it.
func TestMeasure(t *testing.T) {
	rows := sample.Clustered(1, 0, 3000, 16, 20)
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	held := Sample(3000, 64)
	m := &measurement{cfg: Config{Set: set, Metric: vector.L2, Held: held}, rows: rows, workers: 2}
	exact := m.scan()
	cfg := Config{Set: set, Metric: vector.L2, Held: held, Efforts: []int{5, 10, 20, 50, 100, 200}, Workers: 2}
	cfg.Search = func(ctx context.Context, _ int, query []float32, k, effort int) ([]uint32, error) {
		ids, err := exact(ctx, query, k)
		for i := range ids {
			if i >= effort/2 && i%2 == 0 {
				ids[i] = held[0]
			}
		}
		return ids, err
	}
	table, err := Measure(t.Context(), cfg, rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		k      int
		target float64
		lo, hi int
	}{{1, 0.5, 5, 5}, {10, 0.5, 5, 5}, {10, 0.999, 18, 20}, {100, 0.9, 100, 200}, {200, 0.9, 200, 400}, {100, 1, 200, 200}, {30, 0.99, 40, 120}} {
		if e, ok := table.Effort(c.k, c.target); !ok || e < c.lo || e > c.hi {
			t.Errorf("k %d, recall %g: effort %d, want %d to %d; %v", c.k, c.target, e, c.lo, c.hi, table)
		}
	}
	for _, k := range []int{5, 10, 33, 100, 150} {
		for _, effort := range []int{60, 100, 199} {
			r := table.Recall(k, effort)
			if back, _ := table.Effort(k, r); back > effort || r < 0 || r > 1 {
				t.Errorf("k %d: recall %g at effort %d, which needs %d", k, r, effort, back)
			}
		}
	}
	again, err := Decode(table.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for i := range table.curves {
		if !slices.Equal(again.curves[i], table.curves[i]) {
			t.Errorf("decoded %v from %v", again, table)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(cancelled, cfg, rows); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnreached(t *testing.T) {
	table := Table{curves: [2][]Point{{{10, 0.5}, {100, 0.8}}, nil}}
	for k, want := range map[int]int{10: 200, 50: 1000} {
		if e, ok := table.Effort(k, 0.9); !ok || e != want {
			t.Errorf("k %d: %d, %v", k, e, ok)
		}
	}
	if _, ok := new(Table).Effort(10, 0.9); ok {
		t.Error("an empty table knew an effort")
	}
}

func TestFewRows(t *testing.T) {
	rows := sample.Clustered(1, 0, 30, 4, 2)
	table, err := Measure(t.Context(), Config{Metric: vector.L2, Held: Sample(30, 64)}, rows)
	if err != nil || !table.Empty() {
		t.Fatal(table, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add((&Table{curves: [2][]Point{{{10, 0.5}, {100, 0.8}}, {{100, 0.9}}}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Decode(b)
		if err != nil {
			if !errors.Is(err, vector.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if e, ok := table.Effort(10, 0.95); ok && e < 1 {
			t.Fatal(e)
		}
		if len(b) > 0 && !slices.Equal(table.Encode(), b) {
			t.Fatal("not what was decoded")
		}
	})
}
