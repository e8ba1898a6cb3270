package index

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/ivf"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// listIndex is an index of one of the IVF types.
type listIndex struct {
	*ivf.Index
	scan flat.Scanner
}

func ivfConfig(p plain, set kernel.Set, workers int) ivf.Config {
	cfg := ivf.Config{
		Set: set, Metric: p.metric, Lists: p.list.nlist, Coding: codings(p.kind)[0], Workers: workers,
		Parts: p.list.parts, Bits: p.list.bits,
	}
	if p.kind == TypeScaNN {
		cfg.Along = anisotropy(p.dim)
	}
	return cfg
}

// anisotropy returns how much SCANN weighs errors along a row, so that inner products above a tenth of the greatest possible
// err least: (d-1) t²/(1-t²) for t = 0.1 (Guo et al. 2020, theorem 3.4). With t = 0.2, the paper's choice, recall was lower
// on sentence embeddings.
func anisotropy(dim int) float32 { return max(1, float32(dim-1)/99) }

// codings returns what lists of an index type hold: the first is built, files of the others are read. IVF_FLAT promises
// what a scan of raw vectors gives; codes with bounds give the same from a quarter of the bytes.
func codings(kind string) []ivf.Coding {
	switch kind {
	case TypeIVFSQ8:
		return []ivf.Coding{ivf.SQ8}
	case TypeIVFPQ, TypeScaNN:
		return []ivf.Coding{ivf.PQ}
	case TypeIVFRaBitQ:
		return []ivf.Coding{ivf.RaBitQ}
	}
	return []ivf.Coding{ivf.Exact, ivf.Plain}
}

func openLists(p plain, set kernel.Set, src source, raw Rows) (Index, error) {
	img, err := ivf.Load(src, src.size)
	if err != nil {
		return nil, openError(err)
	}
	err = fits(p, img)
	if err == nil && !(slices.Contains(codings(p.kind), img.Coding()) && img.Parts() == p.list.parts) {
		err = errs.New(errs.Corrupt, "opening a vector index: the file is not one of type %s", p.kind)
	}
	if err != nil {
		return nil, errors.Join(err, img.Close())
	}
	x, err := ivf.NewIndex(set, img, raw)
	if err != nil {
		return nil, errors.Join(errs.New(errs.Corrupt, "opening a vector index: %w", err), img.Close())
	}
	return &listIndex{Index: x, scan: flat.Scanner{Set: set, Metric: p.metric, Rows: raw}}, nil
}

func (l *listIndex) Search(ctx context.Context, queries []byte, k int, effort Effort, f Filter) (Hits, Stats, error) {
	floats, err := decode(l.scan, queries, k)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	probe := effort.NProbe
	if probe == 0 {
		probe = defaultNProbe
	}
	if probe < 1 || probe > ivf.MaxLists {
		return Hits{}, Stats{}, outOfRange(ParamNProbe, int64(probe), 1, ivf.MaxLists)
	}
	params := ivf.Params{K: k, Probe: probe, Filter: engine(f), Rerank: effort.ReorderK, QueryBits: effort.QueryBits, TargetRecall: effort.TargetRecall}
	if effort.RefineK > 1 {
		params.Rerank = int(min(math.Ceil(effort.RefineK*float64(k)), math.MaxInt32))
	}
	hits, stats, err := l.Index.Search(ctx, floats, params)
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits(hits), Stats(stats), nil
}

// Range is exact at any radius, whatever max_empty_result_buckets says: only lists that cannot reach into the window are
// left out.
func (l *listIndex) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	floats, err := decode(l.scan, query, limit)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	if len(floats) != l.scan.Rows.Dim() {
		return Hits{}, Stats{}, errs.Invalid("a range search takes one query vector")
	}
	hits, stats, err := l.Index.Range(ctx, floats, flat.Window{Radius: radius, Bound: bound}, limit, engine(f))
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits([][]vector.Hit{hits}), Stats(stats), nil
}
