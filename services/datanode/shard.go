package datanode

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

type shardID struct {
	collection int64
	shard      int
}

func (id shardID) String() string { return fmt.Sprintf("%d/%d", id.collection, id.shard) }

// shard is what of one shard is not in the bucket yet. The owner's lock guards it.
type shard struct {
	id        shardID
	committed mq.Position // the manifest's checkpoint
	open      *generation // since the last seal
	sealed    []*generation
	uploading bool
	// partitions have rows that are stamped and not covered by a stamped seal. It runs ahead of open by what is in flight.
	partitions map[int64]bool
	seal       *sealCall // under way
}

// generation is a shard's records at positions in (from, to]; to is 0 while it is open.
type generation struct {
	from, to mq.Position
	sealTS   tso.Timestamp
	segments map[int64]int64 // partition -> segment id, once sealed

	// The rest is empty until the first record.
	filled bool
	before wal.Start     // the place behind the entry before that of the first record
	minTS  tso.Timestamp // of the first record
	since  time.Time     // when the first record came
	logAt  int64         // log bytes that this owner had seen before it
	bytes  int64
	rows   map[int64][]chunk // by partition
	dels   []deletion
}

type chunk struct {
	batch *schema.Batch
	ts    tso.Timestamp
}

type deletion struct {
	keys       schema.Keys
	ts, readTS tso.Timestamp
	partition  int64
	position   mq.Position
}

func newShard(id shardID, checkpoint mq.Position) *shard {
	return &shard{id: id, committed: checkpoint, open: newGeneration(checkpoint), partitions: map[int64]bool{}}
}

func newGeneration(from mq.Position) *generation {
	return &generation{from: from, rows: map[int64][]chunk{}}
}

// payload is a record's content, decoded once.
type payload struct {
	parts  []decodedPart
	keys   schema.Keys
	hashes []uint64 // of every key that the record writes
	bytes  int64
}

type decodedPart struct {
	partition int64
	batch     *schema.Batch
}

// decode reads a record that was found in the log. pk is the primary key's field id.
func decode(r *wal.Record, pk int64) (*payload, error) {
	p := &payload{bytes: int64(len(r.Keys))}
	var err error
	if p.keys, err = schema.DecodeKeys(r.Keys); err != nil {
		return nil, err
	}
	id := shardID{r.Collection, int(r.Shard)}
	p.hashes = hashKeys(nil, id, p.keys)
	for _, part := range r.Parts {
		batch, err := schema.DecodeBatch(part.Rows)
		if err != nil {
			return nil, err
		}
		p.add(id, part.Partition, batch, pk, len(part.Rows))
	}
	return p, nil
}

func (p *payload) add(id shardID, partition int64, batch *schema.Batch, pk int64, size int) {
	p.parts = append(p.parts, decodedPart{partition, batch})
	p.bytes += int64(size)
	if c := batch.Column(pk); c != nil {
		p.hashes = hashKeys(p.hashes, id, schema.KeysOf(c))
	}
}

// note records that rows of these partitions are stamped.
func (s *shard) note(p *payload) {
	for _, part := range p.parts {
		s.partitions[part.partition] = true
	}
}

// add takes an accepted record.
func (s *shard) add(before wal.Start, position mq.Position, logAt int64, r *wal.Record, p *payload) {
	g := s.open
	if !g.filled {
		g.filled, g.before, g.minTS, g.logAt, g.since = true, before, r.TS, logAt, time.Now()
		if at := tso.Time(r.TS); at.Before(g.since) {
			g.since = at // a takeover does not make rows young
		}
	}
	g.bytes += p.bytes
	for _, part := range p.parts {
		g.rows[part.partition] = append(g.rows[part.partition], chunk{part.batch, r.TS})
	}
	if p.keys.Len() == 0 {
		return
	}
	d := deletion{keys: p.keys, ts: r.TS, readTS: r.ReadTS, partition: r.Partition, position: position}
	if r.Kind == wal.Upsert {
		d.readTS = 0 // it guards against conflicts; an upsert replaces every older version
	}
	g.dels = append(g.dels, d)
}

// cut takes an accepted seal: what came so far is sealed, what comes belongs to the next generation.
func (s *shard) cut(before wal.Start, position mq.Position, r *wal.Record) error {
	g := s.open
	g.to, g.sealTS, g.segments = position, r.TS, make(map[int64]int64, len(r.Seal))
	if !g.filled {
		g.before = before
	}
	for _, x := range r.Seal {
		g.segments[x.Partition] = x.Segment
	}
	for partition := range g.rows {
		if g.segments[partition] == 0 {
			return errs.New(errs.Internal, "the seal of shard %s at position %d names no segment for the rows of partition %d", s.id, position, partition)
		}
	}
	s.sealed = append(s.sealed, g)
	s.open = newGeneration(position)
	return nil
}

// oldest is the first generation that is not committed and has anything.
func (s *shard) oldest() *generation {
	if len(s.sealed) > 0 {
		return s.sealed[0]
	}
	if s.open.filled {
		return s.open
	}
	return nil
}

// unsealed is the memory of what is not committed.
func (s *shard) unsealed() int64 {
	n := s.open.bytes
	for _, g := range s.sealed {
		n += g.bytes
	}
	return n
}

// pending says whether a row or delete with a timestamp at or below ts is not committed; sealing, that seals are to be
// committed first.
func (s *shard) pending(ts tso.Timestamp) (open, sealed bool) {
	open = s.open.filled && s.open.minTS <= ts
	for _, g := range s.sealed {
		sealed = sealed || (g.filled && g.minTS <= ts)
	}
	return open, sealed
}

// countRows adds the rows that are not committed to by, by partition, without those written at or below truncated.
func (s *shard) countRows(by map[int64]int64, truncated tso.Timestamp) {
	for _, g := range append([]*generation{s.open}, s.sealed...) {
		for partition, chunks := range g.rows {
			for _, c := range untruncated(chunks, truncated) {
				by[partition] += int64(c.batch.N)
			}
		}
	}
}

// segmentIDs are the segments with rows of seals under way.
func (s *shard) segmentIDs() []int64 {
	var out []int64
	for _, g := range s.sealed {
		for _, partition := range slices.Sorted(maps.Keys(g.rows)) {
			out = append(out, g.segments[partition])
		}
	}
	return out
}

// sealCall is a seal record under way; it is valid after done.
type sealCall struct {
	done     chan struct{}
	ack      wal.Ack
	segments []int64 // that the record names
	err      error
}
