package segment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/vector"
)

// rawRows are a segment's raw vectors of one field, in memory or in the disk cache.
type rawRows interface {
	index.Rows
	// put stores rows that follow each other, from row at on.
	put(at int, raw []byte) error
	// read copies rows into dst, one behind the other.
	read(ctx context.Context, rows []uint32, dst []byte) error
	bytes() int64 // of memory
	close() error
}

// cold are raw vectors in the disk cache. They are checked on their way into it, and read by system calls, never through a
// mapping: a page fault would hold up the goroutines of its whole thread. Rows without a vector hold zeros.
type cold struct {
	shape
	n    int
	file *diskcache.File // nil when there are no rows
}

func newCold(cache *diskcache.Cache, n int, s shape) (*cold, error) {
	c := &cold{shape: s, n: n}
	if n*s.size == 0 {
		return c, nil
	}
	var err error
	c.file, err = cache.Create(int64(n) * int64(s.size))
	return c, err
}

// Len returns the number of rows.
func (c *cold) Len() int { return c.n }

// Dim returns the number of components per vector.
func (c *cold) Dim() int { return c.dim }

// Elem returns how components are stored.
func (c *cold) Elem() vector.Elem { return c.elem }

// Row panics: the rows are not in memory. It is there because index.Rows that are a vector.Fetcher may.
func (c *cold) Row(int) []byte { panic("segment: vectors in the disk cache have no address") }

func (c *cold) put(at int, raw []byte) error {
	_, err := c.file.WriteAt(raw, int64(at)*int64(c.size))
	return err
}

const (
	coldReaders = 8  // reads under way at the same time for one Fetch
	coldAlone   = 16 // rows up to which the caller reads by itself: from the page cache that is faster
)

// Fetch implements vector.Fetcher.
func (c *cold) Fetch(ctx context.Context, ids []uint32, dst []byte) error {
	return c.read(ctx, ids, dst)
}

func (c *cold) read(ctx context.Context, rows []uint32, dst []byte) error {
	order := make([]int32, len(rows)) // of rows, ascending, so that neighbours are read together
	for i := range order {
		order[i] = int32(i)
	}
	if !slices.IsSorted(rows) {
		slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(rows[a], rows[b]) })
	}
	readers := min(coldReaders, (len(rows)+coldAlone-1)/coldAlone)
	if readers <= 1 {
		return c.readSome(ctx, rows, order, dst)
	}
	errs := make([]error, readers)
	var wg sync.WaitGroup
	for i := range readers {
		part := order[i*len(order)/readers : (i+1)*len(order)/readers]
		wg.Go(func() { errs[i] = c.readSome(ctx, rows, part, dst) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// readSome reads the rows that order names, runs of them at once where they go to neighbouring places too.
func (c *cold) readSome(ctx context.Context, rows []uint32, order []int32, dst []byte) error {
	for from := 0; from < len(order); {
		if err := ctx.Err(); err != nil {
			return err
		}
		first, to := order[from], from+1
		for to < len(order) && to-from < 64 && order[to] == order[to-1]+1 && rows[order[to]] == rows[order[to-1]]+1 {
			to++
		}
		at, size := int(first)*c.size, (to-from)*c.size
		if _, err := c.file.ReadAt(dst[at:at+size], int64(rows[first])*int64(c.size)); err != nil {
			return fmt.Errorf("vectors in the disk cache: %w", err)
		}
		from = to
	}
	return nil
}

func (c *cold) bytes() int64 { return 0 }

func (c *cold) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
