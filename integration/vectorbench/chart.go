package vectorbench

import (
	"fmt"
	"math"
	"strings"
)

// Sizes of a picture, in pixels.
const (
	chartWidth, chartHeight                     = 880, 560
	marginLeft, marginRight, marginTop, marginY = 80, 24, 48, 64
)

// chart is a picture of the curves: recall to the right, queries per second up, on a logarithmic scale.
type chart struct {
	title  string
	curves []Curve
	clock  string
	k      int

	left, right float64 // recall
	low, high   float64 // queries per second
}

func newChart(r *Report) *chart {
	c := &chart{curves: r.Curves, clock: r.Clock, k: r.K, left: 1, right: 1, low: math.Inf(1)}
	c.title = fmt.Sprintf("%s %s, %s: %d x %d, %s%s, %d thread(s)", r.Index, paramText(r.Params), r.Data, r.Rows, r.Dim, r.Metric, r.filterText(), r.Threads)
	for _, curve := range r.Curves {
		for _, p := range curve.Points {
			q := median(p.rates(r.Clock))
			c.left, c.low, c.high = min(c.left, p.Recall), min(c.low, q), max(c.high, q)
		}
	}
	c.left = max(math.Floor(c.left*20)/20, 0.7)
	if c.left >= 1 {
		c.left = 0.9
	}
	c.low, c.high = c.low*0.8, c.high*1.25
	return c
}

// canvas is what a chart is drawn on.
type canvas interface {
	line(x1, y1, x2, y2, width float64, color rgb)
	dot(x, y, radius float64, color rgb)
	// text stands with its middle line at y, at the left, middle or right of x.
	text(x, y float64, at anchor, color rgb, s string)
}

type anchor int

const (
	atLeft anchor = iota
	atMiddle
	atRight
)

type rgb struct{ r, g, b uint8 }

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// ink is for text, grid for lines; curves take the palette in turn (colours that the colour-blind can tell apart).
func ink() rgb  { return rgb{40, 40, 40} }
func grid() rgb { return rgb{222, 222, 222} }

func palette(i int) rgb {
	p := [...]rgb{{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {230, 159, 0}, {86, 180, 233}}
	return p[i%len(p)]
}

func (c *chart) x(recall float64) float64 {
	return marginLeft + (recall-c.left)/(c.right-c.left)*(chartWidth-marginLeft-marginRight)
}

func (c *chart) y(qps float64) float64 {
	share := math.Log(qps/c.low) / math.Log(c.high/c.low)
	return chartHeight - marginY - share*(chartHeight-marginTop-marginY)
}

func (c *chart) draw(on canvas) {
	on.text(marginLeft, marginTop/2, atLeft, ink(), c.title)
	c.axes(on)
	for i, curve := range c.curves {
		color := palette(i)
		var px, py float64
		drawn := false
		for _, p := range curve.Points {
			if p.Recall < c.left {
				continue
			}
			x, y := c.x(p.Recall), c.y(median(p.rates(c.clock)))
			if drawn {
				on.line(px, py, x, y, 2, color)
			}
			on.dot(x, y, 3.5, color)
			px, py, drawn = x, y, true
		}
		y := float64(marginTop + 18 + 20*i)
		x := c.x(c.right) - 130
		on.line(x, y, x+26, y, 2, color)
		on.dot(x+13, y, 3.5, color)
		on.text(x+34, y, atLeft, ink(), curve.Engine)
	}
}

func (c *chart) axes(on canvas) {
	bottom, top := float64(chartHeight-marginY), float64(marginTop)
	step := 0.05
	if c.right-c.left <= 0.12 {
		step = 0.01
	}
	for i := 0; ; i++ {
		r := c.left + float64(i)*step
		if r > c.right+1e-9 {
			break
		}
		on.line(c.x(r), bottom, c.x(r), top, 1, grid())
		on.text(c.x(r), bottom+16, atMiddle, ink(), fmt.Sprintf("%.2f", r))
	}
	for _, q := range ticks(c.low, c.high) {
		on.line(marginLeft, c.y(q), c.x(c.right), c.y(q), 1, grid())
		on.text(marginLeft-8, c.y(q), atRight, ink(), fmt.Sprintf("%.0f", q))
	}
	on.line(marginLeft, bottom, c.x(c.right), bottom, 1, ink())
	on.line(marginLeft, bottom, marginLeft, top, 1, ink())
	on.text((marginLeft+c.x(c.right))/2, bottom+40, atMiddle, ink(), fmt.Sprintf("recall@%d", c.k))
	what := "queries per second of processor time"
	if c.clock == clockWall {
		what = "queries per second"
	}
	on.text(marginLeft+8, marginTop+8, atLeft, ink(), what)
}

// ticks are 1, 2 and 5 times the powers of ten between low and high.
func ticks(low, high float64) (out []float64) {
	for p := math.Pow(10, math.Floor(math.Log10(low))); p <= high; p *= 10 {
		for _, m := range [...]float64{1, 2, 5} {
			if q := p * m; q >= low && q <= high {
				out = append(out, q)
			}
		}
	}
	return out
}

// svg is a canvas that writes an SVG document.
type svg struct{ strings.Builder }

func drawSVG(c *chart) []byte {
	s := &svg{}
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(s, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, chartHeight)
	c.draw(s)
	s.WriteString("</svg>\n")
	return []byte(s.String())
}

func (s *svg) line(x1, y1, x2, y2, width float64, color rgb) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"/>`+"\n", x1, y1, x2, y2, color, width)
}

func (s *svg) dot(x, y, radius float64, color rgb) {
	fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="%g" fill="%s"/>`+"\n", x, y, radius, color)
}

func (s *svg) text(x, y float64, at anchor, color rgb, text string) {
	name := [...]string{"start", "middle", "end"}[at]
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y+4.5, name, color, text)
}
