// Package demo loads real embeddings into a server that speaks the Milvus API, measures it and asks it questions. It owns the
// order of the steps and the words on the terminal; the data, the collection and the measuring have packages of their own.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/demo/data"
	"github.com/gyr-db/gyr/integration/demo/dataset"
	"github.com/gyr-db/gyr/integration/demo/packages"
)

// Config says what to run against.
type Config struct {
	Address    string // host:port of the server
	Collection string // name of the collection to make
	DataDir    string // folder of the whole data set; empty for the small one that is built in
	Keep       bool   // leave the collection on the server at the end
	Replace    bool   // drop a collection of that name first
	Seconds    int    // length of each measurement
	Out        io.Writer
	Terminal   bool // whether Out is a terminal, where a progress bar may move
}

// Validate checks the configuration and fills in defaults.
func (c *Config) Validate() error {
	if c.Address == "" {
		return errors.New("say which server to use: --address HOST:PORT (or run make demo, which starts one)")
	}
	if c.Collection == "" {
		c.Collection = "gyr_demo"
	}
	if c.Seconds <= 0 {
		c.Seconds = 3
	}
	return nil
}

// run is one run of the demo.
type run struct {
	cfg   Config
	out   screen
	set   *dataset.Set
	truth [][]int64
	coll  packages.Collection
	ef    int
}

// Run runs the demo from beginning to end.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	r := &run{cfg: cfg, out: screen{w: cfg.Out, moving: cfg.Terminal}}
	if err := r.read(); err != nil {
		return err
	}
	c, err := client.Dial(cfg.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	r.coll = packages.Collection{Client: c, Name: cfg.Collection}
	if err := r.greet(ctx); err != nil {
		return err
	}
	if err := r.makeRoom(ctx); err != nil {
		return err
	}
	if !cfg.Keep {
		defer func() {
			// The run may have been interrupted; the clean-up has its own time.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, r.coll.Drop(ctx))
		}()
	}
	for _, step := range []func(context.Context) error{r.fill, r.index, r.recall, r.speed, r.answers} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if cfg.Keep {
		r.out.line("The collection %s stays on %s.", cfg.Collection, cfg.Address)
	}
	return nil
}

// read reads the data set and finds the true neighbours, unless the data brings them.
func (r *run) read() (err error) {
	if r.cfg.DataDir != "" {
		r.set, err = dataset.Folder(r.cfg.DataDir)
	} else {
		r.set, err = data.Load()
	}
	if err != nil {
		return err
	}
	r.out.title("Data")
	r.out.line("%s Debian packages with embeddings of %d dimensions, %s held-out queries", thousands(len(r.set.Rows)), r.set.Vectors.Dim, thousands(len(r.set.Queries)))
	if r.truth = r.set.Truth; r.truth == nil {
		start := time.Now()
		r.truth = r.set.Exact(10)
		r.out.line("true neighbours by comparing everything with everything here: %s", short(time.Since(start)))
	}
	return nil
}

// greet checks that a server answers.
func (r *run) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	v, err := r.coll.Client.GetVersion(ctx, &milvuspb.GetVersionRequest{})
	if err := client.Check(v.GetStatus(), err); err != nil {
		return fmt.Errorf("no server answers at %s: %w\nStart one with `make run`, or run `make demo` without an address, which starts its own", r.cfg.Address, err)
	}
	r.out.title("Server")
	r.out.line("%s, version %s (this machine has %d CPUs)", r.cfg.Address, v.Version, runtime.NumCPU())
	return nil
}

// makeRoom makes the empty collection.
func (r *run) makeRoom(ctx context.Context) error {
	exists, err := r.coll.Exists(ctx)
	if err != nil {
		return err
	}
	if exists {
		if !r.cfg.Replace {
			return fmt.Errorf("a collection %s is on %s already: give --replace to drop it first, or another name with --collection", r.cfg.Collection, r.cfg.Address)
		}
		if err := r.coll.Drop(ctx); err != nil {
			return err
		}
	}
	return r.coll.Create(ctx, r.set.Vectors.Dim)
}

// fill inserts every row and flushes.
func (r *run) fill(ctx context.Context) error {
	r.out.title("Load")
	start, total := time.Now(), len(r.set.Rows)
	bar := r.out.bar("insert", "rows")
	for from := 0; from < total; from += packages.BatchRows {
		to := min(from+packages.BatchRows, total)
		if err := r.coll.Insert(ctx, r.set, from, to); err != nil {
			return err
		}
		bar.show(int64(to), int64(total))
	}
	took := time.Since(start)
	bar.done("%s rows, %s rows a second", thousands(total), thousands(int(float64(total)/took.Seconds())))
	start = time.Now()
	if err := r.coll.Flush(ctx); err != nil {
		return err
	}
	r.out.line("flush    all rows are in storage: %s", short(time.Since(start)))
	return nil
}

// index builds the HNSW index and loads the collection.
func (r *run) index(ctx context.Context) error {
	start := time.Now()
	if err := r.coll.CreateIndex(ctx); err != nil {
		return err
	}
	bar := r.out.bar("HNSW", "rows")
	var rows int64
	if err := r.coll.WaitIndex(ctx, func(indexed, total int64) { rows = total; bar.show(indexed, total) }); err != nil {
		return err
	}
	bar.done("%s rows indexed", thousands(int(rows)))
	if err := r.coll.Load(ctx); err != nil {
		return err
	}
	r.out.line("ready    %s after the flush", short(time.Since(start)))
	return nil
}
