package flat

import (
	"context"
	"math/bits"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

const (
	batch      = 128       // most rows per step
	batchBytes = 256 << 10 // most bytes per step, as single-precision numbers: they stay in the second cache level
	lookBytes  = 512 << 10 // bytes scored between two looks at the context
	dense      = 20        // of 64 rows, so many allowed ones make it cheaper to score all 64 than to gather
)

// scan is the state of one call.
type scan struct {
	Scanner
	window  *Window
	queries []float32
	asks    []ask
	blocks  vector.Blocks // nil when the rows offer none
	size    int           // bytes per row
	rows    int           // per step
	ids     []uint32      // rows to be gathered
	words   []uint64      // allowed rows, nil for all
	raw     vector.Gatherer
	scores  [batch]float32
	better  vector.Better
	tile    tile
	stats   vector.Stats
	work    int // bytes scored since the last look at the context
}

// ask is one query and what was found for it.
type ask struct {
	scorer  vector.Scorer
	heap    topk.Heap
	bounded bool    // only scores better than bound can enter
	bound   float32 // rows come in ascending order, so that an equal score comes too late
}

func (s *scan) begin(sc Scanner, queries []float32, k int, w *Window) {
	dim, elem := sc.Rows.Dim(), sc.Rows.Elem()
	s.Scanner, s.queries, s.window, s.stats, s.words, s.ids, s.work = sc, queries, w, vector.Stats{}, nil, s.ids[:0], lookBytes
	s.blocks, _ = sc.Rows.(vector.Blocks)
	if _, away := sc.Rows.(vector.Fetcher); away {
		s.blocks = nil
	}
	s.size = elem.RowBytes(dim)
	s.rows = min(batch, max(16, batchBytes/(4*dim)&^15))
	s.raw = s.raw.Over(sc.Rows)
	n := len(queries) / dim
	if cap(s.asks) < n {
		s.asks = append(s.asks[:cap(s.asks)], make([]ask, n-cap(s.asks))...)
	}
	s.asks = s.asks[:n]
	for i := range s.asks {
		a := &s.asks[i]
		a.scorer = vector.NewScorer(sc.Set, sc.Metric, elem, queries[i*dim:(i+1)*dim])
		a.heap.Reset(min(k, sc.Rows.Len()))
		s.tighten(a)
	}
	s.tile.begin(s)
}

// end forgets what belongs to others.
func (s *scan) end() {
	s.raw.Reset()
	s.raw = s.raw.Over(nil)
	s.Scanner, s.queries, s.window, s.blocks, s.words = Scanner{}, nil, nil, nil, nil
	clear(s.tile.list[:cap(s.tile.list)])
	for i := range s.asks {
		s.asks[i].scorer = vector.Scorer{}
	}
}

// tighten sets the bound of a.
func (s *scan) tighten(a *ask) {
	a.bounded = s.window != nil
	if a.bounded {
		a.bound = s.window.Radius
	}
	if !a.heap.Full() {
		return
	}
	worst := s.Metric.Score(topk.Key(a.heap.Bound()))
	switch {
	case a.heap.Len() == 0: // none are wanted: no number is better than NaN
		a.bounded, a.bound = true, worst
	case worst != worst:
	case !a.bounded, s.Metric.Greater() && worst > a.bound, !s.Metric.Greater() && worst < a.bound:
		a.bounded, a.bound = true, worst
	}
}

func (s *scan) all(ctx context.Context) error {
	n := s.Rows.Len()
	if s.blocks != nil {
		return s.stretch(ctx, 0, n)
	}
	for i := range n {
		if err := s.add(ctx, uint32(i)); err != nil {
			return err
		}
	}
	return s.gather(ctx)
}

// some scans allowed rows: as part of a block where they lie close, else one by one.
func (s *scan) some(ctx context.Context, words []uint64) error {
	n := s.Rows.Len()
	words = words[:min(len(words), (n+63)/64)]
	for i := 0; i < len(words); {
		first := i
		for s.blocks != nil && i < len(words) && bits.OnesCount64(words[i]) >= dense {
			i++
		}
		if i > first {
			if err := s.gather(ctx); err != nil {
				return err
			}
			s.words = words
			if err := s.stretch(ctx, 64*first, min(64*i, n)); err != nil {
				return err
			}
			continue
		}
		for word := words[i]; word != 0; word &= word - 1 {
			if id := 64*i + bits.TrailingZeros64(word); id < n {
				if err := s.add(ctx, uint32(id)); err != nil {
					return err
				}
			}
		}
		i++
	}
	return s.gather(ctx)
}

// look looks at the context when enough was scored since the last time; bytes will be scored next.
func (s *scan) look(ctx context.Context, bytes int) error {
	if s.work += bytes; s.work < lookBytes {
		return nil
	}
	s.work = 0
	return ctx.Err()
}

// stretch scores rows lo to hi, of which words are allowed.
func (s *scan) stretch(ctx context.Context, lo, hi int) error {
	for lo < hi {
		block := s.blocks.Block(lo)
		for whole := min(hi-lo, len(block)/s.size); whole > 0; {
			count := min(s.rows, whole)
			if err := s.block(ctx, lo, count, block[:count*s.size]); err != nil {
				return err
			}
			lo, whole, block = lo+count, whole-count, block[count*s.size:]
		}
	}
	return nil
}

func (s *scan) block(ctx context.Context, first, count int, block []byte) error {
	s.stats.Distances += count * len(s.asks)
	if s.tile.on {
		return s.tiled(ctx, first, count, block)
	}
	for q := range s.asks {
		if err := s.look(ctx, len(block)); err != nil {
			return err
		}
		a := &s.asks[q]
		if !a.bounded {
			a.scorer.Block(block, s.scores[:count])
			for i, score := range s.scores[:count] {
				s.offer(a, uint32(first+i), score)
			}
		} else {
			a.scorer.BlockBetter(block, count, a.bound, &s.better)
			for i, at := range s.better.At[:s.better.N] {
				s.offer(a, uint32(first)+at, s.better.Scores[i])
			}
		}
		s.tighten(a)
	}
	return nil
}

// add has row id scored with the next ones.
func (s *scan) add(ctx context.Context, id uint32) error {
	if s.ids = append(s.ids, id); len(s.ids) < s.rows {
		return nil
	}
	return s.gather(ctx)
}

// gather scores the rows in ids and empties it.
func (s *scan) gather(ctx context.Context) error {
	if len(s.ids) == 0 {
		return nil
	}
	rows, err := s.raw.Get(ctx, s.ids)
	if err != nil {
		return err
	}
	s.words = nil
	for q := range s.asks {
		if err := s.look(ctx, len(rows)*s.size); err != nil {
			return err
		}
		s.list(&s.asks[q], rows, s.ids)
	}
	s.stats.Distances += len(s.ids) * len(s.asks)
	s.ids = s.ids[:0]
	return nil
}

// list scores rows, whose numbers are ids.
func (s *scan) list(a *ask, rows [][]byte, ids []uint32) {
	if !a.bounded {
		a.scorer.Rows(rows, s.scores[:len(rows)])
		for i, score := range s.scores[:len(rows)] {
			s.offer(a, ids[i], score)
		}
	} else {
		a.scorer.RowsBetter(rows, a.bound, &s.better)
		for i, at := range s.better.At[:s.better.N] {
			s.offer(a, ids[at], s.better.Scores[i])
		}
	}
	s.tighten(a)
}

func (s *scan) offer(a *ask, id uint32, score float32) {
	if s.words != nil && s.words[id/64]>>(id%64)&1 == 0 {
		return
	}
	if s.window != nil && !s.window.Contains(s.Metric, score) {
		return
	}
	a.heap.Push(topk.Pack(s.Metric.Key(score), id))
}

func (s *scan) hits() [][]vector.Hit {
	out := make([][]vector.Hit, len(s.asks))
	for q := range s.asks {
		pairs := s.asks[q].heap.Sort()
		out[q] = make([]vector.Hit, len(pairs))
		for i, p := range pairs {
			out[q][i] = vector.Hit{ID: topk.ID(p), Score: s.Metric.Score(topk.Key(p))}
		}
	}
	return out
}
