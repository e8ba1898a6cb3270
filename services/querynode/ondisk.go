package querynode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/index"
)

// copyStep is how much of an index file is in memory on its way to the disk cache.
const copyStep = 8 << 20

// openIndex opens an index file: in memory, or over a copy in the disk cache for types that are searched from disk.
func (n *Node) openIndex(ctx context.Context, spec index.Spec, f catalog.SegmentIndex, raw index.Rows) (index.Index, error) {
	from := objectReader{ctx, n.deps.Objects, f.Path}
	if !index.BringsRows(spec) {
		return index.Open(spec, from, f.Bytes, raw)
	}
	cache, err := n.diskCache()
	if err != nil {
		return nil, err
	}
	file, err := cache.Create(f.Bytes)
	if err != nil {
		return nil, err
	}
	to := io.NewOffsetWriter(file, 0)
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, io.NewSectionReader(from, 0, f.Bytes), make([]byte, min(copyStep, f.Bytes+1))); err != nil {
		return nil, errors.Join(fmt.Errorf("copy to the disk cache: %w", err), file.Close())
	}
	idx, err := index.OpenFile(spec, file.Path(), raw)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &cachedIndex{Index: idx, file: file}, nil
}

// cachedIndex is an index over a file of the disk cache, which goes with it.
type cachedIndex struct {
	index.Index
	file *diskcache.File
}

// Close implements index.Index.
func (c *cachedIndex) Close() error { return errors.Join(c.Index.Close(), c.file.Close()) }
