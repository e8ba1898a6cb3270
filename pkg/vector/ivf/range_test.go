package ivf

import (
	"errors"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestRange: ranges are what a scan of all rows gives, from far fewer distances where lists lie apart.
func TestRange(t *testing.T) {
	const n, dim = 5000, 6
	rows := sample.Clustered(41, 0, n, dim, 60)
	for i := 0; i < n; i += 100 {
		clear(rows.Vector(i))
	}
	queries := sample.Clustered(41, 1, 8, dim, 60)
	clear(queries.Vector(3))
	scale(queries.Vector(4), 300)
	for _, metric := range metrics {
		for _, coding := range codings {
			x := build(t, rows, Config{Metric: metric, Lists: 80, Coding: coding})
			sc := flat.Scanner{Set: x.quant.Set, Metric: metric, Rows: rows}
			scanned := 0
			for q := range queries.Len() {
				query := queries.Vector(q)
				all, _, err := sc.Search(t.Context(), query, n, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, at := range []int{0, 30, 700, n - 1} {
					for _, f := range []*sample.Bits{nil, sample.Share(2, n, 0.6), sample.Share(2, n, 0.05)} {
						w := flat.Window{Radius: all[0][at].Score, Bound: &all[0][at/3].Score}
						want, _, err := sc.Range(t.Context(), query, w, 200, filter(f))
						if err != nil {
							t.Fatal(err)
						}
						got, stats, err := x.Range(t.Context(), query, w, 200, filter(f))
						if err != nil || !slices.Equal(got, want) {
							t.Fatalf("%s %s query %d, %d rows: %v, want %v; %v", metric, coding, q, at, got, want, err)
						}
						if at == 30 && f == nil && q != 3 && q != 4 {
							scanned += stats.Distances
						}
					}
				}
			}
			if metric != vector.IP && scanned > 6*n/2 {
				t.Errorf("%s %s: %d distances per query", metric, coding, scanned/6)
			}
		}
	}
	x := build(t, rows, Config{Metric: vector.L2, Lists: 8, Coding: Exact})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Range(t.Context(), queries.Vector(0), flat.Window{Radius: 1}, 5, nil); !errors.Is(err, vector.ErrClosed) {
		t.Fatal(err)
	}
}
