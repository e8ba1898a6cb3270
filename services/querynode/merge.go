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
		merged := mergeQuery(hits, q, index.Ascending(spec.Metric))
		out.Counts[q] = int32(sc.appendHits(out, &keys, merged, spec.K))
	}
	out.Keys = keys.Encode(nil)
	return out
}

func mergeQuery(hits []index.Hits, q int, asc bool) []hit {
	var merged []hit
	from := 0 // parts with hits
	for p, h := range hits {
		if q >= len(h.IDs) || len(h.IDs[q]) == 0 {
			continue
		}
		from++
		merged = slices.Grow(merged, len(h.IDs[q]))
		for i, row := range h.IDs[q] {
			merged = append(merged, hit{p, row, h.Scores[q][i]})
		}
	}
	if from < 2 {
		return merged // each part's hits are sorted already
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
	rows, at := make([]uint32, 0, len(hits)), make([]int, 0, len(hits))
	for p := range sc.parts {
		rows, at = rows[:0], at[:0]
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
	if len(out) > 0 && len(out[0].key.Strings) > 0 {
		markOlder(out, func(v *version) string { return v.key.Strings[0] })
	} else {
		markOlder(out, func(v *version) int64 { return v.key.Ints[0] })
	}
	return out
}

// markOlder marks all but the newest version of each key, the first of equally new ones.
func markOlder[K comparable](out []version, key func(*version) K) {
	newest := make(map[K]int, len(out))
	for i := range out {
		k := key(&out[i])
		prev, seen := newest[k]
		switch {
		case !seen:
			newest[k] = i
		case out[prev].ts >= out[i].ts:
			out[i].older = true
		default:
			out[prev].older = true
			newest[k] = i
		}
	}
}
