// Command vectorbench measures Gyr's vector indexes on a folder of vectors, beside other libraries.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gyr-db/gyr/integration/vectorbench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := vectorbench.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
