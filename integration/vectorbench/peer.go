package vectorbench

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/index"
)

//go:embed worker.py
var workerScript []byte

// cacheFormat is part of the key of cached peer indexes: raise it when worker.py builds them in another way.
const cacheFormat = 1

// stopLimit is how long a worker may take to end.
const stopLimit = 10 * time.Second

// shared is what the workers of one run have in common.
type shared struct {
	cfg    Config
	spec   index.Spec
	set    *Set
	filter *rowFilter
	env    environment
	tmp    string // folder of this run

	rows, queries, allowed string // files in tmp, made when needed
}

// peer is a library in a worker process.
type peer struct {
	*shared
	label string

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr tail
}

func (p *peer) name() string { return p.label }

// open installs the library, starts the worker and has it build its index or load the cached one.
func (p *peer) open(ctx context.Context, _ string) (Build, error) {
	pkg := packageOf(p.label)
	if err := p.env.ensure(ctx, pkg); err != nil {
		return Build{}, err
	}
	key := p.key(pkg)
	folder := filepath.Join(p.cfg.Cache, "peers")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Build{}, err
	}
	path := filepath.Join(folder, p.indexName()+"-"+key)
	if p.cfg.Rebuild {
		if err := os.RemoveAll(path + ".json"); err != nil {
			return Build{}, err
		}
	}
	_, err := os.Stat(path + ".json")
	cached := err == nil
	if !cached {
		p.cfg.logf("%s: building %s over %d rows with %d threads", p.label, p.spec.Type, p.set.Rows(), p.cfg.BuildThreads)
	}
	if err := p.files(!cached); err != nil {
		return Build{}, fmt.Errorf("writing rows and queries for the worker: %w", err)
	}
	if err := p.start(ctx, path); err != nil {
		return Build{}, err
	}
	var a answer
	if _, err := p.ask(request{Op: "open"}, &a); err != nil {
		return Build{}, err
	}
	if cached {
		p.cfg.logf("%s: index of %s from the cache; its build times are of that day (--rebuild measures them again)", p.label, a.Date)
	}
	return Build{CPU: seconds(a.CPU), Wall: seconds(a.Wall), Bytes: a.Bytes, FileBytes: a.File, Version: strings.Join(pkg.packages, " "), Cached: cached}, nil
}

// indexName names the index whose file may be used by several peers.
func (p *peer) indexName() string {
	if p.label == "svs-lvq8" {
		return "svs" // codes are made at load time
	}
	return p.label
}

// key stands for all that a built index depends on.
func (p *peer) key(pkg peerPackage) string {
	raw, err := json.Marshal([]any{cacheFormat, pkg.packages, p.spec, p.set.RowHash, p.cfg.BuildThreads, p.cfg.SearchParams})
	if err != nil {
		panic(err) // plain values
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:10])
}

// files writes what workers read; rows only for a build.
func (s *shared) files(rows bool) error {
	if s.queries == "" {
		s.queries = filepath.Join(s.tmp, "queries.npy")
		if err := writeNpy(s.queries, s.set.Dim, s.set.Query); err != nil {
			return err
		}
	}
	if s.filter != nil && s.allowed == "" {
		s.allowed = filepath.Join(s.tmp, "allowed.npy")
		if err := writeNpy(s.allowed, 1, s.filter.bytes(s.set.Rows())); err != nil {
			return err
		}
	}
	if rows && s.rows == "" {
		s.rows = filepath.Join(s.tmp, "rows.npy")
		return writeNpy(s.rows, s.set.Dim, s.set.Base)
	}
	return nil
}

// start starts the worker.
func (p *peer) start(ctx context.Context, path string) (err error) {
	script := filepath.Join(p.tmp, "worker.py")
	if err := os.WriteFile(script, workerScript, 0o644); err != nil {
		return err
	}
	p.cmd = exec.CommandContext(ctx, p.env.python(), "-u", script)
	threads := strconv.Itoa(max(p.cfg.Threads, p.cfg.BuildThreads))
	p.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+threads, "OPENBLAS_NUM_THREADS="+threads, "MKL_NUM_THREADS="+threads, "RAYON_NUM_THREADS="+threads)
	p.cmd.Stderr, p.cmd.WaitDelay = &p.stderr, stopLimit
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewReaderSize(out, 1<<16)
	if err := p.cmd.Start(); err != nil {
		p.cmd = nil
		return fmt.Errorf("starting %s: %w", p.env.python(), err)
	}
	conf := workerConf{
		Peer: p.label, Type: p.spec.Type, Metric: p.spec.Metric, Params: p.spec.Params, SearchParams: p.cfg.SearchParams, K: p.cfg.K,
		Threads: p.cfg.Threads, BuildThreads: p.cfg.BuildThreads, Single: p.cfg.Single, Warm: warmQueries,
		Rows: p.rows, Queries: p.queries, Filter: p.allowed, Index: path, Tmp: filepath.Join(p.tmp, p.label),
	}
	for _, m := range []*map[string]string{&conf.Params, &conf.SearchParams} {
		if *m == nil {
			*m = map[string]string{} // null would be no dict
		}
	}
	if err := os.MkdirAll(conf.Tmp, 0o755); err != nil {
		return err
	}
	var a answer
	_, err = p.ask(conf, &a)
	return err
}

type workerConf struct {
	Peer         string            `json:"peer"`
	Type         string            `json:"type"`
	Metric       string            `json:"metric"`
	Params       map[string]string `json:"params"`
	SearchParams map[string]string `json:"search_params"`
	K            int               `json:"k"`
	Threads      int               `json:"threads"`
	BuildThreads int               `json:"build_threads"`
	Single       bool              `json:"single"`
	Warm         int               `json:"warm"`
	Rows         string            `json:"rows"`
	Queries      string            `json:"queries"`
	Filter       string            `json:"filter"`
	Index        string            `json:"index"`
	Tmp          string            `json:"tmp"`
}

type request struct {
	Op     string `json:"op"`
	Effort int    `json:"effort"`
	Stride int    `json:"stride"`
	Passes int    `json:"passes"`
	IDs    bool   `json:"ids"`
}

type answer struct {
	Error string  `json:"error"`
	CPU   float64 `json:"cpu_s"`
	Wall  float64 `json:"wall_s"`
	Bytes int64   `json:"bytes"`
	File  int64   `json:"file_bytes"`
	Date  string  `json:"date"`
	Raw   int     `json:"raw"`
}

// ask sends one line and reads the answer with the bytes behind it.
func (p *peer) ask(message any, a *answer) ([]byte, error) {
	line, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return nil, p.ended(err)
	}
	reply, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, p.ended(err)
	}
	if err := json.Unmarshal(reply, a); err != nil {
		return nil, fmt.Errorf("answer of the worker: %w", err)
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	raw := make([]byte, a.Raw)
	if _, err := io.ReadFull(p.out, raw); err != nil {
		return nil, p.ended(err)
	}
	return raw, nil
}

// ended explains a worker that is gone.
func (p *peer) ended(err error) error {
	err = fmt.Errorf("the worker ended: %w", err)
	if text := lastLine(p.stderr.String()); text != "" {
		err = fmt.Errorf("%w; its last words: %s", err, text)
	}
	return err
}

func (p *peer) lap(_ context.Context, effort int, load load, ids bool) (lap, error) {
	var a answer
	raw, err := p.ask(request{"search", effort, load.stride, load.passes, ids}, &a)
	if err != nil {
		return lap{}, err
	}
	l := lap{time: spent{seconds(a.CPU), seconds(a.Wall)}, allocs: -1}
	for ; len(raw) >= 4; raw = raw[4:] {
		l.ids = append(l.ids, int32(binary.LittleEndian.Uint32(raw)))
	}
	return l, nil
}

func (p *peer) close() error {
	if p.cmd == nil {
		return nil
	}
	err := p.in.Close() // the worker ends when its input does
	done := time.AfterFunc(stopLimit, func() { _ = p.cmd.Process.Kill() })
	defer done.Stop()
	var exit *exec.ExitError
	if werr := p.cmd.Wait(); werr != nil && !errors.As(werr, &exit) {
		err = errors.Join(err, werr)
	}
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const keep = 4 << 10
	if t.buf = append(t.buf, p...); len(t.buf) > keep {
		t.buf = slices.Clone(t.buf[len(t.buf)-keep:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
