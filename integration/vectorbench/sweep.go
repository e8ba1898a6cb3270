package vectorbench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// levels are the recalls that figures are given for.
func levels() []float64 { return []float64{0.9, 0.95, 0.99} }

const (
	// enough ends the search for efforts: the curve is known past the highest level.
	enough = 0.992
	// lapTime is what a lap should take at least, so that the clock and the scheduler do not matter.
	lapTime = 60 * time.Millisecond
	// maxPasses bounds a lap over very few queries.
	maxPasses = 100
	// patience ends the climb of a curve that does not get better: so many steps without a gain of stillGain.
	patience  = 8
	stillGain = 0.0005
)

// Point is one effort of one engine.
type Point struct {
	Effort int
	Recall float64
	CPU    []float64 // queries per second of processor time, by round
	Wall   []float64 // queries per second of wall time, by round
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
	passes := map[string][]int{}
	for _, e := range engines {
		c, n, err := s.climb(ctx, e)
		if err != nil {
			if e.name() == "gyr" || ctx.Err() != nil {
				return fmt.Errorf("%s: %w", e.name(), err)
			}
			s.report.miss(s.cfg, e.name(), err)
			continue
		}
		still = append(still, e)
		s.report.Curves = append(s.report.Curves, c)
		passes[e.name()] = n
	}
	steps := 0
	for _, c := range s.report.Curves {
		steps = max(steps, len(c.Points))
	}
	for r := range s.cfg.Rounds {
		s.cfg.logf("round %d of %d", r+1, s.cfg.Rounds)
		for step := range steps {
			for i := range still {
				n := (i + r + step) % len(still)
				c := &s.report.Curves[n]
				if step >= len(c.Points) {
					continue
				}
				if err := s.lap(ctx, still[n], c, step, passes[c.Engine][step]); err != nil {
					return fmt.Errorf("%s: %w", c.Engine, err)
				}
			}
		}
	}
	return nil
}

// climb finds the efforts that are worth timing: those around each level, the first and the last.
func (s *sweep) climb(ctx context.Context, e engine) (Curve, []int, error) {
	c, best, since := Curve{Engine: e.name(), Allocs: -1}, 0.0, 0
	var passes []int
	for _, effort := range s.kind.ladder(s.cfg) {
		l, err := e.lap(ctx, effort, 1, true)
		if err != nil {
			return c, nil, err
		}
		r, err := s.judge.recall(l.ids)
		if err != nil {
			return c, nil, err
		}
		c.Points = append(c.Points, Point{Effort: effort, Recall: r})
		passes = append(passes, min(maxPasses, 1+int(lapTime/max(l.time.wall, time.Microsecond))))
		if r > best+stillGain {
			best, since = r, 0
		} else {
			since++
		}
		if len(s.cfg.Efforts) == 0 && (r >= enough || since >= patience) {
			break
		}
	}
	s.cfg.logf("%s: recall %.4f to %.4f in %d steps", c.Engine, c.Points[0].Recall, c.Points[len(c.Points)-1].Recall, len(c.Points))
	if len(s.cfg.Efforts) == 0 {
		keep := worth(c.Points)
		c.Points, passes = pick(c.Points, keep), pick(passes, keep)
	}
	return c, passes, nil
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

func (s *sweep) lap(ctx context.Context, e engine, c *Curve, step, passes int) error {
	p := &c.Points[step]
	l, err := e.lap(ctx, p.Effort, passes, false)
	if err != nil {
		return err
	}
	n := float64(passes * s.judge.set.Asks())
	p.CPU = append(p.CPU, n/max(l.time.cpu.Seconds(), 1e-9))
	p.Wall = append(p.Wall, n/max(l.time.wall.Seconds(), 1e-9))
	c.Allocs, c.Pause = max(c.Allocs, l.allocs), max(c.Pause, l.pause)
	return nil
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
