package ivf

import (
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// pool collects rows that may be among the k best, by estimates with an error. A row stays out when at least k rows are
// surely better: when the least that its score can be is above the k-th of the most that scores can be.
//
// With a counted pool the errors are not known: it keeps the best by estimate, k of them.
type pool struct {
	k       int
	counted bool
	bound   float32   // rows whose least score is above it are out; infinite until k rows came
	pairs   []uint64  // (key of the least score, place)
	upper   topk.Heap // keys of the most that scores can be
}

// ascending orders estimates: the smaller the better.
const ascending = vector.L2

func (p *pool) reset(k int, counted bool) {
	p.k, p.counted = k, counted
	p.bound = infinite()
	p.pairs = p.pairs[:0]
	p.upper.Reset(k)
}

// add takes a row in whose score lies between least and most.
func (p *pool) add(least, most float32, place uint32) {
	p.pairs = append(p.pairs, topk.Pack(ascending.Key(least), place))
	if p.counted {
		if len(p.pairs) >= 4*p.k+64 {
			p.shrink()
		}
		return
	}
	if p.upper.Push(topk.Pack(ascending.Key(most), place)) && p.upper.Full() {
		p.bound = ascending.Score(topk.Key(p.upper.Bound()))
	}
}

// shrink forgets all but the k best of a counted pool.
func (p *pool) shrink() {
	if len(p.pairs) <= p.k {
		return
	}
	selectPairs(p.pairs, p.k)
	p.pairs = p.pairs[:p.k]
	worst := p.pairs[0]
	for _, x := range p.pairs {
		worst = max(worst, x)
	}
	p.bound = ascending.Score(topk.Key(worst))
}

// left returns the rows that are not out.
func (p *pool) left() []uint64 {
	if p.counted {
		p.shrink()
	}
	last := topk.Pack(ascending.Key(p.bound), ^uint32(0))
	kept := p.pairs[:0]
	for _, x := range p.pairs {
		if x <= last {
			kept = append(kept, x)
		}
	}
	p.pairs = kept
	return kept
}

// selectPairs moves the k smallest of different numbers to the front (Hoare's algorithm), for 0 < k < len(a).
func selectPairs(a []uint64, k int) {
	for lo, hi := 0, len(a); hi-lo > 8; {
		x, y, z := a[lo], a[(lo+hi)/2], a[hi-1]
		pivot := max(min(x, y), min(max(x, y), z))
		i, j := lo, hi-1
		for i <= j {
			for a[i] < pivot {
				i++
			}
			for a[j] > pivot {
				j--
			}
			if i <= j {
				a[i], a[j] = a[j], a[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j + 1
		case k >= i:
			lo = i
		default:
			return
		}
		if hi-lo <= 8 {
			slices.Sort(a[lo:hi])
			return
		}
	}
	if len(a) <= 8 {
		slices.Sort(a)
	}
}

// infinite is the bound of a pool that has not met enough rows.
func infinite() float32 { return float32(math.Inf(1)) }
