package sq8

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Key maps a distance to a number that is smaller for a smaller distance, without a sign.
func Key(dist int32) uint32 { return uint32(dist) ^ 1<<31 }

func distOf(key uint32) int32 { return int32(key ^ 1<<31) }

// Measure computes the distances of the code rows in ids into dist, which has room for them.
func (c *Coded) Measure(set kernel.Set, codes kernel.Codes, ids []uint32, weight, dist []int32) {
	if c.Weights && c.Ratio == 1 {
		set.SQ8(c.Q, codes, ids, weight, c.Bias, dist)
		return
	}
	set.SQ8(c.Q, codes, ids, nil, c.Bias, dist)
	if c.Weights {
		for i, id := range ids {
			dist[i] += int32(c.Ratio * float32(weight[id]))
		}
	}
}

// MeasureRange is Measure for the code rows from first on, len(dist) of them.
func (c *Coded) MeasureRange(set kernel.Set, codes kernel.Codes, first int, weight, dist []int32) {
	if !c.Weights || c.Ratio != 1 {
		set.SQ8Range(c.Q, codes, first, len(dist), nil, c.Bias, dist)
		if c.Weights {
			for i, w := range weight[first : first+len(dist)] {
				dist[i] += int32(c.Ratio * float32(w))
			}
		}
		return
	}
	set.SQ8Range(c.Q, codes, first, len(dist), weight, c.Bias, dist)
}

// farWiden multiplies the candidates of queries that lie so far from the rows that their codes are coarse.
const farWiden = 8

// Widening returns by how much the candidates for c are to be widened over an index whose rows ask for widen.
func (c *Coded) Widening(widen int) int {
	if c.Ratio != 1 {
		return widen * farWiden
	}
	return widen
}

// Candidates returns how many rows a search for k rows scores exactly, at least: twice k, and some more when k is small,
// since the order of codes is only nearly the order of scores; more where codes are coarse for these rows or for the query.
func Candidates(k, widen int) int { return widen * (k + max(k, 24)) }

// Limit returns how many rows a search scores exactly, at most, when candidates is the least.
func Limit(candidates int) int { return candidates + min(7*candidates, 4096) }

// Cut returns how many of the candidates, whose keys ascend, are worth an exact score for the k best: all but those behind
// the first n that are too far to be among the k. A code differs from its vector by a rounding error of 0.29 steps
// (standard deviation) in any direction, so a distance d by code has an error of 0.29*sqrt(2) steps with both sides coded,
// and the difference of two such distances one of 0.58: whoever is three deviations behind the k-th is out. For inner
// products the error grows with the length of the query instead.
func (c *Coded) Cut(keys []uint32, k, n int) int {
	if len(keys) <= n || len(keys) < k {
		return len(keys)
	}
	kth := float64(distOf(keys[k-1]))
	bound := kth + 3*c.Length
	if c.Weights && c.Ratio == 1 {
		d := math.Sqrt(max(0, kth)) + 1.75
		bound = d * d
	}
	for n < len(keys) && float64(distOf(keys[n])) <= bound {
		n++
	}
	return n
}
