package ctl

import (
	"errors"
	"fmt"
	"io"
)

// verdict is what the coordinator would do with one object.
type verdict struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	Remove bool   `json:"remove"`
	Why    string `json:"why"`
}

// garbage shows what a round of garbage collection would do. It removes nothing: the coordinator does that by itself.
func garbage(args []string, out io.Writer) (int, error) {
	q := newQuestion("gc")
	var dry bool
	q.flags.BoolVar(&dry, "dry-run", false, "")
	if err := q.flags.Parse(args); err != nil {
		return exitUsage, err
	}
	if !dry {
		return exitUsage, errors.New("gc only shows what would be removed, so it wants --dry-run; the coordinator removes garbage by itself")
	}
	var verdicts []verdict
	raw, err := q.ask("gyr.gc", &verdicts)
	if err != nil {
		return exitUsage, err
	}
	if q.json {
		fmt.Fprintf(out, "%s\n", raw)
	} else {
		printVerdicts(out, verdicts)
	}
	return exitFine, nil
}

func printVerdicts(out io.Writer, verdicts []verdict) {
	var rows [][]string
	var count [2]int
	var bytes [2]int64
	for _, v := range verdicts {
		what, i := "keep", 0
		if v.Remove {
			what, i = "remove", 1
		}
		count[i]++
		bytes[i] += v.Size
		rows = append(rows, []string{what, size(v.Size), v.Key, v.Why})
	}
	table(out, "WOULD\tBYTES\tOBJECT\tWHY", rows)
	fmt.Fprintf(out, "%d objects (%s) would be removed, %d objects (%s) stay. Nothing was removed.\n", count[1], size(bytes[1]), count[0], size(bytes[0]))
}
