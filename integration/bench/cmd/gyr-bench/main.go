// Command gyr-bench measures gyr-standalone, or any other server that speaks the Milvus API, and prints a table or JSON.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gyr-db/gyr/integration/bench"
)

func main() {
	var cfg bench.Config
	var only string
	var asJSON bool
	flag.StringVar(&cfg.Address, "address", "", "measure the server at HOST:PORT instead of starting gyr-standalone")
	flag.StringVar(&cfg.Binary, "binary", "bin/gyr-standalone", "the server to start")
	flag.StringVar(&only, "only", "", "figures to measure, with commas between: "+strings.Join(bench.Names(), ",")+" (default: all)")
	flag.StringVar(&cfg.DataDir, "data", "", "folder of the whole data set for the search figure (default: the demo's rows)")
	flag.BoolVar(&asJSON, "json", false, "print JSON")
	flag.IntVar(&cfg.Seconds, "seconds", 5, "length of each timed loop")
	flag.IntVar(&cfg.BulkRows, "bulk-rows", 50_000, "rows of the bulk figure")
	flag.IntVar(&cfg.Segments, "segments", 200, "sealed segments of the segments figure")
	flag.IntVar(&cfg.Collections, "collections", 1000, "collections of the collections figure")
	flag.IntVar(&cfg.RestartRows, "restart-rows", 100_000, "rows of the restart figure")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: %q is no option (see --help)\n", flag.Arg(0))
		os.Exit(2)
	}
	if only != "" {
		cfg.Only = strings.Split(only, ",")
	}
	cfg.Log = os.Stderr
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, cfg)
	write := report.Table
	if asJSON {
		write = report.JSON
	}
	if len(report.Results) > 0 {
		if werr := write(os.Stdout); werr != nil && err == nil {
			err = werr
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}
