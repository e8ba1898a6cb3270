package diskann

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/diskio"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// Engine is a way to read blocks.
type Engine = diskio.Engine

// Engines. Auto takes Uring where the system lets it, else Pool.
const (
	Auto  = diskio.Auto
	Uring = diskio.Uring
	Pool  = diskio.Pool
)

// Options say how to open an index.
type Options struct {
	Set    kernel.Set
	Engine Engine
	Direct bool // read past the page cache, where the file system can
	Beam   int  // reads that a search has under way; 0 means DefaultBeam
}

// DefaultBeam is the number of reads that a search has under way unless it is told.
const DefaultBeam = 8

// Index answers searches over a file. It is safe for concurrent use, and it is vector.Rows and vector.Fetcher of its own
// vectors: Row panics, as they do not lie in memory.
type Index struct {
	img     *image
	set     kernel.Set
	metric  vector.Metric
	disk    *diskio.File
	name    string
	beam    int
	spread  float32   // rows' root mean squared distance from the mean, by code
	scratch sync.Pool // of *searcher
	reads   atomic.Int64
}

// Open reads the hot part of a file into memory, checks it, and keeps the file open for the rest.
func Open(path string, o Options) (*Index, error) {
	if o.Beam == 0 {
		o.Beam = DefaultBeam
	}
	img, err := load(path)
	if err != nil {
		return nil, err
	}
	disk, err := diskio.Open(diskio.Config{
		Path: path, Block: img.geom.block, Depth: max(1, min(o.Beam, diskio.MaxDepth)), Engine: o.Engine, Direct: o.Direct,
	})
	if err != nil {
		return nil, imagefile.JoinClose(err, img)
	}
	x := &Index{img: img, set: o.Set, metric: img.head.metric, disk: disk, name: path, beam: max(1, min(o.Beam, diskio.MaxDepth))}
	img.quant.Set = o.Set
	sum := 0.0
	for _, w := range img.weight {
		sum += float64(w) / float64(len(img.weight))
	}
	x.spread = float32(math.Sqrt(sum))
	x.scratch.New = func() any { return newSearcher(x) }
	return x, nil
}

// Metric returns the metric that the index was built for.
func (x *Index) Metric() vector.Metric { return x.metric }

// Len returns the number of rows.
func (x *Index) Len() int { return x.img.head.rows }

// Dim returns the dimension.
func (x *Index) Dim() int { return x.img.head.dim }

// Elem returns how components are stored.
func (x *Index) Elem() vector.Elem { return x.img.head.elem }

// Row panics: vectors are fetched.
func (x *Index) Row(int) []byte { panic("diskann: the vectors of an index lie on disk; use Fetch") }

// Bytes returns the memory held outside the Go heap.
func (x *Index) Bytes() int64 { return x.img.file.Bytes() }

// Engine returns how blocks are read.
func (x *Index) Engine() Engine { return x.disk.Engine() }

// Reads returns the number of blocks read since the index was opened.
func (x *Index) Reads() int64 { return x.reads.Load() }

// Close waits for running searches, frees the memory and closes the file.
func (x *Index) Close() error {
	err := x.img.Close()
	if derr := x.disk.Close(); err == nil {
		err = derr
	}
	return err
}

// Use calls fn while the index cannot be closed.
func (x *Index) Use(fn func() error) error {
	if err := x.img.file.Acquire(); err != nil {
		return err
	}
	defer x.img.file.Release()
	return fn()
}

// Params say what to search for.
type Params struct {
	K      int
	List   int           // size of the candidate pool, at least K, unless TargetRecall is set
	Filter vector.Filter // nil allows all rows

	// TargetRecall, in (0, 1), chooses List by what was measured at the build.
	TargetRecall float64
}

// MinList is the smallest pool to choose when none is asked for. The API promises 16, which gives a recall of 0.97 for ten
// rows on real embeddings (docs/benchmarks/diskann.md); half as much again costs five reads and gives 0.98.
const MinList = 24

// Search returns for each query (row-major) the min(K, allowed) best allowed rows, best first, equal scores by row. A block
// that cannot be read, or is not what was written, fails the search with the file's name and the block's place.
func (x *Index) Search(ctx context.Context, queries []float32, p Params) ([][]vector.Hit, vector.Stats, error) {
	dim := x.img.head.dim
	if len(queries)%dim != 0 {
		return nil, vector.Stats{}, fmt.Errorf("%d query values are no multiple of dimension %d", len(queries), dim)
	}
	if p.TargetRecall > 0 && p.K >= 0 {
		p.List = x.effort(p.K, p.TargetRecall)
	}
	if p.K < 0 || p.List < p.K {
		return nil, vector.Stats{}, fmt.Errorf("search list of %d is smaller than k %d", p.List, p.K)
	}
	var hits [][]vector.Hit
	stats, err := x.with(func(s *searcher) error {
		s.begin(p)
		hits = make([][]vector.Hit, len(queries)/dim)
		for i := range hits {
			if err := ctx.Err(); err != nil {
				return err
			}
			pairs, err := s.search(ctx, queries[i*dim:(i+1)*dim])
			if err != nil {
				return err
			}
			hits[i] = asHits(x.metric, pairs)
		}
		return nil
	})
	if err != nil {
		return nil, stats, err
	}
	return hits, stats, nil
}

func asHits(m vector.Metric, pairs []uint64) []vector.Hit {
	hits := make([]vector.Hit, len(pairs))
	for i, p := range pairs {
		hits[i] = vector.Hit{ID: topk.ID(p), Score: m.Score(topk.Key(p))}
	}
	return hits
}

// with lends fn a searcher while the index cannot be closed.
func (x *Index) with(fn func(s *searcher) error) (vector.Stats, error) {
	var stats vector.Stats
	err := x.Use(func() (err error) {
		s := x.scratch.Get().(*searcher)
		defer func() {
			stats = s.release()
			x.scratch.Put(s)
		}()
		if s.reader, err = x.disk.Reader(); err != nil {
			return err
		}
		return fn(s)
	})
	return stats, err
}

// Fetch reads the vectors of rows, as stored, into dst, one behind the other.
func (x *Index) Fetch(ctx context.Context, ids []uint32, dst []byte) error {
	size := x.img.geom.vector
	if len(dst) < len(ids)*size {
		return fmt.Errorf("%d bytes are too few for %d vectors of %d bytes", len(dst), len(ids), size)
	}
	for _, id := range ids {
		if int(id) >= x.Len() {
			return fmt.Errorf("row %d of %d does not exist", id, x.Len())
		}
	}
	_, err := x.with(func(s *searcher) error {
		return s.readAll(ctx, ids, func(i int, n node) { copy(dst[i*size:(i+1)*size], n.vector) })
	})
	return err
}
