package vectorbench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gyr-db/gyr/pkg/index"
)

// Target is what a search got that named a recall instead of an effort.
type Target struct {
	Asked  float64 // 0: neither recall nor effort was named
	Recall float64
	QPS    []float64 // by round
}

// measureTargets searches Gyr's index with target_recall at each level, and with no parameters at all.
func (s *sweep) measureTargets(ctx context.Context, g *gyr) error {
	for _, asked := range append([]float64{0}, levels()...) {
		e := index.Effort{TargetRecall: asked}
		l, err := g.answer(ctx, e, load{1, 1}, true)
		if err != nil {
			return fmt.Errorf("gyr with target_recall %g: %w", asked, err)
		}
		t := Target{Asked: asked}
		if t.Recall, err = s.judge.recall(l.ids); err != nil {
			return fmt.Errorf("gyr with target_recall %g: %w", asked, err)
		}
		load := loadFor(l.time.wall, s.judge.set.Asks())
		for range s.cfg.Rounds {
			if l, err = g.answer(ctx, e, load, false); err != nil {
				return fmt.Errorf("gyr with target_recall %g: %w", asked, err)
			}
			p := Point{}
			p.add(l, load, s.judge.set.Asks())
			t.QPS = append(t.QPS, p.rates(s.cfg.Clock)...)
		}
		s.report.Targets = append(s.report.Targets, t)
	}
	return nil
}

func (r *Report) targetTable(w io.Writer) error {
	if len(r.Targets) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\ngyr, target_recall\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "asked\trecall\tQPS\t\n")
	for _, x := range r.Targets {
		asked := "default"
		if x.Asked > 0 {
			asked = fmt.Sprintf("%.2f", x.Asked)
		}
		fmt.Fprintf(t, "%s\t%.4f\t%.0f\t\n", asked, x.Recall, median(x.QPS))
	}
	return t.Flush()
}

func (r *Report) targetLines(enc *json.Encoder) error {
	for _, x := range r.Targets {
		err := enc.Encode(struct {
			Measure string  `json:"measure"`
			Engine  string  `json:"engine"`
			Asked   float64 `json:"target_recall"`
			Recall  float64 `json:"recall"`
			QPS     float64 `json:"qps"`
		}{"target", "gyr", x.Asked, x.Recall, round(median(x.QPS))})
		if err != nil {
			return err
		}
	}
	return nil
}
