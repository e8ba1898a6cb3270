package segment

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/schema"
)

// Growing holds one partition's rows of one shard since a seal, in log order.
//
// Rows only come at the end and timestamps ascend, so what a read at T sees is a prefix. A reader takes slices of it
// under the lock, for as long as that takes, and works on them without; a writer holds the lock while it appends one
// batch.
type Growing struct {
	partition int64
	pk        int64
	schema    atomic.Pointer[schema.Schema]
	bytes     atomic.Int64
	refs      atomic.Int64
	killMu    sync.Mutex // one applier of deletes

	mu       sync.RWMutex // guards what follows
	chunks   []*chunk
	rows     int
	position uint64
	lastTS   uint64
	byInt    map[int64]uint32  // key -> newest row
	byString map[string]uint32 // key -> newest row
	prev     []uint32          // row -> 1 + the row before it with the same key, 0: none
}

// NewGrowing returns an empty segment with one reference.
func NewGrowing(partition int64, s *schema.Schema) *Growing {
	g := &Growing{partition: partition, pk: s.PrimaryKey().ID}
	if s.PrimaryKey().Type == schema.VarChar {
		g.byString = map[string]uint32{}
	} else {
		g.byInt = map[int64]uint32{}
	}
	g.schema.Store(s)
	g.refs.Store(1)
	return g
}

// Append adds rows, whose timestamps ascend and are not below those of earlier rows. position is their place in the log.
func (g *Growing) Append(rows Rows, position uint64) error {
	if err := g.check(rows); err != nil {
		return fmt.Errorf("append to partition %d: %w", g.partition, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n := rows.Batch.N
	if n > 0 && rows.TS[0] < g.lastTS {
		return fmt.Errorf("append to partition %d: timestamp %d after %d", g.partition, rows.TS[0], g.lastTS)
	}
	g.indexKeys(schema.KeysOf(rows.Batch.Column(g.pk)))
	s := g.schema.Load()
	for lo := 0; lo < n; {
		if len(g.chunks) == 0 || len(g.chunks[len(g.chunks)-1].ts) == chunkRows {
			g.chunks = append(g.chunks, newChunk())
		}
		c := g.chunks[len(g.chunks)-1]
		hi := min(n, lo+chunkRows-len(c.ts))
		c.add(s, rows, lo, hi, position)
		g.lastTS = rows.TS[hi-1]
		lo = hi
	}
	g.rows += n
	g.position = max(g.position, position)
	g.bytes.Add(batchBytes(rows.Batch) + int64(n)*64)
	return nil
}

func (g *Growing) check(rows Rows) error {
	if rows.Batch == nil || rows.Batch.N != len(rows.TS) {
		return errors.New("rows and timestamps differ in number")
	}
	pk := rows.Batch.Column(g.pk)
	if pk == nil || (pk.Type == schema.VarChar) != (g.byString != nil) {
		return errors.New("rows without primary key")
	}
	for _, c := range rows.Batch.Columns {
		if err := c.Check(); err != nil {
			return err
		}
		if c.N != rows.Batch.N {
			return fmt.Errorf("field %d has %d rows instead of %d", c.Field, c.N, rows.Batch.N)
		}
	}
	for i := 1; i < len(rows.TS); i++ {
		if rows.TS[i] < rows.TS[i-1] {
			return errors.New("timestamps do not ascend")
		}
	}
	return nil
}

func (g *Growing) indexKeys(k schema.Keys) {
	row := uint32(g.rows)
	for _, key := range k.Ints {
		g.prev = append(g.prev, chain(g.byInt, key, row))
		row++
	}
	for _, key := range k.Strings {
		g.prev = append(g.prev, chain(g.byString, key, row))
		row++
	}
}

func chain[K comparable](m map[K]uint32, key K, row uint32) (prev uint32) {
	if old, ok := m[key]; ok {
		prev = old + 1
	}
	m[key] = row
	return prev
}

func batchBytes(b *schema.Batch) int64 {
	n := int64(0)
	for _, c := range b.Columns {
		n += columnBytes(c)
	}
	return n
}

// rowsOf calls fn for the rows with key i, newest first. The caller holds mu.
func (g *Growing) rowsOf(k schema.Keys, i int, fn func(row int)) {
	var row uint32
	var ok bool
	if k.Strings != nil {
		row, ok = g.byString[k.Strings[i]]
	} else {
		row, ok = g.byInt[k.Ints[i]]
	}
	for ok {
		fn(int(row))
		next := g.prev[row]
		row, ok = next-1, next != 0
	}
}

// ApplyDeletes implements Segment. Rows that come later are not concerned: a delete precedes in the log every row with a
// higher timestamp.
func (g *Growing) ApplyDeletes(d Deletes, behind uint64) int {
	g.killMu.Lock()
	defer g.killMu.Unlock()
	g.mu.RLock()
	defer g.mu.RUnlock()
	killed := 0
	for i := range d.Len() {
		if !d.applies(i, behind, g.partition) {
			continue
		}
		g.rowsOf(d.Keys, i, func(row int) {
			c := g.chunks[row/chunkRows]
			if d.concerns(i, c.ts[row%chunkRows]) && c.deaths.kill(row%chunkRows, d.TS[i]) {
				killed++
			}
		})
	}
	return killed
}

// Partition is the partition whose rows these are.
func (g *Growing) Partition() int64 { return g.partition }

// Position is the highest position of a row, 0 when there is none.
func (g *Growing) Position() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.position
}

// Rows is the number of rows so far, dead or alive.
func (g *Growing) Rows() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.rows
}

// Bytes is roughly the memory held.
func (g *Growing) Bytes() int64 { return g.bytes.Load() }

// SetSchema tells the segment of a newer schema. Fields only come, with a default or nullable.
func (g *Growing) SetSchema(s *schema.Schema) { g.schema.Store(s) }

// Retain implements Segment. The memory is the garbage collector's; the count only serves callers that share a segment.
func (g *Growing) Retain() bool {
	for {
		n := g.refs.Load()
		if n <= 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release implements Segment.
func (g *Growing) Release() { g.refs.Add(-1) }

// Column implements plan.Source by copying all chunks' values; reads of the segment itself go chunk by chunk.
func (g *Growing) Column(field int64) (*schema.Column, error) {
	var out *schema.Column
	for _, p := range g.parts(^uint64(0), 0) {
		c, err := p.Column(field)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = &schema.Column{Field: field, Type: c.Type, Elem: c.Elem, Dim: c.Dim}
		}
		appendRange(out, c, 0, c.N)
	}
	if out != nil {
		return out, nil
	}
	return (&part{seg: g, chunk: newChunk()}).Column(field)
}

// Export returns a copy of the rows at positions up to and including position, in log order, for a seal. Fields that
// rows came without are filled up.
func (g *Growing) Export(position uint64) (Rows, error) {
	var out Rows
	s := g.schema.Load()
	out.Batch = &schema.Batch{}
	for i := range s.Fields {
		out.Batch.Columns = append(out.Batch.Columns, schema.NewColumn(&s.Fields[i]))
	}
	for _, p := range g.parts(^uint64(0), 0) {
		g.mu.RLock()
		positions := p.chunk.positions[:p.n]
		g.mu.RUnlock()
		for p.n > 0 && positions[p.n-1] > position {
			p.n--
		}
		for i := range s.Fields {
			c, err := p.Column(s.Fields[i].ID)
			if err != nil {
				return Rows{}, err
			}
			appendRange(out.Batch.Columns[i], c, 0, c.N)
		}
		out.Batch.N += p.n
		out.TS = append(out.TS, p.ts[:p.n]...)
	}
	return out, nil
}
