package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
)

// Report is everything that a run found out.
type Report struct {
	Machine Machine  `json:"machine"`
	Server  string   `json:"server,omitempty"` // address; empty when the benchmark started it
	Version string   `json:"version"`
	Results []Result `json:"results"`
	LeftOut []string `json:"left_out,omitempty"`
}

// Machine is where the benchmark ran.
type Machine struct {
	CPUs  int    `json:"cpus"`
	Model string `json:"model,omitempty"`
	OS    string `json:"os"`
	Arch  string `json:"arch"`
}

// Result is one figure's numbers.
type Result struct {
	Figure string  `json:"figure"`
	What   string  `json:"what"`
	Values []Value `json:"values"`
	Error  string  `json:"error,omitempty"`
}

func machine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m // no Linux
	}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Model = strings.TrimSpace(value)
			break
		}
	}
	return m
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Table writes the report for people.
func (r Report) Table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nversion %s, %d CPUs (%s)\n", r.Version, r.Machine.CPUs, strings.TrimSpace(r.Machine.Model+" "+r.Machine.OS+"/"+r.Machine.Arch))
	for _, res := range r.Results {
		fmt.Fprintf(&b, "\n%s: %s\n", res.Figure, res.What)
		for _, v := range res.Values {
			fmt.Fprintf(&b, "  %-44s %12s %s\n", v.Name, digits(v.Value), v.Unit)
		}
		if res.Error != "" {
			fmt.Fprintf(&b, "  FAILED: %s\n", strings.ReplaceAll(res.Error, "\n", "\n  "))
		}
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(&b, "\nleft out, because they need the server's process: %s\n", strings.Join(r.LeftOut, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// digits writes a number with about four digits.
func digits(x float64) string {
	switch a := math.Abs(x); {
	case x == math.Trunc(x) && a < 1e9:
		return fmt.Sprintf("%.0f", x)
	case a >= 1000:
		return fmt.Sprintf("%.0f", x)
	case a >= 100:
		return fmt.Sprintf("%.1f", x)
	case a >= 10:
		return fmt.Sprintf("%.2f", x)
	case a >= 1:
		return fmt.Sprintf("%.3f", x)
	}
	return fmt.Sprintf("%.4f", x)
}
