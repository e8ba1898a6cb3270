package index

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Builder builds indexes with a bounded number of workers.
type Builder struct {
	Workers int // goroutines per build; 0 means one per processor, 1 makes builds repeatable
}

// Build builds an index of all rows. A File that is an io.Closer holds memory outside the Go heap until it is closed; the
// garbage collector returns it in the end if nobody does.
func Build(ctx context.Context, spec Spec, rows Rows, progress Progress) (File, error) {
	return Builder{}.Build(ctx, spec, rows, progress)
}

// Build is the function of that name with b's settings.
func (b Builder) Build(ctx context.Context, spec Spec, rows Rows, progress Progress) (File, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if rows.Dim() != p.dim {
		return nil, fmt.Errorf("building an index of dimension %d over rows of dimension %d", p.dim, rows.Dim())
	}
	if p.kind == TypeFlat {
		if progress != nil {
			progress(1)
		}
		return newFlatFile(p, rows.Len()), nil
	}
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	cfg := hnsw.Config{Set: set, Metric: p.metric, M: p.m, EfConstruction: p.efc, Workers: b.Workers}
	img, err := hnsw.Build(ctx, cfg, rows, progress)
	if err != nil {
		return nil, err
	}
	return img, nil
}

// Open reads an index file of size bytes into memory, checks it, and returns the index over raw, which must be the rows it
// was built from and must stay valid until the index is closed. Damaged files give code Corrupt.
func Open(spec Spec, r io.ReaderAt, size int64, raw Rows) (Index, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if p.kind == TypeFlat {
		if err := checkFlatFile(p, r, size, raw.Len()); err != nil {
			return nil, err
		}
		return Flat(spec, raw)
	}
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	img, err := hnsw.Load(r, size)
	if err != nil {
		return nil, openError(err)
	}
	g, err := newGraph(p, set, img, raw)
	if err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return g, nil
}

func openError(err error) error {
	if errors.Is(err, hnsw.ErrCorrupt) || errors.Is(err, hnsw.ErrVersion) {
		return errs.New(errs.Corrupt, "opening a vector index: %w", err)
	}
	return fmt.Errorf("opening a vector index: %w", err)
}

type graphIndex struct {
	*hnsw.Index
	scan flat.Scanner
}

func newGraph(p plain, set kernel.Set, img *hnsw.Image, raw Rows) (*graphIndex, error) {
	if img.Metric() != p.metric || img.Dim() != p.dim {
		return nil, errs.New(errs.Corrupt, "opening a vector index: the file is for %s of dimension %d, expected %s of dimension %d",
			img.Metric(), img.Dim(), p.metric, p.dim)
	}
	x, err := hnsw.NewIndex(set, img, raw)
	if err != nil {
		return nil, errs.New(errs.Corrupt, "opening a vector index: %w", err)
	}
	return &graphIndex{Index: x, scan: flat.Scanner{Set: set, Metric: p.metric, Rows: raw}}, nil
}

func (g *graphIndex) Search(ctx context.Context, queries []float32, k int, effort Effort, f Filter) (Hits, Stats, error) {
	if err := checkQueries(queries, g.scan.Rows.Dim(), k); err != nil {
		return Hits{}, Stats{}, err
	}
	if err := checkEf(effort.Ef, k); err != nil {
		return Hits{}, Stats{}, err
	}
	ef := effort.Ef
	if ef == 0 {
		ef = defaultEf(k)
	}
	hits, stats, err := g.Index.Search(ctx, queries, hnsw.Params{K: k, Ef: ef, Filter: engine(f)})
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits(hits), Stats(stats), nil
}

// Range scans the raw vectors: exact at any radius, which a pool of fixed size is not.
func (g *graphIndex) Range(ctx context.Context, query []float32, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	var hits Hits
	var stats Stats
	err := g.Index.Use(func() (err error) {
		hits, stats, err = rangeScan(ctx, g.scan, query, flat.Window{Radius: radius, Bound: bound}, limit, f)
		return err
	})
	return hits, stats, err
}

// compile-time checks of the seam.
var (
	_ Index         = (*graphIndex)(nil)
	_ Index         = (*flatIndex)(nil)
	_ File          = (*hnsw.Image)(nil)
	_ File          = (*flatFile)(nil)
	_ vector.Filter = engineFilter{}
)
