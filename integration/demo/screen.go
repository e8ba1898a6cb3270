package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen prints for a person.
type screen struct {
	w      io.Writer
	moving bool
}

func (s screen) title(text string)            { fmt.Fprintf(s.w, "\n%s\n", text) }
func (s screen) blank()                       { fmt.Fprintln(s.w) }
func (s screen) line(format string, a ...any) { fmt.Fprintf(s.w, "  "+format+"\n", a...) }

// progress is a bar that moves on a terminal and stays silent elsewhere.
type progress struct {
	screen
	name, unit string
	start      time.Time
	last       time.Time
}

func (s screen) bar(name, unit string) *progress {
	return &progress{screen: s, name: name, unit: unit, start: time.Now()}
}

const (
	barWidth = 30
	barEvery = 50 * time.Millisecond
)

func (p *progress) show(n, total int64) {
	if !p.moving || total <= 0 || (time.Since(p.last) < barEvery && n < total) {
		return
	}
	p.last = time.Now()
	full := int(min(n, total) * barWidth / total)
	fmt.Fprintf(p.w, "\r  %-8s [%s%s] %s of %s %s ", p.name, strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		thousands(int(n)), thousands(int(total)), p.unit)
}

// done replaces the bar by a line with the outcome.
func (p *progress) done(format string, a ...any) {
	if p.moving {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", barWidth+50))
	}
	p.line("%-8s %s: %s", p.name, fmt.Sprintf(format, a...), short(time.Since(p.start)))
}

// thousands writes 26124 as 26,124.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a duration with about three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f us", float64(d)/1e3)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func kibibytes(n int64) string {
	if n < 10<<10 {
		return fmt.Sprintf("%d KiB", n)
	}
	return fmt.Sprintf("%d MiB", n>>10)
}

func plural(n int) string {
	if n == 1 {
		return " "
	}
	return "s"
}
