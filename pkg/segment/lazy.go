package segment

import (
	"context"
	"sync"
	"time"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/schema"
)

// loadTimeout bounds the reading of one column at its first use, which has no request's context.
const loadTimeout = time.Minute

// lazyColumn is a column of a sealed segment that is read at its first use. Columns of text are kept compressed until
// somebody needs all rows.
type lazyColumn struct {
	seg  *Sealed
	meta *columnMeta
	mu   sync.Mutex     // guards what follows; held while reading
	full *schema.Column // every row, decoded
	text *text          // compressed; nil once full is there
}

// all returns the column with all rows.
func (l *lazyColumn) all() (*schema.Column, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return l.full, nil
	}
	if l.text != nil {
		c := &schema.Column{Field: l.meta.Field, Type: l.meta.Type, Elem: l.meta.Elem, N: l.seg.Rows(), Valid: l.text.valid}
		if err := l.text.fill(c); err != nil {
			return nil, err
		}
		l.seg.bytes.Add(columnBytes(c) - l.text.bytes())
		l.full, l.text = c, nil
		return c, nil
	}
	ctx, cancel := context.WithTimeout(l.seg.ctx, loadTimeout)
	defer cancel()
	c, err := l.seg.file.decodeColumn(ctx, l.meta, l.seg.zstd)
	if err != nil {
		return nil, err
	}
	l.seg.bytes.Add(columnBytes(c))
	l.full = c
	return c, nil
}

// some returns the given rows. When these are more than limit, a column of text is decoded as a whole and kept.
func (l *lazyColumn) some(rows []uint32, limit int) (*schema.Column, error) {
	if !isText(l.meta.Type) || len(rows) > limit {
		c, err := l.all()
		if err != nil {
			return nil, err
		}
		return gather(c, rows), nil
	}
	l.mu.Lock()
	full, t := l.full, l.text
	if full == nil && t == nil {
		ctx, cancel := context.WithTimeout(l.seg.ctx, loadTimeout)
		defer cancel()
		var err error
		if t, err = l.seg.file.openText(ctx, l.meta, l.seg.zstd); err != nil {
			l.mu.Unlock()
			return nil, err
		}
		l.text = t
		l.seg.bytes.Add(t.bytes())
	}
	l.mu.Unlock()
	if full != nil {
		return gather(full, rows), nil
	}
	return t.gather(rows)
}

// gather returns rows of a column, in the given order, as a new one.
func gather[R int | uint32](c *schema.Column, rows []R) *schema.Column {
	out := &schema.Column{Field: c.Field, Type: c.Type, Elem: c.Elem, Dim: c.Dim}
	reserve(out, len(rows))
	for _, r := range rows {
		out.AppendFrom(c, int(r))
	}
	return out
}

// reserve makes room for n rows in an empty column.
func reserve(c *schema.Column, n int) {
	switch {
	case c.Type == schema.Bool:
		c.Bools = make([]bool, 0, n)
	case c.Type.IsInt():
		c.Ints = make([]int64, 0, n)
	case c.Type == schema.Float:
		c.Floats = make([]float32, 0, n)
	case c.Type == schema.Double:
		c.Doubles = make([]float64, 0, n)
	case c.Type == schema.VarChar:
		c.Strings = make([]string, 0, n)
	case c.Type == schema.JSON:
		c.Bytes = make([][]byte, 0, n)
	case c.Type == schema.Array:
		c.Arrays = make([]schema.Column, 0, n)
	case c.Type == schema.FloatVector:
		c.Vectors = make([]float32, 0, n*c.Dim)
	case c.Type.IsPacked():
		c.Packed = make([]byte, 0, n*c.Type.RowBytes(c.Dim))
	}
}

// columnBytes is roughly the memory that a column holds.
func columnBytes(c *schema.Column) int64 {
	n := int64(len(c.Valid) + len(c.Bools) + 8*len(c.Ints) + 4*len(c.Floats) + 8*len(c.Doubles) + 4*len(c.Vectors) + len(c.Packed))
	for _, s := range c.Strings {
		n += int64(len(s)) + 16
	}
	for _, b := range c.Bytes {
		n += int64(len(b)) + 24
	}
	for i := range c.Arrays {
		n += int64(unsafe.Sizeof(c.Arrays[i])) + columnBytes(&c.Arrays[i])
	}
	return n
}
