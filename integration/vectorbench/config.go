package vectorbench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/index"
)

// Config says what to measure.
type Config struct {
	Data         string            // folder with the vectors; or demo: or synth:ROWSxDIM
	Index        string            // index type of the API, HNSW for example
	Params       map[string]string // build parameters; what is missing gets the defaults of kinds.go
	SearchParams map[string]string // search parameters besides the one that is swept
	Metric       string            // L2, IP or COSINE; empty: by layout
	K            int               // neighbours asked for; recall is recall@K
	Rows         int               // only the first rows; 0: all
	Queries      int               // only the first queries; 0: all
	Filter       float64           // share of rows that a filter allows; 0: no filter
	Correlated   bool              // the filter allows the rows with the smallest first component, not random ones
	Threads      int               // threads of a search; queries are shared out among them
	BuildThreads int               // threads of a build; 0: as Threads
	Rounds       int               // timed rounds
	Efforts      []int             // values of the swept parameter; empty: found by recall
	Targets      bool              // also search with target_recall and with defaults
	Peers        []string          // other libraries
	Cache        string            // cache folder; empty: gyr-vectorbench in the user's cache folder
	Rebuild      bool              // build peers' indexes anew even when the cache has them
	Single       bool              // peers get one query per call instead of all
	Clock        string            // cpu or wall; empty: cpu with one thread, else wall
	Log          io.Writer         // progress and notes
}

// Bounds of Config.
const (
	maxThreads = 1024
	maxRounds  = 1000
	maxK       = 16384
)

// Clocks.
const (
	clockCPU  = "cpu"
	clockWall = "wall"
)

// Validate fills in defaults and checks the rest.
func (c *Config) Validate() error {
	c.defaults()
	switch {
	case c.Data == "":
		return errors.New("no data folder: say --data DIR, a folder with embeddings.*.npy and queries.*.npy, or base.*.npy and query.*.npy (or --data demo: for the rows that come with the program)")
	case c.K < 1 || c.K > maxK:
		return fmt.Errorf("k is %d: it should be in [1, %d]", c.K, maxK)
	case c.Threads < 1 || c.Threads > maxThreads || c.BuildThreads < 1 || c.BuildThreads > maxThreads:
		return fmt.Errorf("%d threads to search with and %d to build with: both should be in [1, %d]", c.Threads, c.BuildThreads, maxThreads)
	case c.Rounds < 1 || c.Rounds > maxRounds:
		return fmt.Errorf("%d rounds: they should be in [1, %d]", c.Rounds, maxRounds)
	case c.Filter < 0 || c.Filter >= 1:
		return fmt.Errorf("filter %g: it is the share of rows allowed, above 0 and below 1; leave it out for no filter", c.Filter)
	case c.Correlated && c.Filter == 0:
		return errors.New("--filter-correlated says which rows a filter allows, but there is no --filter SHARE")
	case c.Rows < 0 || c.Queries < 0:
		return fmt.Errorf("%d rows and %d queries: leave them out to use all", c.Rows, c.Queries)
	case c.Clock != clockCPU && c.Clock != clockWall:
		return fmt.Errorf("clock %q: it should be %s or %s", c.Clock, clockCPU, clockWall)
	}
	for _, p := range c.Peers {
		if !slices.Contains(peerNames(), p) {
			return fmt.Errorf("no peer %q: there are %s", p, strings.Join(peerNames(), ", "))
		}
	}
	for _, e := range c.Efforts {
		if e < 1 {
			return fmt.Errorf("effort %d: efforts are positive numbers", e)
		}
	}
	return c.cacheDir()
}

func (c *Config) defaults() {
	c.Index = strings.ToUpper(c.Index)
	if c.Index == "" {
		c.Index = index.TypeHNSW
	}
	if c.K == 0 {
		c.K = 10
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.BuildThreads == 0 {
		c.BuildThreads = c.Threads
	}
	if c.Rounds == 0 {
		c.Rounds = 7
	}
	if c.Clock == "" {
		c.Clock = clockCPU
		if c.Threads > 1 {
			c.Clock = clockWall
		}
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
}

// cacheDir makes the cache folder, which must not lie inside the data folder.
func (c *Config) cacheDir() error {
	if c.Cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding a cache folder: %w; say --cache DIR", err)
		}
		c.Cache = filepath.Join(base, "gyr-vectorbench")
	}
	var err error
	if c.Cache, err = filepath.Abs(c.Cache); err != nil {
		return fmt.Errorf("cache folder: %w", err)
	}
	if c.drawn() {
		return c.makeCache()
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data folder %s: %w", c.Data, err)
	}
	if rel, err := filepath.Rel(data, c.Cache); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("the cache folder %s lies in the data folder, which is never written: say --cache DIR with another one", c.Cache)
	}
	return c.makeCache()
}

func (c *Config) makeCache() error {
	if err := os.MkdirAll(c.Cache, 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w; say --cache DIR with another one", err)
	}
	return nil
}

func (c *Config) logf(format string, args ...any) {
	fmt.Fprintf(c.Log, "vectorbench: "+format+"\n", args...)
}
