// Command gyr-demo loads real embeddings into a running server, prints recall, speed and answers, and tidies up.
// tools/demo.sh (make demo) starts a server for it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gyr-db/gyr/integration/demo"
)

func main() {
	cfg := demo.Config{Out: os.Stdout}
	flag.StringVar(&cfg.Address, "address", "", "server, HOST:PORT")
	flag.StringVar(&cfg.DataDir, "data", "", "folder of the whole data set (embeddings.f16.npy, queries.f32.npy, gt_ids.npy, rows.jsonl.zst, queries.jsonl); default: 26,124 rows that are built in")
	flag.StringVar(&cfg.Collection, "collection", "gyr_demo", "name of the collection to make")
	flag.BoolVar(&cfg.Keep, "keep", false, "leave the collection on the server")
	flag.BoolVar(&cfg.Replace, "replace", false, "drop a collection of that name first")
	flag.IntVar(&cfg.Seconds, "seconds", 3, "length of each speed measurement")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: %q is no option (see --help)\n", flag.Arg(0))
		os.Exit(2)
	}
	if info, err := os.Stdout.Stat(); err == nil {
		cfg.Terminal = info.Mode()&os.ModeCharDevice != 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, cfg); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "\ndemo: interrupted")
			os.Exit(130)
		}
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1)
	}
}
