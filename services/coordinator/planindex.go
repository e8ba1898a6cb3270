package coordinator

import (
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/index"
)

// builds reports whether segments get a file for this definition. Scalar indexes are part of the column files, FLAT and
// BIN_FLAT are brute force; all count as built.
func builds(coll *catalog.Collection, x *catalog.Index) bool {
	f := coll.Schema.FieldByID(x.FieldID)
	return f != nil && f.Type.IsVector() && !index.IsScan(x.Type)
}

// busySet are the segments that open tasks work on.
type busySet struct {
	compacting map[int64]bool           // segment
	indexing   map[int64]map[int64]bool // segment -> index
}

func busy(open []*catalog.Task) busySet {
	b := busySet{compacting: map[int64]bool{}, indexing: map[int64]map[int64]bool{}}
	for _, t := range open {
		for _, s := range t.Sources {
			if t.Kind == catalog.TaskCompact {
				b.compacting[s.ID] = true
				continue
			}
			if b.indexing[s.ID] == nil {
				b.indexing[s.ID] = map[int64]bool{}
			}
			if t.Index != nil {
				b.indexing[s.ID][t.Index.ID] = true
			}
		}
	}
	return b
}

// planIndexes lists the index files that a shard's segments, and the targets of its compactions, lack, as tasks without
// ids, at most room. Segments with fewer than minRows rows are searched by brute force and need none.
func planIndexes(coll *catalog.Collection, shard *catalog.Shard, open []*catalog.Task, minRows, room int) []catalog.Task {
	if coll.State == catalog.Dropping {
		return nil
	}
	var out []catalog.Task
	at := busy(open)
	segments := slices.Clone(shard.Segments)
	for _, t := range open {
		if t.Built != nil {
			segments = append(segments, *t.Built)
		}
	}
	for _, seg := range segments {
		if seg.Rows < minRows || at.compacting[seg.ID] {
			continue
		}
		for i := range coll.Indexes {
			x := coll.Indexes[i]
			if !builds(coll, &x) || hasIndex(&seg, x.ID) || at.indexing[seg.ID][x.ID] {
				continue
			}
			if len(out) >= room {
				return out
			}
			out = append(out, catalog.Task{
				Kind: catalog.TaskIndex, Collection: coll.ID, Shard: shard.Index, Sources: []catalog.Segment{seg},
				Index: &x, Schema: coll.Schema,
			})
		}
	}
	return out
}

func hasIndex(seg *catalog.Segment, index int64) bool {
	return slices.ContainsFunc(seg.Indexes, func(x catalog.SegmentIndex) bool { return x.IndexID == index })
}

// lacksIndex reports whether a segment shall have an index file that it has not.
func lacksIndex(coll *catalog.Collection, seg *catalog.Segment, minRows int) bool {
	return seg.Rows >= minRows && slices.ContainsFunc(coll.Indexes, func(x catalog.Index) bool {
		return builds(coll, &x) && !hasIndex(seg, x.ID)
	})
}

// tidyShard returns a manifest without what is not needed any more: segments of partitions that are gone, files of
// indexes that are gone, deltas that concern no segment and lie below the horizon. changed is false when nothing is.
func tidyShard(coll *catalog.Collection, shard *catalog.Shard, horizon uint64) (tidy catalog.Shard, gone []catalog.Segment, changed bool) {
	tidy = *shard
	tidy.Segments = nil
	lowest := shard.Checkpoint
	for _, seg := range shard.Segments {
		if !slices.ContainsFunc(coll.Partitions, func(p catalog.Partition) bool { return p.ID == seg.Partition }) && len(gone) < maxRetire {
			gone = append(gone, seg)
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(seg.Indexes), func(x catalog.SegmentIndex) bool {
			return !slices.ContainsFunc(coll.Indexes, func(d catalog.Index) bool { return d.ID == x.IndexID })
		})
		changed = changed || len(kept) != len(seg.Indexes)
		seg.Indexes = kept
		lowest = min(lowest, seg.AppliedThrough)
		tidy.Segments = append(tidy.Segments, seg)
	}
	tidy.Deltas = nil
	for _, d := range shard.Deltas {
		if d.To > lowest || d.MaxTS > horizon {
			tidy.Deltas = append(tidy.Deltas, d)
		}
	}
	return tidy, gone, changed || len(gone) > 0 || len(tidy.Deltas) != len(shard.Deltas)
}
