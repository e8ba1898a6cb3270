package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/demo/measure"
)

// Env is what a figure works with: a server, a client, a place for its numbers.
type Env struct {
	cfg     Config
	result  *Result
	dir     string  // temporary folder of this figure
	server  *server // nil with an address
	client  *client.Client
	version string
}

// run gives a figure its server and tidies up behind it.
func (e *Env) run(ctx context.Context, f figure) (err error) {
	if e.dir, err = os.MkdirTemp("", "gyr-bench-*"); err != nil {
		return err
	}
	defer os.RemoveAll(e.dir)
	address := e.cfg.Address
	if address == "" {
		if e.server, err = newServer(e.cfg.Binary, filepath.Join(e.dir, "data")); err != nil {
			return err
		}
		defer e.server.kill()
		if _, err := e.server.start(ctx); err != nil {
			return err
		}
		address = e.server.address
	}
	if e.client, err = client.Dial(address); err != nil {
		return err
	}
	defer e.client.Close()
	hello, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	v, err := e.client.GetVersion(hello, &milvuspb.GetVersionRequest{})
	if err := client.Check(v.GetStatus(), err); err != nil {
		return fmt.Errorf("no server answers at %s: %w", address, err)
	}
	e.version = v.Version
	if err := f.measure(ctx, e); err != nil {
		if e.server != nil {
			return fmt.Errorf("%w\nthe server's last words:\n%s", err, e.server.lastWords())
		}
		return err
	}
	return nil
}

// name is a collection name that another run on the same server does not use.
func (e *Env) name(what string) string { return fmt.Sprintf("gyr_bench_%s_%d", what, os.Getpid()) }

// drop removes a collection from a server that lives on.
func (e *Env) drop(name string) {
	if e.cfg.Address == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := e.client.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name})
	if err := client.Check(st, err); err != nil {
		fmt.Fprintf(e.cfg.Log, "bench: the collection %s stays on the server: %v\n", name, err)
	}
}

func (e *Env) add(name string, value float64, unit string) {
	e.result.Values = append(e.result.Values, Value{name, value, unit})
}

func (e *Env) addDuration(name string, d time.Duration) { e.add(name, float64(d)/1e6, "ms") }

// addLatency adds p50 and p99.
func (e *Env) addLatency(name string, s measure.Stats) {
	e.addDuration(name+" p50", s.Quantile(0.5))
	e.addDuration(name+" p99", s.Quantile(0.99))
}

// length is how long a timed loop runs.
func (e *Env) length() time.Duration { return time.Duration(e.cfg.Seconds) * time.Second }

// cpu runs do and answers the server's processor time; ok is false when its process is not ours.
func (e *Env) cpu(do func() error) (used time.Duration, ok bool, err error) {
	if e.server == nil {
		return 0, false, do()
	}
	before, err := e.server.cpu()
	if err != nil {
		return 0, false, err
	}
	if err := do(); err != nil {
		return 0, false, err
	}
	after, err := e.server.cpu()
	return after - before, true, err
}

// idle adds memory and the share of one core that an idle server uses.
func (e *Env) idle(ctx context.Context, suffix string) error {
	if e.server == nil {
		return nil
	}
	start := time.Now()
	used, _, err := e.cpu(func() error { return sleep(ctx, e.length()) })
	if err != nil {
		return err
	}
	rss, err := e.server.rss()
	if err != nil {
		return err
	}
	e.add("RSS"+suffix, float64(rss)/(1<<20), "MiB")
	e.add("idle CPU"+suffix, 100*used.Seconds()/time.Since(start).Seconds(), "% of a core")
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
