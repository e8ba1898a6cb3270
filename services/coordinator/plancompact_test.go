package coordinator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/catalog"
)

func compactConfig() CompactConfig {
	c := DefaultConfig().Compact
	c.BaseBytes, c.MaxBytes = 100, 10_000
	return c
}

func seg(id, partition, bytes int64, x uint64) catalog.Segment {
	return catalog.Segment{ID: id, Partition: partition, Bytes: bytes, Rows: int(bytes), AppliedThrough: x, Dir: fmt.Sprint("segments/", id)}
}

func many(from, n, partition, bytes int64) (out []catalog.Segment) {
	for i := range n {
		out = append(out, seg(from+i, partition, bytes, 0))
	}
	return out
}

func TestPlanCompactions(t *testing.T) {
	coll := &catalog.Collection{ID: 7, State: catalog.Ready, Schema: vectorSchema()}
	cases := []struct {
		name   string
		shard  catalog.Shard
		open   []*catalog.Task
		expect string // sources of each plan
	}{
		{name: "nothing", shard: catalog.Shard{}},
		{name: "seven small ones wait", shard: catalog.Shard{Segments: many(1, 7, 1, 10)}},
		{name: "eight small ones merge", shard: catalog.Shard{Segments: many(1, 8, 1, 10)}, expect: "1-8"},
		{name: "the smallest tier merges as a whole", shard: catalog.Shard{Segments: many(1, 30, 1, 10)}, expect: "1-30"},
		{name: "a higher tier merges by eight", shard: catalog.Shard{Segments: many(1, 17, 1, 150)}, expect: "1-8 9-16"},
		{name: "partitions are apart", shard: catalog.Shard{Segments: append(many(1, 5, 1, 10), many(6, 5, 2, 10)...)}},
		{name: "tiers are apart", shard: catalog.Shard{Segments: append(many(1, 5, 1, 10), many(6, 5, 1, 900)...)}},
		{name: "the sum is bounded", shard: catalog.Shard{Segments: many(1, 8, 1, 3000)}, expect: "1-3"},
		{name: "full ones rest", shard: catalog.Shard{Segments: many(1, 8, 1, 10_000)}},
		{
			name: "busy ones are left alone", shard: catalog.Shard{Segments: many(1, 8, 1, 10)},
			open: []*catalog.Task{{Kind: catalog.TaskCompact, Collection: 7, Sources: many(3, 1, 1, 10)}},
		},
		{
			name: "so are those being indexed", shard: catalog.Shard{Segments: many(1, 8, 1, 10)},
			open: []*catalog.Task{{Kind: catalog.TaskIndex, Collection: 7, Sources: many(3, 1, 1, 10), Index: &catalog.Index{ID: 1}}},
		},
		{
			name: "open ones count", shard: catalog.Shard{Segments: many(1, 8, 1, 10)},
			open: slices.Repeat([]*catalog.Task{{Kind: catalog.TaskCompact, Collection: 7, Sources: many(90, 1, 1, 10)}}, 4),
		},
		{name: "many dead rows", shard: catalog.Shard{
			Checkpoint: 50, Segments: []catalog.Segment{seg(1, 1, 1000, 10), seg(2, 1, 1000, 40)},
			Deltas: []catalog.Delta{{From: 10, To: 20, Count: 200, MaxTS: 90}, {From: 20, To: 30, Count: 150, MaxTS: 95}},
		}, expect: "1"},
		{name: "few dead rows", shard: catalog.Shard{
			Checkpoint: 50, Segments: []catalog.Segment{seg(1, 1, 1000, 10)},
			Deltas: []catalog.Delta{{From: 10, To: 20, Count: 200, MaxTS: 90}},
		}},
		{name: "dead above the horizon", shard: catalog.Shard{
			Checkpoint: 50, Segments: []catalog.Segment{seg(1, 1, 1000, 10)},
			Deltas: []catalog.Delta{{From: 10, To: 20, Count: 900, MaxTS: 101}},
		}},
	}
	for _, c := range cases {
		c.shard.Collection = 7
		plans := planCompactions(coll, &c.shard, c.open, compactConfig(), 100)
		if got := printPlans(plans); got != c.expect {
			t.Errorf("%s: plans %q, want %q", c.name, got, c.expect)
		}
		for _, p := range plans {
			if p.ApplyThrough != c.shard.Checkpoint || p.Horizon != 100 || p.Kind != catalog.TaskCompact || p.Collection != 7 {
				t.Errorf("%s: plan %+v", c.name, p)
			}
		}
	}
}

func printPlans(plans []catalog.Task) string {
	var out []string
	for _, p := range plans {
		first, last := p.Sources[0].ID, p.Sources[len(p.Sources)-1].ID
		if first == last {
			out = append(out, fmt.Sprint(first))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", first, last))
		}
	}
	return strings.Join(out, " ")
}

func TestTooManyDeltas(t *testing.T) {
	cfg := compactConfig()
	cfg.MaxDeltas = 4
	shard := catalog.Shard{Collection: 7, Checkpoint: 100, Segments: []catalog.Segment{seg(1, 1, 1_000_000, 0), seg(2, 1, 1_000_000, 90)}}
	for i := range uint64(6) {
		shard.Deltas = append(shard.Deltas, catalog.Delta{From: i * 10, To: i*10 + 10, Count: 1, MaxTS: i})
	}
	coll := &catalog.Collection{ID: 7, State: catalog.Ready}
	if got := printPlans(planCompactions(coll, &shard, nil, cfg, 100)); got != "1" {
		t.Errorf("plans %q, want the segment that keeps the deltas", got)
	}
	if got := planCompactions(coll, &shard, nil, cfg, 0); len(got) != 1 {
		t.Errorf("with only the first delta below the horizon: %q", printPlans(got))
	}
	if plans := planCompactions(coll, &shard, nil, cfg, 100); len(plans[0].Deltas) != 6 {
		t.Errorf("the task gets %d deltas", len(plans[0].Deltas))
	}
}

func TestPlanManual(t *testing.T) {
	coll := &catalog.Collection{ID: 7, State: catalog.Ready}
	shard := &catalog.Shard{
		Checkpoint: 50, Segments: append(append(many(1, 3, 1, 4000), seg(4, 1, 20_000, 40)), seg(5, 2, 10, 50)),
		Deltas: []catalog.Delta{{From: 30, To: 45, Count: 1}},
	}
	if got := printPlans(planManual(coll, shard, nil, compactConfig(), 100)); got != "1-2 3 4" {
		t.Errorf("plans %q", got)
	}
}

// TestCompactionConverges runs plans to their end on random shards: every row stays, tiers empty, and it ends.
func TestCompactionConverges(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	coll := &catalog.Collection{ID: 7, State: catalog.Ready}
	cfg := compactConfig()
	for round := range 50 {
		shard := catalog.Shard{Collection: 7, Checkpoint: 1000}
		var bytes int64
		for id := range 1 + r.Int64N(200) {
			s := seg(id+1, 1+r.Int64N(2), 1+r.Int64N(2000), 1000)
			bytes += s.Bytes
			shard.Segments = append(shard.Segments, s)
		}
		next := int64(10_000)
		for step := 0; ; step++ {
			plans := planCompactions(coll, &shard, nil, cfg, 100)
			if len(plans) == 0 {
				break
			}
			if step > 500 {
				t.Fatalf("round %d: it does not end", round)
			}
			for i := range plans {
				task := plans[i]
				next++
				task.ID, task.Target, task.Dir = next, next, fmt.Sprint("segments/", next)
				target := seg(next, task.Sources[0].Partition, 0, task.ApplyThrough)
				target.Dir = task.Dir
				for _, s := range task.Sources {
					target.Bytes += s.Bytes
				}
				after, gone, err := applyResult(&shard, &task, &catalog.TaskResult{Segment: &target})
				if err != nil || len(gone) != len(task.Sources) {
					t.Fatalf("round %d: %v, %d of %d replaced", round, err, len(gone), len(task.Sources))
				}
				shard = after
			}
		}
		var sum int64
		for _, s := range shard.Segments {
			sum += s.Bytes
		}
		if sum != bytes {
			t.Fatalf("round %d: %d bytes of %d are left", round, sum, bytes)
		}
		if tiers := 2 * 4 * cfg.Width; len(shard.Segments) > tiers+int(bytes/cfg.MaxBytes)*2 {
			t.Errorf("round %d: %d segments are left", round, len(shard.Segments))
		}
	}
}

func TestTidyShard(t *testing.T) {
	coll := &catalog.Collection{Partitions: []catalog.Partition{{ID: 1}, {ID: 2, State: catalog.Dropping}}, Indexes: []catalog.Index{{ID: 5}}}
	one, two, three := seg(1, 1, 10, 20), seg(2, 2, 10, 30), seg(3, 3, 10, 5)
	one.Indexes = []catalog.SegmentIndex{{IndexID: 5}, {IndexID: 6}}
	shard := &catalog.Shard{
		Checkpoint: 40, Segments: []catalog.Segment{one, two, three},
		Deltas: []catalog.Delta{{To: 10, MaxTS: 50}, {To: 20, MaxTS: 150}, {To: 30, MaxTS: 60}},
	}
	tidy, gone, changed := tidyShard(coll, shard, 100)
	if !changed || len(gone) != 1 || gone[0].ID != 3 || len(tidy.Segments) != 2 || len(tidy.Segments[0].Indexes) != 1 {
		t.Errorf("changed %v, gone %+v, segments %+v", changed, gone, tidy.Segments)
	}
	if len(tidy.Deltas) != 2 || tidy.Deltas[0].To != 20 || tidy.Deltas[1].To != 30 {
		t.Errorf("deltas %+v: one above the horizon and one that a segment needs must stay", tidy.Deltas)
	}
	if len(shard.Segments) != 3 || len(shard.Segments[0].Indexes) != 2 {
		t.Error("the manifest was changed in place")
	}
	if _, _, again := tidyShard(coll, &tidy, 100); again {
		t.Error("a tidy manifest is not tidy")
	}
	empty := &catalog.Shard{Checkpoint: 40, Deltas: []catalog.Delta{{To: 40, MaxTS: 50}}}
	if tidy, _, changed := tidyShard(coll, empty, 100); !changed || len(tidy.Deltas) != 0 {
		t.Errorf("deltas of a shard without segments stay: %+v", tidy.Deltas)
	}
}

func TestApplyResultChecks(t *testing.T) {
	shard := &catalog.Shard{Segments: many(1, 3, 1, 10), Horizon: 50}
	task := &catalog.Task{ID: 9, Kind: catalog.TaskCompact, Sources: many(1, 2, 1, 10), Target: 20, Dir: "segments/20", ApplyThrough: 7, Horizon: 40}
	good := catalog.Segment{ID: 20, Partition: 1, Dir: "segments/20", AppliedThrough: 7}
	for name, change := range map[string]func(*catalog.Segment){
		"id": func(s *catalog.Segment) { s.ID = 21 }, "dir": func(s *catalog.Segment) { s.Dir = "x" },
		"partition": func(s *catalog.Segment) { s.Partition = 2 }, "applied through": func(s *catalog.Segment) { s.AppliedThrough = 8 },
	} {
		bad := good
		change(&bad)
		if _, _, err := applyResult(shard, task, &catalog.TaskResult{Segment: &bad}); err == nil {
			t.Errorf("a result with another %s was taken", name)
		}
	}
	next, gone, err := applyResult(shard, task, &catalog.TaskResult{Segment: &good})
	if err != nil || len(gone) != 2 || len(next.Segments) != 2 || next.Horizon != 50 {
		t.Errorf("%+v, %+v, %v", next, gone, err)
	}
	if _, _, err := applyResult(&next, task, &catalog.TaskResult{Segment: &good}); err == nil {
		t.Error("a compaction was applied twice")
	}
	moved := *shard
	moved.Segments = slices.Clone(shard.Segments)
	moved.Segments[0].Dir = "elsewhere"
	if _, _, err := applyResult(&moved, task, &catalog.TaskResult{Segment: &good}); err == nil {
		t.Error("a source with other files counts as the same")
	}
}
