package vector

import (
	"context"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Matrix is Rows over one row-major block of single-precision numbers.
type Matrix struct {
	Data []float32
	D    int
}

// Len returns the number of rows.
func (m Matrix) Len() int { return len(m.Data) / m.D }

// Dim returns the dimension.
func (m Matrix) Dim() int { return m.D }

// Elem returns kernel.F32.
func (m Matrix) Elem() Elem { return kernel.F32 }

// Vector returns row i.
func (m Matrix) Vector(i int) []float32 { return m.Data[i*m.D : (i+1)*m.D : (i+1)*m.D] }

// Row returns row i as bytes.
func (m Matrix) Row(i int) []byte { return kernel.Bytes(m.Vector(i)) }

// Block returns the rows from i on.
func (m Matrix) Block(i int) []byte { return kernel.Bytes(m.Data[i*m.D:]) }

// Packed is Rows over one row-major block of any kind of component.
type Packed struct {
	Data []byte
	D    int
	E    Elem
}

// Len returns the number of rows.
func (p Packed) Len() int { return len(p.Data) / p.E.RowBytes(p.D) }

// Dim returns the number of components per row.
func (p Packed) Dim() int { return p.D }

// Elem returns the kind of component.
func (p Packed) Elem() Elem { return p.E }

// Row returns row i.
func (p Packed) Row(i int) []byte {
	size := p.E.RowBytes(p.D)
	return p.Data[i*size : (i+1)*size : (i+1)*size]
}

// Block returns the rows from i on.
func (p Packed) Block(i int) []byte { return p.Data[i*p.E.RowBytes(p.D):] }

// Chunks is Rows over several row-major blocks of any number of rows each.
type Chunks struct {
	elem   Elem
	dim    int
	size   int // bytes per row
	chunks [][]byte
	starts []int // first row of each chunk, and the number of rows at the end
}

// NewChunks returns Rows over chunks of whole rows. Only the first limit rows count; a negative limit means all.
func NewChunks(elem Elem, dim int, chunks [][]byte, limit int) *Chunks {
	c := &Chunks{elem: elem, dim: dim, size: elem.RowBytes(dim), starts: make([]int, 1, len(chunks)+1)}
	n := 0
	for _, chunk := range chunks {
		rows := len(chunk) / c.size
		if limit >= 0 {
			rows = min(rows, limit-n)
		}
		if rows <= 0 {
			continue
		}
		n += rows
		c.chunks = append(c.chunks, chunk[:rows*c.size])
		c.starts = append(c.starts, n)
	}
	return c
}

// Len returns the number of rows.
func (c *Chunks) Len() int { return c.starts[len(c.starts)-1] }

// Dim returns the number of components per row.
func (c *Chunks) Dim() int { return c.dim }

// Elem returns the kind of component.
func (c *Chunks) Elem() Elem { return c.elem }

// Row returns row i.
func (c *Chunks) Row(i int) []byte { return c.Block(i)[:c.size:c.size] }

// Block returns row i and the rest of its chunk.
func (c *Chunks) Block(i int) []byte {
	lo, hi := 0, len(c.chunks)
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if c.starts[mid] <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	return c.chunks[lo][(i-c.starts[lo])*c.size:]
}

// Gatherer brings raw vectors together to be scored, whether they lie in memory or not. It is one worker's scratch.
type Gatherer struct {
	rows  Rows
	fetch Fetcher // nil when the rows lie in memory
	size  int
	buf   []byte
	out   [][]byte
}

// NewGatherer returns a Gatherer over rows.
func NewGatherer(rows Rows) Gatherer {
	g := Gatherer{rows: rows, size: rows.Elem().RowBytes(rows.Dim())}
	g.fetch, _ = rows.(Fetcher)
	return g
}

// Over returns a Gatherer over other rows (nil: none) that has the memory of g.
func (g *Gatherer) Over(rows Rows) Gatherer {
	n := Gatherer{buf: g.buf, out: g.out}
	if rows != nil {
		n.rows, n.size = rows, rows.Elem().RowBytes(rows.Dim())
		n.fetch, _ = rows.(Fetcher)
	}
	return n
}

// Get returns the rows of ids, valid until the next call.
func (g *Gatherer) Get(ctx context.Context, ids []uint32) ([][]byte, error) {
	g.out = g.out[:0]
	if g.fetch == nil {
		for _, id := range ids {
			g.out = append(g.out, g.rows.Row(int(id)))
		}
		return g.out, nil
	}
	if need := len(ids) * g.size; cap(g.buf) < need {
		g.buf = make([]byte, need)
	}
	buf := g.buf[:len(ids)*g.size]
	if err := g.fetch.Fetch(ctx, ids, buf); err != nil {
		return nil, err
	}
	for i := range ids {
		g.out = append(g.out, buf[i*g.size:(i+1)*g.size])
	}
	return g.out, nil
}

// Reset forgets the rows of the last call.
func (g *Gatherer) Reset() { clear(g.out[:cap(g.out)]) }
