package proxy

import (
	"cmp"
	"slices"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// hit is one found row.
type hit struct {
	i     int64 // the key, or
	s     string
	score float32
	ts    uint64
	// Where the row is: the route's number, and the node's name for it.
	route   int
	shard   int32
	segment int64
	row     int64
}

type hitKey struct {
	i int64
	s string
}

func (h *hit) key() hitKey { return hitKey{h.i, h.s} }

// readHits reads one node's hits of one search, by query.
func readHits(route int, res *pb.SubResult, nq int) ([][]hit, error) {
	keys, err := schema.DecodeKeys(res.GetKeys())
	if err != nil {
		return nil, errs.New(errs.Internal, "read the keys that a query node found: %w", err)
	}
	n := keys.Len()
	if len(res.Counts) != nq || len(res.Scores) != n || len(res.Segments) != n || len(res.Rows) != n || len(res.Shards) != n || len(res.Timestamps) != n {
		return nil, errs.New(errs.Internal, "a query node answered %d queries with %d of %d, and %d keys with %d scores", nq, len(res.Counts), nq, n, len(res.Scores))
	}
	out := make([][]hit, nq)
	at := 0
	for q, count := range res.Counts {
		if count < 0 || at+int(count) > n {
			return nil, errs.New(errs.Internal, "a query node answered with more hits than keys")
		}
		out[q] = make([]hit, count)
		for j := range out[q] {
			h := hit{score: res.Scores[at], ts: res.Timestamps[at], route: route, shard: res.Shards[at], segment: res.Segments[at], row: res.Rows[at]}
			if keys.Strings != nil {
				h.s = keys.Strings[at]
			} else {
				h.i = keys.Ints[at]
			}
			out[q][j] = h
			at++
		}
	}
	if at != n {
		return nil, errs.New(errs.Internal, "a query node answered with fewer hits than keys")
	}
	return out, nil
}

// mergeHits joins the nodes' hits of one query: best first, ties by key, and of several versions of a key the newest.
func mergeHits(lists [][]hit, asc bool) []hit {
	all := slices.Concat(lists...)
	all = newestOfEach(all)
	slices.SortFunc(all, func(a, b hit) int { return compareHits(&a, &b, asc) })
	return all
}

// compareHits puts the better score first, and of equal ones the lesser key.
func compareHits(a, b *hit, asc bool) int {
	byScore := cmp.Compare(a.score, b.score)
	if !asc {
		byScore = -byScore
	}
	return cmp.Or(byScore, cmp.Compare(a.i, b.i), cmp.Compare(a.s, b.s))
}

// newestOfEach drops all but the newest version of each key.
func newestOfEach(hits []hit) []hit {
	at := make(map[hitKey]int, len(hits))
	out := hits[:0]
	for _, h := range hits {
		if i, seen := at[h.key()]; seen {
			if h.ts > out[i].ts {
				out[i] = h
			}
			continue
		}
		at[h.key()] = len(out)
		out = append(out, h)
	}
	return out
}

// window cuts a page out of sorted hits.
func window(hits []hit, offset, limit int) []hit {
	hits = hits[min(offset, len(hits)):]
	return hits[:min(limit, len(hits))]
}
