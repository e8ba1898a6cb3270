package ctl

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// roles in the order of the picture in the README.
var roles = []string{"proxy", "coordinator", "datanode", "querynode", "indexnode"}

func status(args []string, out io.Writer) (int, error) {
	q := newQuestion("status")
	if err := q.flags.Parse(args); err != nil {
		return exitUsage, err
	}
	var r Report
	raw, err := q.ask("gyr.status", &r)
	if err != nil {
		return exitUsage, err
	}
	if q.json {
		fmt.Fprintf(out, "%s\n", raw)
	} else {
		r.print(out, time.Now())
	}
	if len(r.Problems) > 0 {
		return exitProblem, nil
	}
	return exitFine, nil
}

func (r *Report) print(out io.Writer, now time.Time) {
	r.printNodes(out, now)
	r.printLogs(out)
	r.printShards(out)
	r.printTasks(out)
	if r.Copy != nil {
		fmt.Fprintf(out, "Catalog copied to object storage %s ago (revision %d).\n", now.Sub(time.UnixMilli(r.Copy.AtMS)).Round(time.Second), r.Copy.Revision)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintln(out, "All is well.")
		return
	}
	fmt.Fprintln(out, "What is wrong:")
	for _, p := range r.Problems {
		fmt.Fprintf(out, "  - %s\n", p)
	}
}

// table writes aligned columns under a heading, and nothing when there are no rows.
func table(out io.Writer, head string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	fmt.Fprintln(out)
}

func (r *Report) printNodes(out io.Writer, now time.Time) {
	var rows [][]string
	for _, role := range roles {
		for _, n := range r.Nodes[role] {
			rows = append(rows, []string{role, fmt.Sprint(n.ID), n.Addr, uptime(n, now), r.doing(role, n)})
		}
	}
	table(out, "ROLE\tNODE\tADDRESS\tUP\tDOING", rows)
}

// doing says in a few words what a node does.
func (r *Report) doing(role string, n Node) string {
	var parts []string
	switch {
	case role == "coordinator" && r.Leader != nil && r.Leader.ID == n.ID:
		parts = append(parts, "leads")
	case role == "coordinator":
		parts = append(parts, "stands by")
	case role == "datanode":
		parts = append(parts, fmt.Sprintf("owns logs %v", n.Logs))
	case role == "querynode":
		parts = append(parts, fmt.Sprintf("leads %d views, serves %d segments, %s", n.Leads, n.Segments, size(n.Bytes)))
	}
	if n.Draining {
		parts = append(parts, "draining")
	}
	return strings.Join(parts, ", ")
}

func (r *Report) printLogs(out io.Writer) {
	var rows [][]string
	for _, l := range r.Logs {
		owner := "none"
		if l.Owner != nil {
			owner = fmt.Sprint(*l.Owner)
		}
		rows = append(rows, []string{fmt.Sprint(l.Number), owner, fmt.Sprint(l.Epoch), fmt.Sprint(l.Checkpoint), fmt.Sprint(l.Truncated), fmt.Sprint(l.Shards), l.URL})
	}
	table(out, "LOG\tOWNER\tEPOCH\tCHECKPOINT\tTRUNCATED\tSHARDS\tQUEUE", rows)
}

func (r *Report) printShards(out io.Writer) {
	slices.SortFunc(r.Collections, func(a, b Collection) int { return cmp.Or(cmp.Compare(a.DB, b.DB), cmp.Compare(a.Name, b.Name)) })
	var rows [][]string
	for _, c := range r.Collections {
		state := c.State
		if c.Loaded {
			state = fmt.Sprintf("loaded %d %%", c.Progress)
		}
		for _, s := range c.Shards {
			var views []string
			for _, v := range s.Views {
				views = append(views, fmt.Sprintf("#%d on %d", v.Number, v.Leader))
			}
			rows = append(rows, []string{
				c.DB + "." + c.Name, state, fmt.Sprint(s.Index), fmt.Sprint(s.Log), fmt.Sprint(s.Segments), fmt.Sprint(s.Rows),
				size(s.Bytes), fmt.Sprint(s.Unindexed), strings.Join(views, " "),
			})
		}
	}
	table(out, "COLLECTION\tSTATE\tSHARD\tLOG\tSEGMENTS\tSEALED ROWS\tBYTES\tUNINDEXED\tVIEWS", rows)
}

func (r *Report) printTasks(out io.Writer) {
	var rows [][]string
	for _, t := range r.Tasks {
		rows = append(rows, []string{fmt.Sprint(t.ID), t.Kind, t.State, fmt.Sprintf("%.0f %%", 100*t.Progress), fmt.Sprint(t.Attempt), fmt.Sprint(t.Failures), t.Error})
	}
	table(out, "TASK\tKIND\tSTATE\tDONE\tATTEMPT\tFAILURES\tERROR", rows)
}

// size prints bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)/1024)
}

// uptime says since when a node runs.
func uptime(n Node, now time.Time) string {
	if n.Started == 0 {
		return "unknown"
	}
	return now.Sub(time.UnixMilli(n.Started)).Round(time.Second).String()
}
