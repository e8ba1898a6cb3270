package bench

import (
	"context"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/harness"
)

// TestEveryFigureCanBeMeasured runs all figures at small sizes: the numbers mean nothing, but the checks in the figures do.
func TestEveryFigureCanBeMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("the figures need a server; -short leaves them out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	report, err := Run(ctx, Config{
		Binary: harness.Binary(t, "gyr-standalone"), Seconds: 1, BulkRows: 3000, Segments: 4, Collections: 20, RestartRows: 4000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) != len(Names()) || report.Version == "" {
		t.Fatalf("version %q, %d of %d figures", report.Version, len(report.Results), len(Names()))
	}
	for _, r := range report.Results {
		if len(r.Values) < 2 {
			t.Errorf("%s has %d numbers", r.Figure, len(r.Values))
		}
		for _, v := range r.Values {
			if v.Value < 0 {
				t.Errorf("%s: %s is %v", r.Figure, v.Name, v.Value)
			}
		}
	}
}
