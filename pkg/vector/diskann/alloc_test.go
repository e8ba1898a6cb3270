package diskann

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestAllocations: a search allocates its results, which are made behind the scratch, and next to nothing else. (The pool of
// scratches is left out: under the race detector it forgets some of what it is given.)
func TestAllocations(t *testing.T) {
	rows := sample.Clustered(1, 0, 3000, 32, 20)
	x := build(t, rows, vector.L2, 16)
	for name, p := range map[string]Params{"walk": {K: 10, List: 40}, "scan": {K: 10, List: 40, Filter: sample.Share(1, 3000, 0.02)}} {
		s, ctx := newSearcher(x), t.Context()
		var err error
		if s.reader, err = x.disk.Reader(); err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(100, func() {
			s.begin(p)
			if hits, err := s.search(ctx, rows.Vector(7)); err != nil || len(hits) != 10 {
				t.Fatal(hits, err)
			}
		})
		s.release()
		if n > 4 {
			t.Errorf("%s: %v allocations", name, n)
		}
		t.Logf("%s: %v allocations", name, n)
	}
}
