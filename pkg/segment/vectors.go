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

// loadVectors reads all vectors of a field from the Parquet file by offset into v, and closes v when that fails. Pages are
// checked, never decoded.
func loadVectors(ctx context.Context, store objstore.Store, name string, f *vectorField, v rawRows) error {
	pages, l := f.pages, pageLoader{store: store, name: name, field: f, rows: v.Len(), to: v}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(vectorReaders)
	for lo := 0; lo < len(pages); {
		hi := lo + 1
		for hi < len(pages) && adjoin(&pages[lo], &pages[hi-1], &pages[hi], f.size) {
			hi++
		}
		from, to := lo, hi
		g.Go(func() error { return l.load(gctx, pages, from, to) })
		lo = hi
	}
	if err := g.Wait(); err != nil {
		return errors.Join(err, v.close())
	}
	return nil
}

// adjoin reports whether next is worth reading together with the pages from first to last.
func adjoin(first, last, next *vectorPage, size int) bool {
	gap := int64(next.Offset) - last.end(size)
	return gap >= 0 && gap <= maxGap && next.end(size)-int64(first.Offset) <= vectorRead
}

// end is where the page's vectors of size bytes end.
func (p *vectorPage) end(size int) int64 { return int64(p.Offset) + int64(p.Values)*int64(size) }

// pageLoader brings pages of vectors from the bucket.
type pageLoader struct {
	store objstore.Store
	name  string
	field *vectorField
	rows  int // of the segment
	to    interface {
		put(at int, raw []byte) error
	}
}

// load reads pages lo to hi with one request.
func (l *pageLoader) load(ctx context.Context, pages []vectorPage, lo, hi int) error {
	size, start := l.field.size, int64(pages[lo].Offset)
	buf := make([]byte, pages[hi-1].end(size)-start)
	_, err := l.store.ReadAt(ctx, l.name, buf, start)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return corrupt(l.name, "file ends before %d", start+int64(len(buf)))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", l.name, err)
	}
	for i := lo; i < hi; i++ {
		p := &pages[i]
		raw := buf[int64(p.Offset)-start : p.end(size)-start]
		if got := checksum(raw); got != p.CRC {
			return corrupt(l.name, "vectors at %d: checksum %08x, computed %08x", p.Offset, p.CRC, got)
		}
		if err := l.place(raw, int(p.FirstRow), int(pageEnd(pages, i, l.rows))); err != nil {
			return err
		}
	}
	return nil
}

// place stores the vectors of rows lo to hi, of which those that have none take no bytes in raw.
func (l *pageLoader) place(raw []byte, lo, hi int) error {
	size, valid := l.field.size, l.field.valid
	if valid != nil {
		all := make([]byte, (hi-lo)*size)
		for r := lo; r < hi; r++ {
			if valid[r] {
				copy(all[(r-lo)*size:], raw[:size])
				raw = raw[size:]
			}
		}
		raw = all
	}
	return l.to.put(lo, raw)
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
		l := pageLoader{store: p.store, name: p.name, field: p.field, rows: p.rows, to: offset{&p.page, first}}
		if err := l.load(ctx, pages, i, i+1); err != nil {
			return nil, err
		}
		p.at = i + 1
	}
	return p.page.Row(int(row) - first), nil
}

// offset puts rows into vectors that begin with another row than 0.
type offset struct {
	to    *vectors
	first int
}

func (o offset) put(at int, raw []byte) error { return o.to.put(at-o.first, raw) }

func (v *vectors) put(at int, raw []byte) error {
	copy(v.mem[at*v.size:], raw)
	return nil
}

func (v *vectors) read(_ context.Context, rows []uint32, dst []byte) error {
	for i, r := range rows {
		copy(dst[i*v.size:], v.Row(int(r)))
	}
	return nil
}
