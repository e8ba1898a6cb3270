package index

import (
	"context"
	"errors"
	"sync"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/binary"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// autoBits is the number of lists that AUTOINDEX asks for over binary vectors.
const autoBits = 1024

// bits reads the type and the parameters of an index over binary vectors. Lists serve the metrics that have a distance; by
// the others a row matches or not, and AUTOINDEX scans.
func (p *plain) bits(kind string, params map[string]string) (err error) {
	listed := p.metric == vector.Hamming || p.metric == vector.Jaccard
	switch {
	case kind == TypeBinIVFFlat && !listed:
		return errs.Invalid("metric type %s not found or not supported, supported: [%s %s]", p.metric, vector.Hamming, vector.Jaccard)
	case kind == TypeBinIVFFlat:
		p.kind = TypeBinIVFFlat
		p.list.nlist, err = intParam(params, ParamNList, defaultNList, 1, binary.MaxLists)
	case kind == TypeAuto && listed:
		p.kind, p.list.nlist = TypeBinIVFFlat, autoBits
	default:
		p.kind = TypeBinFlat
	}
	return err
}

func bitEffort(params map[string]string) (Effort, error) {
	nprobe, err := intParam(params, ParamNProbe, 0, 1, binary.MaxLists)
	return Effort{NProbe: nprobe}, err
}

// bitIndex is BIN_FLAT.
type bitIndex struct {
	scan binary.Scanner

	mu     sync.RWMutex // held for reading by searches, for writing by Close
	closed bool
}

func (b *bitIndex) Search(ctx context.Context, queries []byte, k int, _ Effort, f Filter) (Hits, Stats, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return Hits{}, Stats{}, vector.ErrClosed
	}
	if err := checkQueries(b.scan.Rows, queries, k); err != nil {
		return Hits{}, Stats{}, err
	}
	hits, stats, err := b.scan.Search(ctx, queries, k, engine(f))
	return asHits(hits), Stats(stats), err
}

func (b *bitIndex) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return Hits{}, Stats{}, vector.ErrClosed
	}
	return bitRange(ctx, b.scan, query, flat.Window{Radius: radius, Bound: bound}, limit, f)
}

// Bytes is 0: the rows belong to the caller.
func (b *bitIndex) Bytes() int64 { return 0 }

func (b *bitIndex) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func bitRange(ctx context.Context, s binary.Scanner, query []byte, w flat.Window, limit int, f Filter) (Hits, Stats, error) {
	if err := checkQueries(s.Rows, query, limit); err != nil {
		return Hits{}, Stats{}, err
	}
	if len(query) != s.Rows.Elem().RowBytes(s.Rows.Dim()) {
		return Hits{}, Stats{}, errs.Invalid("a range search takes one query vector")
	}
	hits, stats, err := s.Range(ctx, query, w, limit, engine(f))
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits([][]vector.Hit{hits}), Stats(stats), nil
}

// bitLists is BIN_IVF_FLAT.
type bitLists struct {
	*binary.Index
	scan binary.Scanner
}

func openBits(p plain, set kernel.Set, src source, raw Rows) (Index, error) {
	img, err := binary.Load(src, src.size)
	if err != nil {
		return nil, openError(err)
	}
	if err := fits(p, img); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	x, err := binary.NewIndex(set, img, raw)
	if err != nil {
		return nil, errors.Join(errs.New(errs.Corrupt, "opening a vector index: %w", err), img.Close())
	}
	return &bitLists{Index: x, scan: binary.Scanner{Set: set, Metric: p.metric, Rows: raw}}, nil
}

func (l *bitLists) Search(ctx context.Context, queries []byte, k int, effort Effort, f Filter) (Hits, Stats, error) {
	if err := checkQueries(l.scan.Rows, queries, k); err != nil {
		return Hits{}, Stats{}, err
	}
	probe := effort.NProbe
	if probe == 0 {
		probe = defaultNProbe
	}
	if probe < 1 || probe > binary.MaxLists {
		return Hits{}, Stats{}, outOfRange(ParamNProbe, int64(probe), 1, binary.MaxLists)
	}
	hits, stats, err := l.Index.Search(ctx, queries, binary.Params{K: k, Probe: probe, Filter: engine(f)})
	if err != nil {
		return Hits{}, Stats(stats), err
	}
	return asHits(hits), Stats(stats), nil
}

// Range scans the raw vectors: exact at any radius.
func (l *bitLists) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	var hits Hits
	var stats Stats
	err := l.Index.Use(func() (err error) {
		hits, stats, err = bitRange(ctx, l.scan, query, flat.Window{Radius: radius, Bound: bound}, limit, f)
		return err
	})
	return hits, stats, err
}
