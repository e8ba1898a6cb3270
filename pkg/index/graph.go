package index

import (
	"context"
	"errors"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

type graphIndex struct {
	*hnsw.Index
	scan flat.Scanner
}

func openGraph(p plain, set kernel.Set, src source, raw Rows) (Index, error) {
	img, err := hnsw.Load(src, src.size)
	if err != nil {
		return nil, openError(err)
	}
	if err := fits(p, img); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	if img.Product() != p.graph.product {
		err := errs.New(errs.Corrupt, "opening a vector index: the file is not one of type %s with these parameters", p.kind)
		return nil, errors.Join(err, img.Close())
	}
	x, err := hnsw.NewIndex(set, img, raw)
	if err != nil {
		return nil, errors.Join(errs.New(errs.Corrupt, "opening a vector index: %w", err), img.Close())
	}
	return &graphIndex{Index: x, scan: flat.Scanner{Set: set, Metric: p.metric, Rows: raw}}, nil
}

func (g *graphIndex) Search(ctx context.Context, queries []byte, k int, effort Effort, f Filter) (Hits, Stats, error) {
	floats, err := decode(g.scan, queries, k)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	if err := checkEf(effort.Ef, k); err != nil {
		return Hits{}, Stats{}, err
	}
	ef := effort.Ef
	if ef == 0 {
		ef = defaultEf(k)
	}
	hits, stats, err := g.Index.Search(ctx, floats, hnsw.Params{
		K: k, Ef: ef, Filter: engine(f), TargetRecall: effort.TargetRecall, Rerank: effort.rerank(k),
	})
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits(hits), Stats(stats), nil
}

// Range scans the raw vectors: exact at any radius, which a pool of fixed size is not.
func (g *graphIndex) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	var hits Hits
	var stats Stats
	err := g.Index.Use(func() (err error) {
		hits, stats, err = rangeScan(ctx, g.scan, query, flat.Window{Radius: radius, Bound: bound}, limit, f)
		return err
	})
	return hits, stats, err
}
