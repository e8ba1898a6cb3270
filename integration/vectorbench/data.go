package vectorbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/gyr-db/gyr/integration/demo/data"
)

// Set is a data set in canonical form: float32, of unit length when the metric is COSINE.
type Set struct {
	Name    string
	Metric  string
	Dim     int
	Base    []float32 // row-major
	Query   []float32 // row-major
	Truth   []int64   // nearest rows of each query, best first, TruthK per query; nil when there is no file that fits
	TruthK  int
	RowHash string // of Base and Dim
	AskHash string // of Query
}

// Rows is the number of rows.
func (s *Set) Rows() int { return len(s.Base) / s.Dim }

// Asks is the number of queries.
func (s *Set) Asks() int { return len(s.Query) / s.Dim }

// Row is row i.
func (s *Set) Row(i int) []float32 { return s.Base[i*s.Dim : (i+1)*s.Dim] }

// Ask is query i.
func (s *Set) Ask(i int) []float32 { return s.Query[i*s.Dim : (i+1)*s.Dim] }

// layout is one way of naming the files of a data set. The part between the dots is the element type (f16, f32, u8, i8).
type layout struct {
	rows, queries string
	metric        string // of the ground truth, and the default
}

func layouts() []layout {
	return []layout{
		{"embeddings", "queries", "COSINE"},
		{"base", "query", "L2"},
	}
}

// Load reads the folder of cfg, or draws the rows that it names.
func Load(ctx context.Context, cfg Config) (*Set, error) {
	if cfg.drawn() {
		s, err := builtIn(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s.cut(cfg)
		s.canonical(cfg.Metric, s.Metric)
		return s, nil
	}
	base, query, lay, err := findLayout(cfg.Data)
	if err != nil {
		return nil, err
	}
	s := &Set{Name: filepath.Base(filepath.Clean(cfg.Data))}
	var all int
	if s.Base, s.Dim, all, err = readVectors(base, cfg.Rows); err != nil {
		return nil, err
	}
	qdim := 0
	if s.Query, qdim, _, err = readVectors(query, cfg.Queries); err != nil {
		return nil, err
	}
	if qdim != s.Dim {
		return nil, fmt.Errorf("%s has %d columns, but %s has %d: rows and queries must have the same dimension", query, qdim, base, s.Dim)
	}
	s.canonical(cfg.Metric, lay.metric)
	// Files of the cosine layout hold unit vectors, on which the metrics agree; truth by L2 says nothing about the others.
	if s.Rows() == all && (s.Metric == lay.metric || lay.metric == "COSINE" && unit(s)) {
		err = s.readTruth(filepath.Join(cfg.Data, "gt_ids.npy"), cfg)
	}
	return s, err
}

// demoData in place of a folder means the demo's rows: real embeddings that come with the program.
const demoData = "demo:"

// drawn reports whether the data is no folder.
func (c *Config) drawn() bool { return c.Data == demoData || strings.HasPrefix(c.Data, synthPrefix) }

// builtIn makes the data that needs no folder; its Metric is the default.
func builtIn(ctx context.Context, cfg Config) (*Set, error) {
	if cfg.Data != demoData {
		cfg.logf("drawing %s", cfg.Data)
		return synthesize(ctx, cfg.Data)
	}
	d, err := data.Load()
	if err != nil {
		return nil, err
	}
	return &Set{Name: cfg.Data, Metric: "COSINE", Dim: d.Vectors.Dim, Base: d.Vectors.Data, Query: d.QueryVectors.Data}, nil
}

// cut keeps the first rows and queries.
func (s *Set) cut(cfg Config) {
	if cfg.Rows > 0 {
		s.Base = s.Base[:min(cfg.Rows, s.Rows())*s.Dim]
	}
	if cfg.Queries > 0 {
		s.Query = s.Query[:min(cfg.Queries, s.Asks())*s.Dim]
	}
}

// canonical sets the metric and, for cosine, the length of the vectors.
func (s *Set) canonical(metric, def string) {
	if s.Metric = strings.ToUpper(metric); s.Metric == "" {
		s.Metric = def
	}
	if s.Metric == "COSINE" {
		normalise(s.Base, s.Dim)
		normalise(s.Query, s.Dim)
	}
	s.RowHash, s.AskHash = hashFloats(s.Dim, s.Base), hashFloats(s.Dim, s.Query)
}

// findLayout finds the files of rows and queries.
func findLayout(dir string) (base, query string, _ layout, err error) {
	if info, err := os.Stat(dir); err != nil {
		return "", "", layout{}, fmt.Errorf("data folder: %w", err)
	} else if !info.IsDir() {
		return "", "", layout{}, fmt.Errorf("%s is a file; --data takes the folder that it lies in", dir)
	}
	for _, l := range layouts() {
		if base, err = one(dir, l.rows); err != nil {
			return "", "", l, err
		}
		if base == "" {
			continue
		}
		if query, err = one(dir, l.queries); err != nil {
			return "", "", l, err
		}
		if query == "" {
			return "", "", l, fmt.Errorf("%s has %s but no %s.*.npy with the queries", dir, filepath.Base(base), l.queries)
		}
		return base, query, l, nil
	}
	return "", "", layout{}, fmt.Errorf("%s has neither embeddings.*.npy with queries.*.npy nor base.*.npy with query.*.npy: save the vectors under one of these pairs of names", dir)
}

// one finds name.TYPE.npy or name.npy; "" when there is none.
func one(dir, name string) (string, error) {
	var found []string
	for _, pattern := range []string{name + ".npy", name + ".*.npy"} {
		m, err := filepath.Glob(filepath.Join(escape(dir), pattern))
		if err != nil {
			return "", fmt.Errorf("looking for %s in %s: %w", pattern, dir, err)
		}
		found = append(found, m...)
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s has several files %s: keep one of %s", dir, name, strings.Join(found, ", "))
}

// escape keeps characters of a folder's name from being patterns.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func readVectors(path string, limit int) (data []float32, dim, all int, err error) {
	a, err := openNpy(path)
	if err != nil {
		return nil, 0, 0, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if data, err = a.floats(limit); err != nil {
		return nil, 0, 0, err
	}
	for i, x := range data {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, 0, 0, fmt.Errorf("%s: row %d, column %d is %g: vectors must be finite", path, i/a.cols, i%a.cols, x)
		}
	}
	return data, a.cols, a.rows, nil
}

// readTruth reads the ground truth if there is one that holds enough neighbours.
func (s *Set) readTruth(path string, cfg Config) (err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	a, err := openNpy(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if a.rows < s.Asks() || a.cols < cfg.K {
		cfg.logf("%s has %d x %d neighbours, fewer than %d queries x %d: the truth is computed instead", path, a.rows, a.cols, s.Asks(), cfg.K)
		return nil
	}
	ids, err := a.ints(s.Asks())
	if err != nil {
		return err
	}
	for i, id := range ids {
		if id < 0 || id >= int64(s.Rows()) {
			return fmt.Errorf("%s: neighbour %d of query %d is row %d, but there are rows 0 to %d: the file belongs to other data", path, i%a.cols, i/a.cols, id, s.Rows()-1)
		}
	}
	s.Truth, s.TruthK = ids, a.cols
	return nil
}

// normalise gives rows unit length; a row of length zero stays.
func normalise(data []float32, dim int) {
	for ; len(data) > 0; data = data[dim:] {
		row := data[:dim]
		n := math.Sqrt(dot(row, row))
		if n == 0 {
			continue
		}
		for i := range row {
			row[i] = float32(float64(row[i]) / n)
		}
	}
}

// unit reports whether all rows have length 1, within what float16 keeps.
func unit(s *Set) bool {
	for i := range s.Rows() {
		if math.Abs(dot(s.Row(i), s.Row(i))-1) > 1e-5 {
			return false
		}
	}
	return true
}

func dot(a, b []float32) (sum float64) {
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}

func hashFloats(dim int, data []float32) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d columns\n", dim)
	if len(data) > 0 {
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 4*len(data)))
	}
	return hex.EncodeToString(h.Sum(nil))[:24]
}
