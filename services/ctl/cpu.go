package ctl

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// cpuAnswer is what `gyr-ctl cpu --json` prints.
type cpuAnswer struct {
	kernel.Description
	Faster string `json:"faster"` // what would be faster than the tier in use, empty when nothing is known
	Error  string `json:"error"`  // why no tier can be used, empty when one can
}

// cpu says which vector kernels a process on this machine with this environment uses, and why. It asks no other process.
func cpu(args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("cpu", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
	if err := flags.Parse(args); err != nil {
		return exitUsage, err
	}
	if flags.NArg() > 0 {
		return exitUsage, fmt.Errorf("cpu takes no arguments, got %q", flags.Arg(0))
	}
	d, err := kernel.Describe()
	answer := cpuAnswer{Description: d, Faster: faster(d)}
	code := exitFine
	if err != nil {
		answer.Error, code = err.Error(), exitProblem
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return code, e.Encode(answer)
	}
	printCPU(out, answer)
	return code, nil
}

func printCPU(out io.Writer, a cpuAnswer) {
	if a.Error != "" {
		a.Tier = "none"
	}
	fmt.Fprint(out, a.Description)
	if a.Faster != "" {
		fmt.Fprintf(out, "faster: %s\n", a.Faster)
	}
	if a.Error != "" {
		fmt.Fprintf(out, "no index can be built or searched: %s\n", a.Error)
	}
}

// faster says in words what would be faster than the tier in use: another value of the environment variable, a binary with
// assembly, or a processor with more instructions.
func faster(d kernel.Description) string {
	best, next := d.Tiers[0].Name, ""
	var lacks []string
	for _, t := range d.Tiers {
		if t.Runs {
			best = t.Name
		} else if next == "" {
			next, lacks = t.Name, t.Missing
		}
	}
	switch {
	case d.Tier != best:
		return fmt.Sprintf("%s, which runs here when %s is not set", best, kernel.EnvTier)
	case len(d.Tiers) == 1 && (d.Arch == "amd64" || d.Arch == "arm64"):
		return "a binary built without the tag purego"
	case len(d.Tiers) == 1:
		return "amd64 or arm64, for which there is assembly"
	case next != "":
		return fmt.Sprintf("%s, on a processor with %s", next, strings.Join(lacks, ", "))
	}
	return ""
}
