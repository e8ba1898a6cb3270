package segment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// vectors are a segment's raw vectors of one field, outside the Go heap so that the garbage collector neither counts
// nor scans them. Rows without a vector hold zeros. It is an index.Rows.
type vectors struct {
	shape
	mem []byte // the mapping; nil when there are no rows
	n   int
}

// shape is what the vectors of a field have in common.
type shape struct {
	typ  schema.Type
	elem vector.Elem
	dim  int
	size int // bytes per row
}

// shapeOf returns the shape of a column of dense vectors.
func shapeOf(t schema.Type, dim int) (shape, error) {
	elem, ok := index.ElemOf(t)
	if !ok || dim <= 0 {
		return shape{}, fmt.Errorf("vectors of type %s and dimension %d cannot be read", t, dim)
	}
	return shape{typ: t, elem: elem, dim: dim, size: elem.RowBytes(dim)}, nil
}

// column is a column of rows that lie in data.
func (s shape) column(field int64, valid []bool, data []byte) *schema.Column {
	c := &schema.Column{Field: field, Type: s.typ, Dim: s.dim, N: len(data) / s.size, Valid: valid}
	if s.typ == schema.FloatVector {
		c.Vectors = kernel.Floats(data)
	} else {
		c.Packed = data
	}
	return c
}

const hugePage = 2 << 20

func allocVectors(n int, s shape) (*vectors, error) {
	v := &vectors{n: n, shape: s}
	size := n * s.size
	if size == 0 {
		return v, nil
	}
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for vectors: %w", size, err)
	}
	if size >= hugePage {
		adviseHuge(mem)
	}
	v.mem = mem
	return v, nil
}

// Len returns the number of rows.
func (v *vectors) Len() int { return v.n }

// Dim returns the number of components per vector.
func (v *vectors) Dim() int { return v.dim }

// Elem returns how components are stored.
func (v *vectors) Elem() vector.Elem { return v.elem }

// Row returns row i as stored; valid as long as the segment is retained.
func (v *vectors) Row(i int) []byte { return v.mem[i*v.size : (i+1)*v.size : (i+1)*v.size] }

// Block returns the rows from i on.
func (v *vectors) Block(i int) []byte { return v.mem[i*v.size:] }

func (v *vectors) bytes() int64 { return int64(len(v.mem)) }

func (v *vectors) close() error {
	if v.mem == nil {
		return nil
	}
	mem := v.mem
	v.mem = nil
	return unix.Munmap(mem)
}

func parseVectorPages(name string, raw []byte, rows int, valid []bool) ([]vectorPage, error) {
	if len(raw)%vectorPageSize != 0 {
		return nil, corrupt(name, "vector pages of %d bytes", len(raw))
	}
	le := binary.LittleEndian
	var out []vectorPage
	next := int64(0)
	for ; len(raw) > 0; raw = raw[vectorPageSize:] {
		p := vectorPage{FirstRow: le.Uint32(raw), Values: le.Uint32(raw[4:]), Offset: le.Uint64(raw[8:]), CRC: le.Uint32(raw[16:])}
		if int64(p.FirstRow) < next || int64(p.FirstRow) >= int64(rows) || p.Offset > 1<<50 || (next == 0) != (p.FirstRow == 0 && len(out) == 0) {
			return nil, corrupt(name, "vector pages do not follow each other")
		}
		next = int64(p.FirstRow) + 1
		out = append(out, p)
	}
	if (len(out) == 0) != (rows == 0) {
		return nil, corrupt(name, "no vector pages")
	}
	for i, p := range out {
		if int(p.Values) != countValid(valid, int64(p.FirstRow), pageEnd(out, i, rows)) {
			return nil, corrupt(name, "vector page %d has %d values", i, p.Values)
		}
	}
	return out, nil
}

func pageEnd(pages []vectorPage, i, rows int) int64 {
	if i+1 < len(pages) {
		return int64(pages[i+1].FirstRow)
	}
	return int64(rows)
}

const (
	vectorRead    = 8 << 20  // bytes asked for at once
	vectorReaders = 4        // requests in flight
	maxGap        = 64 << 10 // bytes between pages that are read rather than skipped
)

// loadVectors reads all vectors of a field from the Parquet file by offset. Pages are checked, never decoded.
func loadVectors(ctx context.Context, store objstore.Store, name string, f *vectorField, rows int) (*vectors, error) {
	pages, valid := f.pages, f.valid
	v, err := allocVectors(rows, f.shape)
	if err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(vectorReaders)
	for lo := 0; lo < len(pages); {
		hi := lo + 1
		for hi < len(pages) && adjoin(&pages[lo], &pages[hi-1], &pages[hi], v.size) {
			hi++
		}
		from, to := lo, hi
		g.Go(func() error { return v.load(gctx, store, name, pages, from, to, valid) })
		lo = hi
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// adjoin reports whether next is worth reading together with the pages from first to last.
func adjoin(first, last, next *vectorPage, size int) bool {
	gap := int64(next.Offset) - last.end(size)
	return gap >= 0 && gap <= maxGap && next.end(size)-int64(first.Offset) <= vectorRead
}

// end is where the page's vectors of size bytes end.
func (p *vectorPage) end(size int) int64 { return int64(p.Offset) + int64(p.Values)*int64(size) }

// load reads pages lo to hi with one request.
func (v *vectors) load(ctx context.Context, store objstore.Store, name string, pages []vectorPage, lo, hi int, valid []bool) error {
	start := int64(pages[lo].Offset)
	buf := make([]byte, pages[hi-1].end(v.size)-start)
	_, err := store.ReadAt(ctx, name, buf, start)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return corrupt(name, "file ends before %d", start+int64(len(buf)))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for i := lo; i < hi; i++ {
		p := &pages[i]
		raw := buf[int64(p.Offset)-start : p.end(v.size)-start]
		if got := checksum(raw); got != p.CRC {
			return corrupt(name, "vectors at %d: checksum %08x, computed %08x", p.Offset, p.CRC, got)
		}
		v.place(raw, int(p.FirstRow), int(pageEnd(pages, i, v.n)), valid)
	}
	return nil
}

// pageReader reads single vectors from the bucket, page by page; it keeps the last page.
type pageReader struct {
	store objstore.Store
	name  string
	field *vectorField
	rows  int
	at    int // index+1 of the page held in page
	page  vectors
}

func (p *pageReader) vector(ctx context.Context, row uint32) ([]byte, error) {
	pages := p.field.pages
	i := sort.Search(len(pages), func(i int) bool { return pages[i].FirstRow > row }) - 1
	first := int(pages[i].FirstRow)
	if p.at != i+1 {
		end := int(pageEnd(pages, i, p.rows))
		p.page = vectors{n: end - first, shape: p.field.shape, mem: make([]byte, (end-first)*p.field.size)}
		one := pages[i]
		one.FirstRow = 0
		var valid []bool
		if p.field.valid != nil {
			valid = p.field.valid[first:end]
		}
		if err := p.page.load(ctx, p.store, p.name, []vectorPage{one}, 0, 1, valid); err != nil {
			return nil, err
		}
		p.at = i + 1
	}
	return p.page.Row(int(row) - first), nil
}

func (v *vectors) place(raw []byte, lo, hi int, valid []bool) {
	size := v.size
	if valid == nil {
		copy(v.mem[lo*size:hi*size], raw)
		return
	}
	for r := lo; r < hi; r++ {
		if valid[r] {
			copy(v.mem[r*size:], raw[:size])
			raw = raw[size:]
		}
	}
}
