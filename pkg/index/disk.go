package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/diskann"
	"github.com/gyr-db/gyr/pkg/vector/flat"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// TypeDiskANN is a graph whose vectors and links stay on disk.
const TypeDiskANN = "DISKANN"

// Parameter names of DISKANN.
const (
	ParamMaxDegree      = "max_degree"
	ParamSearchListSize = "search_list_size"
	ParamSearchList     = "search_list"
	ParamBeamWidth      = "beamwidth"
)

const (
	defaultMaxDegree      = 48
	defaultSearchListSize = 128
	maxBeamWidth          = 128
)

// BringsRows reports whether the file of an index of this specification holds the raw vectors, and is searched where it
// lies: OpenFile is then the way to open it, and takes no rows.
func BringsRows(spec Spec) bool {
	p, err := parse(spec)
	return err == nil && p.kind == TypeDiskANN
}

// OpenFile is Open for a file that lies on this machine, which must stay as it is until the index is closed; it may be
// unlinked meanwhile.
func OpenFile(spec Spec, path string, raw Rows) (Index, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if p.kind == TypeDiskANN {
		return openDisk(p, path, raw)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a vector index: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening a vector index: %w", err)
	}
	return Open(spec, f, info.Size(), raw)
}

// openCopy opens a DISKANN index over a copy of its file. The copy has no name any more when the index is open, so nothing
// is left behind whatever becomes of this process.
func openCopy(p plain, src source, raw Rows) (Index, error) {
	f, err := os.CreateTemp("", "gyr-diskann-*")
	if err != nil {
		return nil, fmt.Errorf("making room for a DISKANN index: %w", err)
	}
	_, err = io.Copy(f, io.NewSectionReader(src, 0, src.size))
	if err != nil {
		err = fmt.Errorf("copying a DISKANN index to %s: %w", f.Name(), err)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	x, err := openDisk(p, f.Name(), raw)
	if rerr := os.Remove(f.Name()); rerr != nil && err == nil {
		return nil, errors.Join(fmt.Errorf("unlinking a DISKANN index: %w", rerr), x.Close())
	}
	return x, err
}

// diskParams are the parameters of DISKANN.
type diskParams struct {
	degree, list int // max_degree and search_list_size
}

// onDisk reads them.
func (p *plain) onDisk(params map[string]string) (err error) {
	p.kind = TypeDiskANN
	if p.disk.degree, err = intParam(params, ParamMaxDegree, defaultMaxDegree, diskann.MinDegree, diskann.MaxDegree); err != nil {
		return err
	}
	p.disk.list, err = intParam(params, ParamSearchListSize, defaultSearchListSize, 1, math.MaxInt32)
	return err
}

// diskEffort reads the search parameters of DISKANN. How many reads a search has under way is the server's to choose, so
// beamwidth is checked and has no effect.
func diskEffort(params map[string]string, k int) (Effort, error) {
	if _, err := intParam(params, ParamBeamWidth, 1, 1, maxBeamWidth); err != nil {
		return Effort{}, err
	}
	list, err := intParam(params, ParamSearchList, 0, 1, math.MaxInt32)
	if err != nil {
		return Effort{}, err
	}
	return Effort{SearchList: list}, checkList(list, k)
}

func checkList(list, k int) error {
	if list != 0 && list < k {
		return errs.Invalid("search_list_size(%d) should be larger than k(%d)", list, k)
	}
	return nil
}

func defaultList(k int) int { return max(k+k/4, diskann.MinList) }

func diskConfig(p plain, set kernel.Set, workers int) diskann.Config {
	return diskann.Config{Set: set, Metric: p.metric, Degree: p.disk.degree, SearchList: p.disk.list, Workers: workers}
}

// diskIndex is a DISKANN index.
type diskIndex struct {
	x    *diskann.Index
	scan flat.Scanner // over the index's own rows
}

func openDisk(p plain, path string, raw Rows) (Index, error) {
	set, err := kernel.Default()
	if err != nil {
		return nil, err
	}
	x, err := diskann.Open(path, diskann.Options{Set: set})
	if err != nil {
		return nil, openError(err)
	}
	err = fits(p, x)
	switch {
	case err != nil:
	case x.Elem() != p.elem:
		err = errs.New(errs.Corrupt, "opening a vector index: the file is for %s, expected %s", x.Elem(), p.elem)
	case raw != nil && raw.Len() != x.Len():
		err = errs.New(errs.Corrupt, "opening a vector index: the file is for %d rows, expected %d", x.Len(), raw.Len())
	}
	if err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return &diskIndex{x: x, scan: flat.Scanner{Set: set, Metric: p.metric, Rows: x}}, nil
}

func (d *diskIndex) Search(ctx context.Context, queries []byte, k int, effort Effort, f Filter) (Hits, Stats, error) {
	floats, err := decode(d.scan, queries, k)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	if err := checkList(effort.SearchList, k); err != nil {
		return Hits{}, Stats{}, err
	}
	list := effort.SearchList
	if list == 0 {
		list = defaultList(k)
	}
	hits, stats, err := d.x.Search(ctx, floats, diskann.Params{K: k, List: list, Filter: engine(f), TargetRecall: effort.TargetRecall})
	if err != nil {
		return Hits{}, Stats(stats), readError(err)
	}
	return asHits(hits), Stats(stats), nil
}

// Range looks at all codes and reads the vectors of those that may be near enough.
func (d *diskIndex) Range(ctx context.Context, query []byte, radius float32, bound *float32, limit int, _ Effort, f Filter) (Hits, Stats, error) {
	floats, err := decode(d.scan, query, limit)
	if err != nil {
		return Hits{}, Stats{}, err
	}
	if len(floats) != d.x.Dim() {
		return Hits{}, Stats{}, errs.Invalid("a range search takes one query vector")
	}
	hits, stats, err := d.x.Range(ctx, floats, flat.Window{Radius: radius, Bound: bound}, limit, engine(f))
	if err != nil {
		return Hits{}, Stats(stats), readError(err)
	}
	return asHits([][]vector.Hit{hits}), Stats(stats), nil
}

// readError gives damaged blocks their code.
func readError(err error) error {
	if diskann.IsDamaged(err) {
		return errs.New(errs.Corrupt, "searching a vector index: %w", err)
	}
	return err
}

// Bytes is the memory held, not the file.
func (d *diskIndex) Bytes() int64 { return d.x.Bytes() }

func (d *diskIndex) Close() error { return d.x.Close() }

var (
	_ Index = (*diskIndex)(nil)
	_ File  = (*diskann.File)(nil)
)
