// Package ctl is gyr-ctl: what an operator asks a cluster, through any of its proxies, and the rebuilding of a lost catalog.
//
// Only `catalog rebuild` writes, and only into an empty metadata store. Exit codes: 0 all is well, 1 something is wrong with the cluster (said in words), 2 the question could
// not be asked.
package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gyr-db/gyr/pkg/version"
)

// Exit codes.
const (
	exitFine    = 0
	exitProblem = 1
	exitUsage   = 2
)

const usage = `Usage: gyr-ctl COMMAND [flags]

  status               roles, logs, shards, segments, views and tasks; says in words what is wrong (exit code 1)
  gc --dry-run         which objects in storage would be removed, which stay, and why
  catalog copies       the copies of the catalog in object storage: --role standalone|coordinator [role flags]
  catalog rebuild      writes the newest good copy into an empty metadata store, with all processes stopped: --role as above,
                       [--copy KEY] [--dry-run] [role flags]; exit code 1: done, but something is missing or damaged
  config show          effective settings of a role with their origin: --role standalone|proxy|... [role flags]
  cpu                  which vector kernels run on this machine with this environment, why, and what would be faster (--json);
                       exit code 1: GYR_VECTOR_TIER names some that cannot run
  version              this program's version

Flags of status and gc:
  --address HOST:PORT  any proxy (default 127.0.0.1:19530)
  --json               the answer as JSON
  --timeout DURATION   how long to wait (default 10s)
`

// Main runs gyr-ctl and returns its exit code.
func Main(args []string, out, errOut io.Writer, settings Settings) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(out, usage)
		return exitFine
	}
	var code int
	var err error
	switch args[0] {
	case "status":
		code, err = status(args[1:], out)
	case "gc":
		code, err = garbage(args[1:], out)
	case "catalog":
		code, err = catalogCommand(args[1:], out, settings)
	case "config":
		err = showConfig(args[1:], out, settings)
	case "cpu":
		code, err = cpu(args[1:], out)
	case "version", "--version":
		fmt.Fprintf(out, "gyr-ctl %s\n", version.String())
	default:
		err = fmt.Errorf("unknown command %q; see gyr-ctl help", args[0])
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return exitFine
	}
	if err != nil {
		fmt.Fprintf(errOut, "gyr-ctl: %v\n", err)
		return exitUsage
	}
	return code
}

// question is what the flags of status and gc say.
type question struct {
	address string
	json    bool
	timeout time.Duration
	flags   *flag.FlagSet
}

func newQuestion(name string) *question {
	q := &question{flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	q.flags.SetOutput(io.Discard)
	q.flags.StringVar(&q.address, "address", "127.0.0.1:19530", "")
	q.flags.BoolVar(&q.json, "json", false, "")
	q.flags.DurationVar(&q.timeout, "timeout", 10*time.Second, "")
	return q
}

// ask sends GetMetrics with a metric type to the proxy and decodes the JSON that it answers.
func (q *question) ask(metric string, into any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), q.timeout)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+q.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", q.address, err)
	}
	defer conn.Close()
	resp, err := milvuspb.NewMilvusServiceClient(conn).GetMetrics(ctx, &milvuspb.GetMetricsRequest{Request: fmt.Sprintf(`{"metric_type":%q}`, metric)})
	if err != nil {
		return nil, fmt.Errorf("ask the proxy at %s (give another with --address): %w", q.address, err)
	}
	if resp.Status.GetCode() != 0 {
		return nil, fmt.Errorf("the proxy at %s answers: %s", q.address, resp.Status.GetReason())
	}
	if err := json.Unmarshal([]byte(resp.Response), into); err != nil {
		return nil, fmt.Errorf("the answer of %s is not understood: %w", q.address, err)
	}
	return []byte(resp.Response), nil
}
