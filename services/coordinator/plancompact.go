package coordinator

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/tso"
)

// maxSources bounds the segments merged at once.
const maxSources = 64

// planCompactions lists the compactions worth doing in a shard, as tasks without ids and targets, at most
// cfg.MaxPerShard with those open. Row versions that were dead at horizon are dropped.
//
// Width segments of one partition and tier become one of the next tier, so each row is rewritten about log(Width) of the
// collection's size times. A segment whose rows were killed to DeadShare or more (estimated from the deltas) is rewritten,
// and so are the segments that keep more than MaxDeltas deltas alive.
func planCompactions(coll *catalog.Collection, shard *catalog.Shard, open []*catalog.Task, cfg CompactConfig, horizon tso.Timestamp) []catalog.Task {
	if coll.State == catalog.Dropping {
		return nil
	}
	at := busy(open)
	room := cfg.MaxPerShard
	for _, t := range open {
		if t.Kind == catalog.TaskCompact && t.Collection == coll.ID && t.Shard == shard.Index {
			room--
		}
	}
	var out []catalog.Task
	taken := map[int64]bool{}
	add := func(sources []catalog.Segment) {
		if len(out) >= room {
			return
		}
		out = append(out, compaction(coll, shard, sources, horizon))
		for _, s := range sources {
			taken[s.ID] = true
		}
	}
	free := freeSegments(shard, at)
	for _, sources := range mergesByTier(free, cfg) {
		add(sources)
	}
	dead := deadShares(shard, horizon)
	oldest := tooManyDeltas(shard, cfg.MaxDeltas, horizon)
	for _, seg := range free {
		if !taken[seg.ID] && (dead[seg.ID] >= cfg.DeadShare || seg.AppliedThrough < oldest) {
			add([]catalog.Segment{seg})
		}
	}
	return out
}

// planManual lists what a user's compaction does in a shard: everything in a partition that fits is merged, and every
// segment that has deletes to apply is rewritten.
func planManual(coll *catalog.Collection, shard *catalog.Shard, open []*catalog.Task, cfg CompactConfig, horizon tso.Timestamp) []catalog.Task {
	var out []catalog.Task
	for _, segs := range byPartition(freeSegments(shard, busy(open))) {
		for _, bin := range bins(segs, cfg.MaxBytes) {
			if len(bin) > 1 || len(deltasFor(shard, bin)) > 0 {
				out = append(out, compaction(coll, shard, bin, horizon))
			}
		}
	}
	return out
}

// compaction makes the task. All deletes through the shard's checkpoint are in its deltas, so the target needs none of
// them again: rows that they killed above the horizon are kept and marked with the delete's timestamp.
func compaction(coll *catalog.Collection, shard *catalog.Shard, sources []catalog.Segment, horizon tso.Timestamp) catalog.Task {
	return catalog.Task{
		Kind: catalog.TaskCompact, Collection: coll.ID, Shard: shard.Index, Sources: sources,
		Deltas: deltasFor(shard, sources), Schema: coll.Schema, Indexed: coll.ScalarIndexed(), Horizon: max(horizon, shard.Horizon), ApplyThrough: shard.Checkpoint,
	}
}

// deltasFor are the deltas that may concern rows of the segments.
func deltasFor(shard *catalog.Shard, segs []catalog.Segment) []catalog.Delta {
	lowest := shard.Checkpoint
	for _, s := range segs {
		lowest = min(lowest, s.AppliedThrough)
	}
	var out []catalog.Delta
	for _, d := range shard.Deltas {
		if d.To > lowest {
			out = append(out, d)
		}
	}
	return out
}

// freeSegments are those that no task works on, oldest first.
func freeSegments(shard *catalog.Shard, at busySet) []catalog.Segment {
	var out []catalog.Segment
	for _, s := range shard.Segments {
		if !at.compacting[s.ID] && len(at.indexing[s.ID]) == 0 {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b catalog.Segment) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// tier of a size: 0 below base, one more for each factor of width.
func tier(bytes, base int64, width int) int {
	t := 0
	for limit := base; bytes >= limit && t < 30; limit *= int64(width) {
		t++
	}
	return t
}

type group struct {
	partition int64
	tier      int
}

// mergesByTier groups segments of one partition and tier. The smallest tier is merged as a whole: such segments cost more
// by their number than by their bytes.
func mergesByTier(segs []catalog.Segment, cfg CompactConfig) [][]catalog.Segment {
	groups := map[group][]catalog.Segment{}
	for _, s := range segs {
		if s.Bytes < cfg.MaxBytes {
			g := group{s.Partition, tier(s.Bytes, cfg.BaseBytes, cfg.Width)}
			groups[g] = append(groups[g], s)
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(a.partition, b.partition))
	})
	var out [][]catalog.Segment
	for _, g := range keys {
		rest := groups[g]
		for len(rest) >= cfg.Width {
			n := cfg.Width
			if g.tier == 0 {
				n = min(len(rest), maxSources)
			}
			n = fitting(rest[:n], cfg.MaxBytes)
			if n >= 2 {
				out = append(out, rest[:n:n])
			}
			rest = rest[max(n, 1):]
		}
	}
	return out
}

// fitting is how many of the first segments have at most limit bytes together.
func fitting(segs []catalog.Segment, limit int64) int {
	var sum int64
	for i, s := range segs {
		if sum += s.Bytes; sum > limit {
			return i
		}
	}
	return len(segs)
}

func byPartition(segs []catalog.Segment) [][]catalog.Segment {
	groups := map[int64][]catalog.Segment{}
	for _, s := range segs {
		groups[s.Partition] = append(groups[s.Partition], s)
	}
	var out [][]catalog.Segment
	for _, p := range slices.Sorted(maps.Keys(groups)) {
		out = append(out, groups[p])
	}
	return out
}

// bins divides segments, in order, into groups of at most limit bytes; a segment above it stands alone.
func bins(segs []catalog.Segment, limit int64) [][]catalog.Segment {
	var out [][]catalog.Segment
	for len(segs) > 0 {
		n := max(1, fitting(segs[:min(len(segs), maxSources)], limit))
		out = append(out, segs[:n:n])
		segs = segs[n:]
	}
	return out
}

// deadShares estimates, by segment, the share of rows that deletes at or below the horizon killed since the segment was
// written. A delta's deletes are spread over the rows that they may concern; what they really hit is known only to those
// who hold the keys.
func deadShares(shard *catalog.Shard, horizon tso.Timestamp) map[int64]float64 {
	out := map[int64]float64{}
	for _, d := range shard.Deltas {
		if d.MaxTS > horizon {
			continue
		}
		rows := 0
		for _, s := range shard.Segments {
			if s.AppliedThrough < d.To {
				rows += s.Rows
			}
		}
		for _, s := range shard.Segments {
			if s.AppliedThrough < d.To && rows > 0 {
				out[s.ID] += float64(d.Count) / float64(rows)
			}
		}
	}
	return out
}

// tooManyDeltas is the position through which deletes should be applied so that half of too many deltas can go; 0 when
// there are not too many, or they are too young to go.
func tooManyDeltas(shard *catalog.Shard, limit int, horizon tso.Timestamp) uint64 {
	if len(shard.Deltas) <= limit {
		return 0
	}
	deltas := slices.SortedFunc(slices.Values(shard.Deltas), func(a, b catalog.Delta) int { return cmp.Compare(a.To, b.To) })
	var through uint64
	for _, d := range deltas[:len(deltas)/2] {
		if d.MaxTS > horizon {
			break
		}
		through = d.To
	}
	return through
}
