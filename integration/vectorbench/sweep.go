package vectorbench

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// levels are the recalls that figures are given for.
func levels() []float64 { return []float64{0.9, 0.95, 0.99} }

const (
	// shortest and longest are what a lap should take: long enough that the clock and the scheduler do not matter, short enough that
	// the engines' turns lie close together.
	shortest = 60 * time.Millisecond
	longest  = time.Second
	// maxPasses bounds a lap over very few queries, minAsks one of very slow queries.
	maxPasses = 100
	minAsks   = 20
	// The climb takes coarse steps of so many rungs of the ladder, then looks between them.
	coarse = 4
	// patience ends the climb of a curve that does not get better: so many coarse steps without a gain of stillGain.
	patience  = 3
	stillGain = 0.001
)

// load is how much a lap answers: every stride-th query, passes times.
type load struct{ stride, passes int }

// asks is the number of queries that a pass answers out of n.
func (l load) asks(n int) int { return (n + l.stride - 1) / l.stride }

// loadFor fits a lap's length to what all n queries took.
func loadFor(took time.Duration, n int) load {
	took = max(took, time.Microsecond)
	if took > longest {
		asks := max(int(float64(n)*float64(longest)/float64(took)), min(minAsks, n))
		return load{(n + asks - 1) / asks, 1}
	}
	return load{1, min(maxPasses, 1+int(shortest/took))}
}

// Point is one effort of one engine.
type Point struct {
	Effort int
	Recall float64
	// Distances and Hops are the means per query that Gyr's index counted: rows compared, and nodes followed or lists looked at.
	Distances, Hops float64

	load load
	CPU  []float64 // queries per second of processor time, by round
	Wall []float64 // queries per second of wall time, by round
}

// Curve is what one engine showed.
type Curve struct {
	Engine string
	Points []Point // by rising effort
	Allocs float64 // heap allocations per query, Gyr only; negative: unknown
	Pause  time.Duration
}

// sweep walks the engines along their curves.
type sweep struct {
	cfg    Config
	kind   kind
	judge  *judge
	report *Report
}

func (s *sweep) run(ctx context.Context, engines []engine) error {
	var still []engine
	steps := 0
	for _, e := range engines {
		c, err := s.climb(ctx, e)
		if err != nil {
			if e.name() == "gyr" || ctx.Err() != nil {
				return fmt.Errorf("%s: %w", e.name(), err)
			}
			s.report.miss(s.cfg, e.name(), err)
			continue
		}
		still = append(still, e)
		s.report.Curves = append(s.report.Curves, c)
		steps = max(steps, len(c.Points))
	}
	for r := range s.cfg.Rounds {
		s.cfg.logf("round %d of %d", r+1, s.cfg.Rounds)
		for step := range steps {
			for i := range still {
				n := (i + r + step) % len(still)
				if err := s.lap(ctx, still[n], &s.report.Curves[n], step); err != nil {
					return fmt.Errorf("%s: %w", still[n].name(), err)
				}
			}
		}
	}
	return nil
}

// climb finds the efforts that are worth timing: those around each level, the first and the last.
func (s *sweep) climb(ctx context.Context, e engine) (Curve, error) {
	c := Curve{Engine: e.name(), Allocs: -1}
	w := walk{sweep: s, ctx: ctx, engine: e, ladder: s.kind.ladder(s.cfg), seen: map[int]Point{}}
	if len(s.cfg.Efforts) > 0 {
		for i := range w.ladder {
			w.look(i)
		}
		c.Points = w.points()
	} else {
		w.coarse()
		for _, level := range levels() {
			w.close(level)
		}
		c.Points = w.points()
		c.Points = pick(c.Points, worth(c.Points))
	}
	if w.err != nil {
		return c, w.err
	}
	s.cfg.logf("%s: recall %.4f to %.4f, %d points to time", c.Engine, c.Points[0].Recall, c.Points[len(c.Points)-1].Recall, len(c.Points))
	return c, nil
}

// walk is the search of one engine's efforts. After an error it does nothing more.
type walk struct {
	*sweep
	ctx    context.Context
	engine engine
	ladder []int
	seen   map[int]Point // by rung
	err    error
}

// look measures the recall at a rung, once.
func (w *walk) look(rung int) float64 {
	if p, ok := w.seen[rung]; ok || w.err != nil {
		return p.Recall
	}
	p := Point{Effort: w.ladder[rung]}
	l, err := w.engine.lap(w.ctx, p.Effort, load{1, 1}, true)
	if err == nil {
		p.Recall, err = w.judge.recall(l.ids)
		p.Distances, p.Hops = l.work.perQuery()
	}
	if err != nil {
		w.err = err
		return 0
	}
	p.load = loadFor(l.time.wall, w.judge.set.Asks())
	w.seen[rung] = p
	return p.Recall
}

// coarse climbs in large steps until the highest level is reached or nothing is gained any more.
func (w *walk) coarse() {
	all := levels()
	best, since := 0.0, 0
	for rung := 0; rung < len(w.ladder) && w.err == nil; rung += coarse {
		r := w.look(rung)
		if since++; r > best+stillGain {
			best, since = r, 0
		}
		if r >= all[len(all)-1] || since >= patience {
			return
		}
	}
}

// close halves the gap around a level until no rung lies between.
func (w *walk) close(level float64) {
	rungs := w.rungs()
	hi := slices.IndexFunc(rungs, func(r int) bool { return w.seen[r].Recall >= level })
	if hi < 1 {
		return
	}
	for low, high := rungs[hi-1], rungs[hi]; high-low > 1 && w.err == nil; {
		if mid := (low + high) / 2; w.look(mid) >= level {
			high = mid
		} else {
			low = mid
		}
	}
}

func (w *walk) rungs() []int { return slices.Sorted(maps.Keys(w.seen)) }

func (w *walk) points() (out []Point) {
	for _, r := range w.rungs() {
		out = append(out, w.seen[r])
	}
	return out
}

// worth returns the indexes of the points to time.
func worth(points []Point) []int {
	last := len(points) - 1
	keep := []int{0, last}
	for _, level := range levels() {
		if hi := reach(points, level); hi >= 0 {
			keep = append(keep, hi, max(hi-1, 0))
		}
	}
	for i := 0; i < last; i += 1 + last/4 { // a few more, for the picture
		keep = append(keep, i)
	}
	slices.Sort(keep)
	return slices.Compact(keep)
}

func pick[T any](in []T, at []int) []T {
	out := make([]T, len(at))
	for i, n := range at {
		out[i] = in[n]
	}
	return out
}

// reach is the first point whose recall is at least level, or -1.
func reach(points []Point, level float64) int {
	return slices.IndexFunc(points, func(p Point) bool { return p.Recall >= level })
}

// lap times one point of an engine's curve; a curve that has fewer points waits.
func (s *sweep) lap(ctx context.Context, e engine, c *Curve, step int) error {
	if step >= len(c.Points) {
		return nil
	}
	p := &c.Points[step]
	l, err := e.lap(ctx, p.Effort, p.load, false)
	if err != nil {
		return err
	}
	p.add(l, p.load, s.judge.set.Asks())
	c.Allocs, c.Pause = max(c.Allocs, l.allocs), max(c.Pause, l.pause)
	return nil
}

// add adds a lap over a share of n queries.
func (p *Point) add(l lap, load load, n int) {
	answered := float64(load.passes * load.asks(n))
	p.CPU = append(p.CPU, answered/max(l.time.cpu.Seconds(), 1e-9))
	p.Wall = append(p.Wall, answered/max(l.time.wall.Seconds(), 1e-9))
}

// rates are a point's queries per second by the clock.
func (p Point) rates(clock string) []float64 {
	if clock == clockWall {
		return p.Wall
	}
	return p.CPU
}

// At is one curve at one level of recall.
type At struct {
	Point Point     // the first point that reaches the level
	QPS   []float64 // by round, on the straight line to the point before it
}

// at interpolates; ok is false when the level is not reached. When the first point is above the level already, its own
// figures are taken.
func (c Curve) at(level float64, clock string) (at At, ok bool) {
	hi := reach(c.Points, level)
	if hi < 0 {
		return At{}, false
	}
	at.Point = c.Points[hi]
	above := at.Point.rates(clock)
	if hi == 0 {
		at.QPS = above
		return at, true
	}
	lo := c.Points[hi-1]
	share := (level - lo.Recall) / (at.Point.Recall - lo.Recall)
	for r, below := range lo.rates(clock) {
		at.QPS = append(at.QPS, below+(above[r]-below)*share)
	}
	return at, true
}

// ratio is the median of the rounds' ratios.
func ratio(a, b []float64) float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		out = append(out, a[i]/b[i])
	}
	return median(out)
}

func median(in []float64) float64 {
	if len(in) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(in))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
