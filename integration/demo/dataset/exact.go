package dataset

import (
	"runtime"
	"slices"
	"sync"
)

// Exact finds per query the ids of the k nearest rows by comparing with every row; ties go to the lower id.
func (s *Set) Exact(k int) [][]int64 {
	out := make([][]int64, s.QueryVectors.Len())
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), max(len(out), 1))
	for w := range workers {
		wg.Go(func() {
			for q := w; q < len(out); q += workers {
				out[q] = s.nearest(s.QueryVectors.At(q), k)
			}
		})
	}
	wg.Wait()
	return out
}

type scored struct {
	id    int64
	score float32
}

func better(a, b scored) int {
	switch {
	case a.score != b.score && a.score > b.score, a.score == b.score && a.id < b.id:
		return -1
	case a.id == b.id:
		return 0
	}
	return 1
}

// nearest keeps the k best so far in order; k is small.
func (s *Set) nearest(query []float32, k int) []int64 {
	best := make([]scored, 0, k+1)
	for i := range s.Rows {
		c := scored{s.Rows[i].ID, dot(query, s.Vectors.At(i))}
		if len(best) == k && better(c, best[k-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, c, better)
		best = slices.Insert(best, at, c)
		best = best[:min(len(best), k)]
	}
	ids := make([]int64, len(best))
	for i, b := range best {
		ids[i] = b.id
	}
	return ids
}

// dot is plain Go on purpose: the demo judges the server's own kernels by it.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// Recall is the share of the first k true neighbours that the answers hold, over all queries.
func Recall(truth, answers [][]int64, k int) float64 {
	var found, all int
	for q, want := range truth {
		want = want[:min(k, len(want))]
		all += len(want)
		for _, id := range answers[q] {
			if slices.Contains(want, id) {
				found++
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float64(found) / float64(all)
}
