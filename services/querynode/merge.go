package querynode

import (
	"cmp"
	"slices"

	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// hit is one candidate of a query.
type hit struct {
	part  int
	row   uint32
	score float32
}

// mergeHits joins the parts' hits per query, best first, one per key (of several versions visible at once, which only
// inserts of the same key leave, the newest), at most K.
func (sc *scope) mergeHits(spec segment.SearchSpec, hits []index.Hits) *pb.SubResult {
	out := &pb.SubResult{Counts: make([]int32, spec.NQ)}
	var keys schema.Keys
	for q := range spec.NQ {
		merged := mergeQuery(hits, q, ascending(spec.Metric))
		out.Counts[q] = int32(sc.appendHits(out, &keys, merged, spec.K))
	}
	out.Keys = keys.Encode(nil)
	return out
}

func mergeQuery(hits []index.Hits, q int, asc bool) []hit {
	var merged []hit
	for p, h := range hits {
		if q >= len(h.IDs) {
			continue
		}
		for i, row := range h.IDs[q] {
			merged = append(merged, hit{p, row, h.Scores[q][i]})
		}
	}
	slices.SortStableFunc(merged, func(a, b hit) int {
		if asc {
			return cmp.Compare(a.score, b.score)
		}
		return cmp.Compare(b.score, a.score)
	})
	return merged
}

// appendHits adds up to k hits with distinct keys and returns how many.
func (sc *scope) appendHits(out *pb.SubResult, keys *schema.Keys, merged []hit, k int) int {
	newest := sc.newestVersions(merged)
	n := 0
	for i, h := range merged {
		if n == k {
			break
		}
		v := newest[i]
		if v.older {
			continue
		}
		p := &sc.parts[h.part]
		keys.Ints = append(keys.Ints, v.key.Ints...)
		keys.Strings = append(keys.Strings, v.key.Strings...)
		out.Scores = append(out.Scores, h.score)
		out.Segments = append(out.Segments, p.id)
		out.Rows = append(out.Rows, p.handle(h.row))
		out.Shards = append(out.Shards, p.shard)
		out.Timestamps = append(out.Timestamps, v.ts)
		n++
	}
	return n
}

type version struct {
	key   schema.Keys
	ts    uint64
	older bool // another hit has the same key and a newer timestamp
}

// newestVersions looks up key and timestamp of each hit and marks all but the newest of each key.
func (sc *scope) newestVersions(hits []hit) []version {
	out := make([]version, len(hits))
	ints, strs := map[int64]int{}, map[string]int{}
	for p := range sc.parts {
		var rows []uint32
		var at []int
		for i, h := range hits {
			if h.part == p {
				rows, at = append(rows, h.row), append(at, i)
			}
		}
		if len(rows) == 0 {
			continue
		}
		k, ts := sc.parts[p].seg.Keys(rows), sc.parts[p].seg.Timestamps(rows)
		for j, i := range at {
			out[i].ts = ts[j]
			if k.Strings != nil {
				out[i].key.Strings = k.Strings[j : j+1]
			} else {
				out[i].key.Ints = k.Ints[j : j+1]
			}
		}
	}
	for i := range out {
		var prev int
		var seen bool
		if k := out[i].key; len(k.Strings) > 0 {
			prev, seen = strs[k.Strings[0]]
			strs[k.Strings[0]] = i
		} else {
			prev, seen = ints[k.Ints[0]]
			ints[k.Ints[0]] = i
		}
		if !seen {
			continue
		}
		if out[prev].ts >= out[i].ts { // the earlier hit stays the one to compare with
			out[i].older = true
			if k := out[i].key; len(k.Strings) > 0 {
				strs[k.Strings[0]] = prev
			} else {
				ints[k.Ints[0]] = prev
			}
		} else {
			out[prev].older = true
		}
	}
	return out
}
