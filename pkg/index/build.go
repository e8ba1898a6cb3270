package index

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/binary"
	"github.com/gyr-db/gyr/pkg/vector/diskann"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
	"github.com/gyr-db/gyr/pkg/vector/ivf"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Builder builds indexes with a bounded number of workers.
type Builder struct {
	Workers int // goroutines per build; 0 means one per processor, 1 makes builds repeatable
}

// Build builds an index of all rows. A File that is an io.Closer holds memory outside the Go heap until it is closed; the
// garbage collector returns it in the end if nobody does. The rows must stay valid until the File is closed.
func Build(ctx context.Context, spec Spec, rows Rows, progress Progress) (File, error) {
	return Builder{}.Build(ctx, spec, rows, progress)
}

// Build is the function of that name with b's settings.
func (b Builder) Build(ctx context.Context, spec Spec, rows Rows, progress Progress) (File, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if rows.Dim() != p.dim || rows.Elem() != p.elem {
		return nil, fmt.Errorf("building an index of dimension %d and %s over rows of dimension %d and %s", p.dim, p.elem, rows.Dim(), rows.Elem())
	}
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	switch {
	case IsScan(p.kind):
		if progress != nil {
			progress(1)
		}
		return newFlatFile(p, rows.Len()), nil
	case p.kind == TypeDiskANN:
		return built(diskann.Build(ctx, diskConfig(p, set, b.Workers), rows, progress))
	case isLists(p.kind):
		return built(ivf.Build(ctx, ivfConfig(p, set, b.Workers), rows, progress))
	case p.kind == TypeBinIVFFlat:
		cfg := binary.Config{Set: set, Metric: p.metric, Lists: p.list.nlist, Workers: b.Workers}
		return built(binary.Build(ctx, cfg, rows, progress))
	}
	cfg := hnsw.Config{Set: set, Metric: p.metric, M: p.graph.m, EfConstruction: p.graph.efc, Workers: b.Workers, Product: p.graph.product}
	return built(hnsw.Build(ctx, cfg, rows, progress))
}

// built keeps a nil image out of the interface.
func built[F File](f F, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open reads an index file of size bytes into memory, checks it, and returns the index over raw, which must be the rows it
// was built from and must stay valid until the index is closed. Damaged files give code Corrupt. raw may be nil for types that
// bring the rows (BringsRows); they are searched in a copy of the file in the system's temporary folder (OpenFile needs none).
func Open(spec Spec, r io.ReaderAt, size int64, raw Rows) (Index, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	if p.kind == TypeDiskANN {
		return openCopy(p, source{r, size}, raw)
	}
	if raw.Elem() != p.elem {
		return nil, fmt.Errorf("opening an index of %s over rows of %s", p.elem, raw.Elem())
	}
	switch {
	case IsScan(p.kind):
		if err := checkFlatFile(p, r, size, raw.Len()); err != nil {
			return nil, err
		}
		return Flat(spec, raw)
	case isLists(p.kind):
		return openLists(p, set, source{r, size}, raw)
	case p.kind == TypeBinIVFFlat:
		return openBits(p, set, source{r, size}, raw)
	}
	return openGraph(p, set, source{r, size}, raw)
}

// source is where an index file is read from.
type source struct {
	io.ReaderAt
	size int64
}

// image is what kinds of index files, and indexes that are opened with them, have in common.
type image interface {
	Metric() vector.Metric
	Dim() int
	Close() error
}

// fits checks that an index file is one for p.
func fits(p plain, img image) error {
	if img.Metric() != p.metric || img.Dim() != p.dim {
		return errs.New(errs.Corrupt, "opening a vector index: the file is for %s of dimension %d, expected %s of dimension %d",
			img.Metric(), img.Dim(), p.metric, p.dim)
	}
	return nil
}

func openError(err error) error {
	if errors.Is(err, vector.ErrCorrupt) || errors.Is(err, vector.ErrVersion) {
		return errs.New(errs.Corrupt, "opening a vector index: %w", err)
	}
	return fmt.Errorf("opening a vector index: %w", err)
}

// compile-time checks of the seam.
var (
	_ Index         = (*graphIndex)(nil)
	_ Index         = (*listIndex)(nil)
	_ Index         = (*flatIndex)(nil)
	_ File          = (*hnsw.Image)(nil)
	_ Index         = (*bitIndex)(nil)
	_ Index         = (*bitLists)(nil)
	_ File          = (*ivf.Image)(nil)
	_ File          = (*binary.Image)(nil)
	_ File          = (*flatFile)(nil)
	_ vector.Filter = engineFilter{}
)
