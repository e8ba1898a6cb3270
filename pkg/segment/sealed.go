package segment

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

// SealedConfig says which files to open and how.
type SealedConfig struct {
	ID        int64
	Partition int64
	// Dir is the key prefix of the segment's files, without a slash at its end.
	Dir string
	// Schema is the collection's current one. It may have fields that the files were written without.
	Schema *schema.Schema
	// NoVectors leaves vectors in the bucket: Search and Vectors are refused, Fetch reads the pages that it needs. For
	// compaction and for tools.
	NoVectors bool
	// Cache takes the vectors of the fields that Cold names; they are searched from disk. Nil keeps all in memory.
	Cache *diskcache.Cache
	Cold  func(field int64) bool
	// BitmapBytes bounds the cache of filter bitmaps; 0 means 4 MiB.
	BitmapBytes int64
}

const defaultBitmapBytes = 4 << 20

// Sealed is an immutable segment, opened for reading. It starts with one reference, the opener's.
type Sealed struct {
	cfg   SealedConfig
	ctx   context.Context // of OpenSealed, without its end: for columns that are read later
	store objstore.Store
	file  *columnsFile
	zstd  *zstd.Decoder

	schema  atomic.Pointer[schema.Schema]
	keys    keyIndex
	ts      []uint64
	deaths  *deaths
	view    visibleCache
	bitmaps *bitmapCache
	refs    atomic.Int64
	bytes   atomic.Int64

	columns map[int64]*lazyColumn  // every field of the files but vectors
	vectors map[int64]*vectorField // every vector field of the files
	paths   map[string]*lazyPath   // by pathKey
	scalars map[int64]*lazyIndex   // by field
	sample  sampled

	mu      sync.RWMutex              // guards what follows
	added   map[int64]*schema.Column  // fields that the files do not have
	indexes map[indexKey]*indexHandle // by field, and flat ones by field and metric
}

// vectorField is a vector column.
type vectorField struct {
	shape
	vectors rawRows // nil with NoVectors
	valid   []bool  // nil: every row has a vector
	pages   []vectorPage
}

// OpenSealed opens a segment's files. Keys, timestamps and vectors are read now, other columns at first use.
func OpenSealed(ctx context.Context, store objstore.Store, cfg SealedConfig) (*Sealed, error) {
	if cfg.BitmapBytes == 0 {
		cfg.BitmapBytes = defaultBitmapBytes
	}
	s := &Sealed{
		cfg: cfg, ctx: context.WithoutCancel(ctx), store: store,
		columns: map[int64]*lazyColumn{}, vectors: map[int64]*vectorField{}, paths: map[string]*lazyPath{}, scalars: map[int64]*lazyIndex{},
		added: map[int64]*schema.Column{}, indexes: map[indexKey]*indexHandle{},
		bitmaps: newBitmapCache(cfg.BitmapBytes),
	}
	s.schema.Store(cfg.Schema)
	s.refs.Store(1)
	if err := s.open(ctx); err != nil {
		s.Release()
		return nil, fmt.Errorf("open segment %d: %w", cfg.ID, err)
	}
	return s, nil
}

func (s *Sealed) parquetName() string { return s.cfg.Dir + "/" + ParquetName }

// ID is the segment's number.
func (s *Sealed) ID() int64 { return s.cfg.ID }

// Partition is the partition whose rows these are.
func (s *Sealed) Partition() int64 { return s.cfg.Partition }

// Rows is the number of rows, dead or alive.
func (s *Sealed) Rows() int { return s.file.rows }

// Bounds returns the least and greatest timestamp of the rows.
func (s *Sealed) Bounds() (minTS, maxTS uint64) { return s.file.minTS, s.file.maxTS }

// DeadRows counts the rows that some delete up to readTS concerns.
func (s *Sealed) DeadRows(readTS uint64) int {
	if s.deaths.first.Load() > readTS {
		return 0
	}
	n := 0
	for i := range s.ts {
		if d := s.deaths.at(i); d != 0 && d <= readTS {
			n++
		}
	}
	return n
}

// Bytes is the memory held: keys, timestamps, vectors, decoded columns, deletes, bitmaps and indexes.
func (s *Sealed) Bytes() int64 {
	n := s.bytes.Load() + s.deaths.bytes() + s.bitmaps.bytes()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.indexes {
		n += h.idx.Bytes()
	}
	return n
}

// SetSchema tells the segment of a newer schema. Fields only come, with a default or nullable.
func (s *Sealed) SetSchema(sc *schema.Schema) { s.schema.Store(sc) }

// Retain takes a reference and reports whether there was one left.
func (s *Sealed) Retain() bool {
	for {
		n := s.refs.Load()
		if n <= 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives a reference back; the last one frees the memory.
func (s *Sealed) Release() {
	if s.refs.Add(-1) != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, h := range s.indexes {
		delete(s.indexes, key)
		h.release()
	}
	for _, v := range s.vectors {
		if v.vectors != nil {
			_ = v.vectors.close() // unmapping our own mapping does not fail, and what the disk cache could not remove the next process does
		}
	}
	if s.zstd != nil {
		s.zstd.Close()
	}
}

// ApplyDeletes implements Segment.
func (s *Sealed) ApplyDeletes(d Deletes, behind uint64) int {
	s.deaths.mu.Lock()
	defer s.deaths.mu.Unlock()
	killed := 0
	for i := range d.Len() {
		if d.TS[i] <= s.file.minTS || !d.applies(i, behind, s.cfg.Partition) {
			continue
		}
		lo, hi := s.keys.rows(d.Keys, i)
		for r := lo; r < hi; r++ {
			if d.concerns(i, s.ts[r]) && s.deaths.kill(r, d.TS[i]) {
				killed++
			}
		}
	}
	return killed
}

// Column implements plan.Source. A vector column shares the segment's memory and is valid as long as it is retained.
func (s *Sealed) Column(field int64) (*schema.Column, error) {
	if l := s.columns[field]; l != nil {
		return l.all()
	}
	if v := s.vectors[field]; v != nil {
		if v.vectors == nil {
			return nil, errs.New(errs.FieldNotFound, "segment %d is open without vectors", s.cfg.ID)
		}
		return s.wholeVectors(v, field)
	}
	if field == schema.TimestampField {
		return stampColumn(s.ts), nil
	}
	return s.addedColumn(field)
}

// wholeVectors returns all rows of a vector field, without copying where they lie in memory.
func (s *Sealed) wholeVectors(v *vectorField, field int64) (*schema.Column, error) {
	if hot, ok := v.vectors.(*vectors); ok {
		return v.column(field, v.valid, hot.mem), nil
	}
	rows := make([]uint32, s.Rows())
	for i := range rows {
		rows[i] = uint32(i)
	}
	return s.fetchVectors(v, field, rows)
}

// addedColumn makes a field that the files do not have, and keeps it.
func (s *Sealed) addedColumn(field int64) (*schema.Column, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.added[field]; c != nil {
		return c, nil
	}
	f := s.schema.Load().FieldByID(field)
	if f == nil {
		return nil, errs.New(errs.FieldNotFound, "segment %d has no field %d", s.cfg.ID, field)
	}
	c := missing(f, s.Rows())
	s.added[field] = c
	s.bytes.Add(columnBytes(c))
	return c, nil
}

func stampColumn(ts []uint64) *schema.Column {
	c := &schema.Column{Field: schema.TimestampField, Type: schema.Int64, N: len(ts), Ints: make([]int64, len(ts))}
	for i, v := range ts {
		c.Ints[i] = int64(v)
	}
	return c
}

// Vectors returns the raw vectors of a field, to build or open an index over; valid as long as the segment is retained.
func (s *Sealed) Vectors(field int64) (index.Rows, error) {
	if v := s.vectors[field]; v != nil && v.vectors != nil {
		return v.vectors, nil
	}
	return nil, errs.New(errs.FieldNotFound, "segment %d has no vectors of field %d", s.cfg.ID, field)
}

// Keys implements Segment.
func (s *Sealed) Keys(rows []uint32) schema.Keys { return gatherKeys(s.keys.keys, rows) }

// Timestamps implements Segment.
func (s *Sealed) Timestamps(rows []uint32) []uint64 {
	out := make([]uint64, len(rows))
	for i, r := range rows {
		out[i] = s.ts[r]
	}
	return out
}

// Fetch implements Segment.
func (s *Sealed) Fetch(rows []uint32, fields []int64) (*schema.Batch, error) {
	if !s.Retain() {
		return nil, errClosed(s.cfg.ID)
	}
	defer s.Release()
	for _, r := range rows {
		if int(r) >= s.Rows() {
			return nil, fmt.Errorf("segment %d has no row %d", s.cfg.ID, r)
		}
	}
	b := &schema.Batch{N: len(rows)}
	for _, id := range fields {
		c, err := s.fetchColumn(rows, id)
		if err != nil {
			return nil, err
		}
		b.Columns = append(b.Columns, c)
	}
	return b, nil
}

func (s *Sealed) fetchColumn(rows []uint32, field int64) (*schema.Column, error) {
	if l := s.columns[field]; l != nil {
		return l.some(rows, s.Rows()/8)
	}
	if v := s.vectors[field]; v != nil {
		return s.fetchVectors(v, field, rows)
	}
	if field == schema.TimestampField {
		return stampColumn(s.Timestamps(rows)), nil
	}
	f := s.schema.Load().FieldByID(field)
	if f == nil {
		return nil, errs.New(errs.FieldNotFound, "segment %d has no field %d", s.cfg.ID, field)
	}
	return missing(f, len(rows)), nil
}

// fetchVectors returns rows of a vector field, from memory or from the bucket.
func (s *Sealed) fetchVectors(v *vectorField, field int64, rows []uint32) (*schema.Column, error) {
	ctx, cancel := context.WithTimeout(s.ctx, loadTimeout)
	defer cancel()
	c := v.column(field, nil, make([]byte, len(rows)*v.size))
	data := c.VectorBytes()
	if v.vectors != nil {
		if v.valid != nil {
			c.Valid = make([]bool, len(rows))
			for i, r := range rows {
				c.Valid[i] = v.valid[r]
			}
		}
		return c, v.vectors.read(ctx, rows, data)
	}
	p := pageReader{store: s.store, name: s.parquetName(), field: v, rows: s.Rows()}
	for i, r := range rows {
		vec, err := p.vector(ctx, r)
		if err != nil {
			return nil, err
		}
		copy(data[i*v.size:], vec)
		if v.valid != nil {
			c.Valid = append(c.Valid, v.valid[r])
		}
	}
	return c, nil
}

// everything reports whether every row is visible.
func (s *Sealed) everything(readTS, expireBelow uint64) bool {
	return readTS >= s.file.maxTS && expireBelow <= s.file.minTS && s.deaths.first.Load() > min(readTS, math.MaxUint64-1)
}
