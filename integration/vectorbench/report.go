package vectorbench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is everything that a run found out.
type Report struct {
	Machine string
	Data    string
	Index   string
	Params  map[string]string
	Metric  string
	Rows    int
	Dim     int
	Asks    int
	K       int
	Threads int
	Build   int // threads of builds
	Rounds  int
	Clock   string
	Sweep   string // the search parameter that was swept
	Filter  *rowFilter
	Builds  []Build
	Curves  []Curve
	Targets []Target
	Missing []Missing
}

// Missing is a peer that could not be measured.
type Missing struct{ Engine, Why string }

func newReport(cfg Config, k kind, set *Set, params map[string]string) *Report {
	return &Report{
		Machine: machine(), Data: set.Name, Index: cfg.Index, Params: params, Metric: set.Metric, Rows: set.Rows(), Dim: set.Dim, Asks: set.Asks(),
		K: cfg.K, Threads: cfg.Threads, Build: cfg.BuildThreads, Rounds: cfg.Rounds, Clock: cfg.Clock, Sweep: k.sweep,
	}
}

func (r *Report) addBuild(e engine, b Build) {
	b.Engine = e.name()
	r.Builds = append(r.Builds, b)
}

func (r *Report) miss(cfg Config, label string, err error) {
	cfg.logf("%s: not available: %v", label, err)
	r.Missing = append(r.Missing, Missing{label, err.Error()})
	r.Builds = slices.DeleteFunc(r.Builds, func(b Build) bool { return b.Engine == label })
}

// searchLine and buildLine are the figures for programs.
type searchLine struct {
	Measure string  `json:"measure"`
	Engine  string  `json:"engine"`
	Level   float64 `json:"recall_level"`
	QPS     float64 `json:"qps"`
	Recall  float64 `json:"recall"`
	Ef      int     `json:"ef"`
	Least   float64 `json:"qps_min"`
	Most    float64 `json:"qps_max"`
}

type buildLine struct {
	Measure   string  `json:"measure"`
	Engine    string  `json:"engine"`
	CPU       float64 `json:"cpu_s"`
	Wall      float64 `json:"wall_s"`
	Bytes     int64   `json:"bytes"`
	FileBytes int64   `json:"file_bytes"`
	Open      float64 `json:"open_s,omitempty"`
	Cached    bool    `json:"cached"`
}

// JSON writes one line per figure; notes names the levels that were not reached.
func (r *Report) JSON(w, notes io.Writer) error {
	enc := json.NewEncoder(w)
	for _, b := range r.Builds {
		if err := enc.Encode(buildLine{"build", b.Engine, b.CPU.Seconds(), b.Wall.Seconds(), b.Bytes, b.FileBytes, b.Open.Seconds(), b.Cached}); err != nil {
			return err
		}
	}
	for _, c := range r.Curves {
		for _, level := range levels() {
			at, ok := c.at(level, r.Clock)
			if !ok {
				fmt.Fprintf(notes, "vectorbench: %s does not reach recall %g: its best is %.4f at %s\n", c.Engine, level, best(c), r.effort(c.Points[len(c.Points)-1]))
				continue
			}
			line := searchLine{"search", c.Engine, level, round(median(at.QPS)), at.Point.Recall, at.Point.Effort, round(slices.Min(at.QPS)), round(slices.Max(at.QPS))}
			if err := enc.Encode(line); err != nil {
				return err
			}
		}
	}
	return r.targetLines(enc)
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

func best(c Curve) (top float64) {
	for _, p := range c.Points {
		top = max(top, p.Recall)
	}
	return top
}

func (r *Report) effort(p Point) string {
	if r.Sweep == "" {
		return "its only setting"
	}
	return fmt.Sprintf("%s %d", r.Sweep, p.Effort)
}

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "machine  %s\n", r.Machine)
	fmt.Fprintf(w, "data     %s: %d rows x %d, %s, %d queries, recall@%d%s\n", r.Data, r.Rows, r.Dim, r.Metric, r.Asks, r.K, r.filterText())
	fmt.Fprintf(w, "index    %s %s\n", r.Index, paramText(r.Params))
	fmt.Fprintf(w, "clock    %s, median of %d interleaved rounds [lowest, highest]; %d thread(s), builds %d\n", r.Clock, r.Rounds, r.Threads, r.Build)
	fmt.Fprintf(w, "\nbuild\n")
	fmt.Fprintf(t, "engine\tCPU s\twall s\tMB\tfile MB\topen ms\tCPU, gyr / engine\tMB, gyr / engine\t\n")
	for _, b := range r.Builds {
		own := r.Builds[0]
		note := ""
		if b.Cached {
			note = " (cached)"
		}
		open := "-"
		if b.Open > 0 {
			open = fmt.Sprintf("%.1f", float64(b.Open.Microseconds())/1e3)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.1f\t%.1f\t%s\t%s\t%s\t%s\n", b.Engine, b.CPU.Seconds(), b.Wall.Seconds(), float64(b.Bytes)/1e6, float64(b.FileBytes)/1e6, open,
			times(own.CPU.Seconds(), b.CPU.Seconds()), times(float64(own.Bytes), float64(b.Bytes)), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r.levelTable(w, t)
	if err := t.Flush(); err != nil {
		return err
	}
	r.curveTable(w, t)
	if err := t.Flush(); err != nil {
		return err
	}
	if err := r.targetTable(w); err != nil {
		return err
	}
	if own := r.Curves[0]; own.Allocs >= 0 {
		fmt.Fprintf(w, "\ngyr: %.1f heap allocations per query, longest garbage-collector pause %s\n", own.Allocs, own.Pause)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(w, "\n%s: not available: %s\n", m.Engine, m.Why)
	}
	return nil
}

func times(a, b float64) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

func (r *Report) levelTable(w io.Writer, t *tabwriter.Writer) {
	fmt.Fprintf(w, "\nsearch\n")
	fmt.Fprintf(t, "recall\tengine\tQPS\t[\tlowest,\thighest ]\tgyr / engine\treached with\t\n")
	for _, level := range levels() {
		own, has := r.Curves[0].at(level, r.Clock)
		for _, c := range r.Curves {
			at, ok := c.at(level, r.Clock)
			if !ok {
				fmt.Fprintf(t, "%.2f\t%s\tnot reached\t\t\t\t\tbest %.4f\t\n", level, c.Engine, best(c))
				continue
			}
			better := ""
			if has {
				better = fmt.Sprintf("%.2fx", ratio(own.QPS, at.QPS))
			}
			fmt.Fprintf(t, "%.2f\t%s\t%.0f\t[\t%.0f,\t%.0f ]\t%s\t%s\t\n", level, c.Engine, median(at.QPS), slices.Min(at.QPS), slices.Max(at.QPS), better, r.effort(at.Point))
		}
	}
}

func (r *Report) curveTable(w io.Writer, t *tabwriter.Writer) {
	fmt.Fprintf(w, "\ncurves\n")
	head := r.Sweep
	if head == "" {
		head = "-"
	}
	fmt.Fprintf(t, "engine\t%s\trecall\tQPS by CPU\tQPS by wall clock\tus CPU per query\tdistances\thops\t\n", head)
	for _, c := range r.Curves {
		for _, p := range c.Points {
			counted := "-\t-"
			if p.Distances > 0 {
				counted = fmt.Sprintf("%.0f\t%.0f", p.Distances, p.Hops)
			}
			fmt.Fprintf(t, "%s\t%d\t%.4f\t%.0f\t%.0f\t%.1f\t%s\t\n", c.Engine, p.Effort, p.Recall, median(p.CPU), median(p.Wall), 1e6/median(p.CPU), counted)
		}
	}
}

func (r *Report) filterText() string {
	if r.Filter == nil {
		return ""
	}
	return fmt.Sprintf(", filter allows %d rows (%s)", r.Filter.count, r.Filter.name)
}

func paramText(params map[string]string) string {
	var out []string
	for name, v := range params {
		out = append(out, name+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
