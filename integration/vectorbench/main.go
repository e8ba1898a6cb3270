package vectorbench

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// usage stands above the list of options.
const usage = `vectorbench measures Gyr's vector indexes on a folder of vectors, beside other libraries.

  vectorbench --data DIR --index HNSW [--params '{"M":16,"efConstruction":200}'] [--peers hnswlib,faiss]
              [--filter 0.01] [--threads N] [--json] [--plot FILE]

DIR holds rows and queries as npy arrays (float32, float16, uint8, int8): embeddings.*.npy and queries.*.npy, compared by cosine, or
base.*.npy and query.*.npy, compared by L2. With gt_ids.npy (row numbers of the nearest, best first) the truth need not be computed.
DIR is never written. In its place, demo: means the demo's rows, which come with the program, and synth:ROWSxDIM rows drawn from a
seed, like image descriptors. Peers are Python packages, installed into a virtual environment in the cache folder when first asked for.

Options:
`

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main is the program: arguments in, exit code out.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "vectorbench: %v\n(vectorbench --help lists the options)\n", err)
		return exitUsage
	}
	if err := opts.measure(ctx, stdout, stderr); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(stderr, "vectorbench: %v\n", err)
		return exitError
	}
	return exitOK
}

type options struct {
	cfg     Config
	asJSON  bool
	plot    string
	kernels bool
}

func (o *options) measure(ctx context.Context, stdout, stderr io.Writer) error {
	if o.kernels {
		return o.measureKernels(ctx, stdout)
	}
	draw, err := painter(o.plot)
	if err != nil {
		return err
	}
	report, err := Run(ctx, o.cfg)
	if err != nil {
		return err
	}
	if o.asJSON {
		err = report.JSON(stdout, stderr)
	} else {
		err = report.Table(stdout)
	}
	if err != nil {
		return fmt.Errorf("writing the figures: %w", err)
	}
	return draw(report)
}

func (o *options) measureKernels(ctx context.Context, stdout io.Writer) error {
	report, err := Kernels(ctx, KernelConfig{Log: o.cfg.Log})
	if err != nil {
		return err
	}
	if o.asJSON {
		return report.JSON(stdout)
	}
	return report.Table(stdout)
}

func parseArgs(args []string, stderr io.Writer) (*options, error) {
	o := &options{cfg: Config{Log: stderr}}
	c := &o.cfg
	var params, search, peers, efforts string
	f := flag.NewFlagSet("vectorbench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.Data, "data", "", "folder with the vectors, or demo:, or synth:ROWSxDIM")
	f.StringVar(&c.Index, "index", "HNSW", "index type of the API")
	f.StringVar(&params, "params", "", "build parameters as a JSON object (HNSW: M 16, efConstruction 200; IVF: nlist about the root of the rows)")
	f.StringVar(&search, "search-params", "", "further search parameters as a JSON object (refine_k, reorder_k)")
	f.StringVar(&c.Metric, "metric", "", "COSINE, IP or L2 (default: by the names of the files)")
	f.IntVar(&c.K, "k", 10, "neighbours asked for")
	f.IntVar(&c.Rows, "rows", 0, "use the first rows only")
	f.IntVar(&c.Queries, "queries", 0, "use the first queries only")
	f.Float64Var(&c.Filter, "filter", 0, "share of the rows that a filter allows, for example 0.01")
	f.BoolVar(&c.Correlated, "filter-correlated", false, "the filter allows rows that lie together, not random ones")
	f.IntVar(&c.Threads, "threads", 1, "threads of a search; the queries are shared out among them")
	f.IntVar(&c.BuildThreads, "build-threads", 0, "threads of a build (default: as --threads)")
	f.IntVar(&c.Rounds, "rounds", 7, "interleaved rounds")
	f.StringVar(&efforts, "efforts", "", "values of ef, nprobe or search_list, with commas between (default: found by recall)")
	f.BoolVar(&c.Targets, "target-recall", false, "also measure what target_recall gives at each level, and a search without parameters")
	f.StringVar(&peers, "peers", "", "other libraries, with commas between: "+strings.Join(peerNames(), ", "))
	f.BoolVar(&c.Single, "single", false, "give peers one query per call; by default they get all in one call, which spares them Python's overhead")
	f.BoolVar(&c.Rebuild, "rebuild", false, "build the peers' indexes anew, to measure their builds in this run")
	f.StringVar(&c.Cache, "cache", "", "cache folder (default: gyr-vectorbench in the user's cache folder)")
	f.StringVar(&c.Clock, "clock", "", "cpu or wall: what QPS is counted by (default: cpu with one thread, else wall)")
	f.BoolVar(&o.asJSON, "json", false, "one JSON object per figure and line")
	f.BoolVar(&o.kernels, "kernels", false, "measure the distance kernels instead of indexes; needs no data")
	f.StringVar(&o.plot, "plot", "", "draw recall against QPS into this file (.svg or .png)")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			f.SetOutput(stderr)
			f.PrintDefaults()
		}
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no option", f.Arg(0))
	}
	var err error
	if c.Params, err = objectFlag("params", params); err != nil {
		return nil, err
	}
	if c.SearchParams, err = objectFlag("search-params", search); err != nil {
		return nil, err
	}
	if c.Efforts, err = intsFlag("efforts", efforts); err != nil {
		return nil, err
	}
	c.Peers = listFlag(peers)
	return o, nil
}

// objectFlag reads a JSON object of numbers, texts and booleans.
func objectFlag(name, text string) (map[string]string, error) {
	out := map[string]string{}
	if text == "" {
		return out, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf(`--%s %s is no JSON object: %w; write it like {"M":16,"efConstruction":200}`, name, text, err)
	}
	for key, v := range raw {
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = string(v)
		}
		out[key] = s
	}
	return out, nil
}

func intsFlag(name, text string) ([]int, error) {
	var out []int
	for _, part := range listFlag(text) {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("--%s: %q is no number; write them like 10,20,40", name, part)
		}
		out = append(out, n)
	}
	return out, nil
}

func listFlag(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
