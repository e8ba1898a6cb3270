// Package bench measures a server that speaks the Milvus API: Gyr's own, which it starts on an empty folder for each figure,
// or any other by its address (then figures that need the server's process are left out).
//
// A figure is a function in a file of its own. Data comes from a seeded generator, so two runs send the same bytes.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config says what to measure and how much.
type Config struct {
	Address     string   // host:port of a running server; empty: start Binary
	Binary      string   // path of gyr-standalone
	Only        []string // names of figures; empty: all
	DataDir     string   // whole data set for the search figure; empty: the demo's rows
	Seconds     int      // length of each timed loop
	BulkRows    int      // rows of the bulk figure
	Segments    int      // sealed segments of the segments figure
	Collections int      // collections of the collections figure
	RestartRows int      // rows of the restart figure
	Log         io.Writer
}

// Validate fills in defaults and checks the rest.
func (c *Config) Validate() error {
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Seconds, 5}, {&c.BulkRows, 50_000}, {&c.Segments, 200}, {&c.Collections, 1000}, {&c.RestartRows, 100_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
		if *d.field < 0 {
			return errors.New("counts and seconds must be positive")
		}
	}
	if c.Address == "" && c.Binary == "" {
		return errors.New("neither an address nor a server binary is given")
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	names := Names()
	for _, n := range c.Only {
		if !slices.Contains(names, n) {
			return fmt.Errorf("no figure %q; there are %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// Value is one measured number.
type Value struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// figure is one entry of the table below.
type figure struct {
	name    string
	what    string
	process bool // needs the server's process, so not possible with an address
	measure func(context.Context, *Env) error
	limit   time.Duration
}

func figures() []figure {
	return []figure{
		{"search", "one sealed, indexed collection; ten nearest, one query a request", false, measureSearch, 10 * time.Minute},
		{"write", "insert one row, then query it by key under Strong, four other writers running", false, measureWrite, 5 * time.Minute},
		{"bulk", "batches of 1,000 rows of 384 dimensions, then flush, then the index", false, measureBulk, 10 * time.Minute},
		{"segments", "insert and query by key with few and with many sealed segments", false, measureSegments, 15 * time.Minute},
		{"collections", "many empty collections", false, measureCollections, 10 * time.Minute},
		{"start", "start on an empty folder", true, measureStart, 2 * time.Minute},
		{"restart", "SIGKILL with half of the rows unsealed, to the first complete Strong search", true, measureRestart, 10 * time.Minute},
	}
}

// Names are the figures' names.
func Names() []string {
	var out []string
	for _, f := range figures() {
		out = append(out, f.name)
	}
	return out
}

// Run measures the figures asked for. A figure that fails is in the report with its error, and the error is returned too.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	report := Report{Machine: machine(), Server: cfg.Address}
	var failed error
	for _, f := range figures() {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, f.name) {
			continue
		}
		if f.process && cfg.Address != "" {
			report.LeftOut = append(report.LeftOut, f.name)
			continue
		}
		fmt.Fprintf(cfg.Log, "bench: %s: %s\n", f.name, f.what)
		r := Result{Figure: f.name, What: f.what}
		env := &Env{cfg: cfg, result: &r}
		fctx, cancel := context.WithTimeout(ctx, f.limit)
		err := env.run(fctx, f)
		cancel()
		if err != nil {
			r.Error = err.Error()
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f.name, err))
		}
		if env.version != "" {
			report.Version = env.version
		}
		report.Results = append(report.Results, r)
		if ctx.Err() != nil {
			break
		}
	}
	return report, failed
}
