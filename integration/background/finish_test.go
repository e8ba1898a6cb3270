package background

import (
	"encoding/json"
	"os/exec"
	"strings"
	"time"

	"github.com/gyr-db/gyr/integration/harness"
)

// finish compares everything with the models, and the bucket with the catalog.
func (s *stand) finish(processes []*harness.Process, address string) {
	t := s.t
	for _, table := range tables {
		ctx, cancel := call(t.Context())
		for i, c := range s.clients {
			rows, err := c.QueryRows(ctx, table, "key >= 0", 0)
			if err != nil {
				t.Fatalf("%s: scan at the end: %v", table, err)
			}
			if err := s.model[table].Check(rows); err != nil {
				t.Errorf("%s through proxy %d: %v", table, i, err)
			}
			if n, err := c.Count(ctx, table); err != nil || n != int64(s.model[table].Len()) || int(n) != len(rows) {
				t.Errorf("%s through proxy %d: count(*) = %d, %v; %d rows were scanned, the model has %d", table, i, n, err, len(rows), s.model[table].Len())
			}
			t.Logf("%s: %d rows", table, len(rows))
		}
		cancel()
	}
	s.garbageGoes(address)
	collected := 0
	for _, p := range processes {
		collected += strings.Count(p.Output(), "garbage collected")
		for line := range strings.Lines(p.Output()) {
			if strings.Contains(line, "level=ERROR") || missingObject(line) {
				t.Errorf("%s says: %s", p.Name, line)
			}
		}
	}
	if collected < 5 {
		t.Errorf("garbage was collected %d times: the test has no bite", collected)
	}
}

// missingObject tells a line of a log about an object that should be there.
func missingObject(line string) bool {
	low := strings.ToLower(line)
	gone := strings.Contains(low, "not found") || strings.Contains(low, "no such file") || strings.Contains(low, "nosuchkey")
	return gone && (strings.Contains(low, "segments/") || strings.Contains(low, "deltas/") || strings.Contains(low, "indexes/"))
}

// garbageGoes waits until the catalog names every object that is left.
func (s *stand) garbageGoes(address string) {
	t := s.t
	begin := time.Now()
	for {
		out, err := exec.CommandContext(t.Context(), harness.Binary(t, "gyr-ctl"), "gc", "--dry-run", "--json", "--address", address).Output()
		if err != nil {
			t.Fatalf("gyr-ctl gc: %v: %s", err, out)
		}
		var objects []struct{ Key, Why string }
		if err := json.Unmarshal(out, &objects); err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, o := range objects {
			if !strings.HasPrefix(o.Why, "the manifest of collection") && !strings.HasPrefix(o.Key, "catalog/") {
				left = append(left, o.Key+": "+o.Why)
			}
		}
		if len(left) == 0 && len(objects) > 0 {
			t.Logf("%d objects are left and named, %s after the end", len(objects), ms(time.Since(begin)))
			return
		}
		if time.Since(begin) > 40*time.Second {
			t.Errorf("%d of %d objects are not named by a manifest %s after the end:\n%s", len(left), len(objects), ms(time.Since(begin)), strings.Join(left, "\n"))
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}
