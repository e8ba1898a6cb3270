package querynode

import (
	"fmt"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
	"github.com/gyr-db/gyr/pkg/wal"
)

// shard is one shard's rows on this node.
//
// Ordering: the tailer is the only writer of growing rows and applies entries in log order. A sealed segment is put
// into sealed before its delta files are read, so that deletes which arrive meanwhile reach it too; then the delta
// files and the kept deletes are applied. Applying a delete twice is harmless, so the overlap is too.
type shard struct {
	id  shardID
	log int

	mu     sync.RWMutex // guards what follows
	schema *schema.Schema
	// gens are the growing rows since the position at which this node joined, cut at each seal, oldest first.
	gens []*generation
	// byOrdinal finds a growing segment by the number that row handles carry.
	byOrdinal   map[uint32]*segment.Growing
	nextOrdinal uint32
	sealed      map[int64]*sealedSegment
	// kept are the deletes since the node joined that may lie behind the newest delta file.
	kept []segment.Deletes
}

// generation is the growing rows of all partitions at positions in (from, to]; to is 0 while the generation is open.
type generation struct {
	from, to mq.Position
	parts    map[int64]growingPart
}

type growingPart struct {
	seg     *segment.Growing
	ordinal uint32
}

// sealedSegment is a sealed segment on its way in or in service.
type sealedSegment struct {
	meta   catalog.Segment
	ready  chan struct{} // closed when seg or err is set
	seg    *segment.Sealed
	err    error
	loaded map[int64]bool // index ids that are loaded or being loaded
	retry  time.Time      // before it, an index that could not be loaded is not tried again
}

func newShard(id shardID, log int, s *schema.Schema, from mq.Position) *shard {
	return &shard{
		id: id, log: log, schema: s, gens: []*generation{{from: from, parts: map[int64]growingPart{}}},
		byOrdinal: map[uint32]*segment.Growing{}, nextOrdinal: 1, sealed: map[int64]*sealedSegment{},
	}
}

// joined is the position from which on this node holds the shard's growing rows.
func (s *shard) joined() mq.Position {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.gens[0].from
}

// change is one accepted entry's records of a shard, decoded.
type change struct {
	rows    []partRows
	deletes segment.Deletes
	seal    bool
}

type partRows struct {
	partition int64
	rows      segment.Rows
	afterSeal bool
}

// decode reads the records before anything is applied: a damaged one leaves the shard as it was.
func decode(pos mq.Position, records []wal.Record) (change, error) {
	var c change
	for i := range records {
		r := &records[i]
		for _, p := range r.Parts {
			batch, err := schema.DecodeBatch(p.Rows)
			if err != nil {
				return c, fmt.Errorf("rows of shard %d/%d at position %d: %w", r.Collection, r.Shard, pos, err)
			}
			ts := make([]uint64, batch.N)
			for j := range ts {
				ts[j] = r.TS
			}
			c.rows = append(c.rows, partRows{p.Partition, segment.Rows{Batch: batch, TS: ts}, c.seal})
		}
		if err := collectDeletes(&c.deletes, pos, r); err != nil {
			return c, err
		}
		c.seal = c.seal || r.Kind == wal.Seal
	}
	return c, nil
}

// apply adds the shard's records of one accepted entry. Deletes come last: what they kill is decided by timestamps.
func (s *shard) apply(pos mq.Position, records []wal.Record) error {
	c, err := decode(pos, records)
	if err != nil {
		return err
	}
	for _, p := range c.rows {
		if p.afterSeal {
			s.seal(pos)
		}
		if err := s.growing(p.partition).Append(p.rows, pos); err != nil {
			return fmt.Errorf("rows of shard %s at position %d: %w", s.id, pos, err)
		}
	}
	if c.seal {
		s.seal(pos)
	}
	if len(c.deletes.TS) > 0 {
		s.applyDeletes(c.deletes)
	}
	return nil
}

// growing returns the open generation's segment of a partition, making it if need be.
func (s *shard) growing(partition int64) *segment.Growing {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gens[len(s.gens)-1]
	part, ok := g.parts[partition]
	if !ok {
		part = growingPart{seg: segment.NewGrowing(partition, s.schema), ordinal: s.nextOrdinal}
		s.nextOrdinal++
		g.parts[partition] = part
		s.byOrdinal[part.ordinal] = part.seg
	}
	return part.seg
}

// seal cuts the growing rows at pos.
func (s *shard) seal(pos mq.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.gens[len(s.gens)-1]
	if last.from == pos {
		return
	}
	last.to = pos
	s.gens = append(s.gens, &generation{from: pos, parts: map[int64]growingPart{}})
}

// applyDeletes applies deletes to everything here and keeps them for segments that come later. A delete applies to
// the rows of its own entry too: what it kills is decided by timestamps alone.
func (s *shard) applyDeletes(d segment.Deletes) {
	s.mu.Lock()
	s.kept = append(s.kept, d)
	targets := make([]segment.Segment, 0, len(s.byOrdinal)+len(s.sealed))
	for _, g := range s.byOrdinal {
		targets = append(targets, g)
	}
	for _, e := range s.sealed {
		if e.seg != nil && e.seg.Retain() {
			targets = append(targets, e.seg)
			defer e.seg.Release()
		}
	}
	s.mu.Unlock()
	for _, t := range targets {
		t.ApplyDeletes(d, 0)
	}
}

func collectDeletes(d *segment.Deletes, pos mq.Position, r *wal.Record) error {
	if r.Kind != wal.Delete && r.Kind != wal.Upsert {
		return nil
	}
	keys, err := schema.DecodeKeys(r.Keys)
	if err != nil {
		return fmt.Errorf("keys of a delete at position %d: %w", pos, err)
	}
	readTS := r.ReadTS
	if r.Kind == wal.Upsert {
		readTS = 0 // an upsert's read timestamp guards against conflicts; it replaces every older version
	}
	d.Keys.Ints = append(d.Keys.Ints, keys.Ints...)
	d.Keys.Strings = append(d.Keys.Strings, keys.Strings...)
	for range keys.Len() {
		d.TS = append(d.TS, r.TS)
		d.ReadTS = append(d.ReadTS, readTS)
		d.Partition = append(d.Partition, r.Partition)
		d.Position = append(d.Position, pos)
	}
	return nil
}

// forget drops what no view needs: generations that end at or below from, segments that keep does not name, and
// deletes that the delta files have (those at or below durable).
func (s *shard) forget(from, durable mq.Position, keep map[int64]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.gens) > 1 && s.gens[0].to <= from {
		for _, p := range s.gens[0].parts {
			delete(s.byOrdinal, p.ordinal)
			p.seg.Release()
		}
		s.gens = s.gens[1:]
	}
	for id, e := range s.sealed {
		if !keep[id] {
			delete(s.sealed, id)
			e.drop()
		}
	}
	for len(s.kept) > 0 && s.kept[0].Position[len(s.kept[0].Position)-1] <= durable {
		s.kept = s.kept[1:]
	}
}

func (s *shard) setSchema(sc *schema.Schema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schema.Version >= sc.Version {
		return
	}
	s.schema = sc
	for _, g := range s.byOrdinal {
		g.SetSchema(sc)
	}
	for _, e := range s.sealed {
		if e.seg != nil {
			e.seg.SetSchema(sc)
		}
	}
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.byOrdinal {
		g.Release()
	}
	for _, e := range s.sealed {
		e.drop()
	}
	s.byOrdinal, s.sealed, s.gens = nil, nil, s.gens[:1]
}

// drop releases an open segment. A load that is under way finds that its entry is gone and releases by itself. The
// caller holds the shard's lock.
func (e *sealedSegment) drop() {
	select {
	case <-e.ready:
		if e.seg != nil {
			e.seg.Release()
		}
	default:
	}
}
