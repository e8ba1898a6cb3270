package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// One entry of a log is a group: records with consecutive seqs of one epoch. Numbers are little endian or uvarints:
//
//	group  = version u8, flags u8, epoch uvarint, first seq uvarint, count uvarint, record...
//	record = length uvarint, kind u8, ts u64, collection uvarint, shard uvarint, schema version uvarint,
//	         request id 16, parts uvarint, part..., keys bytes, partition uvarint, read ts uvarint, segments uvarint, segment...
//	part   = partition uvarint, rows bytes;   segment = partition uvarint, id uvarint;   bytes = length uvarint, bytes
//
// A checksum is the queue's business. Reading a group copies no payload.
const groupVersion = 1

const flagFence = 1

// ErrMalformed: an entry's bytes are no group of records.
var ErrMalformed = errors.New("wal: malformed entry")

// header is what the accept rule needs of a group.
type header struct {
	epoch, seq uint64 // of the first record
	count      int
	fence      bool
}

// EncodeGroup appends the entry that holds records, which have consecutive seqs of one epoch, to dst. A fence stands alone.
func EncodeGroup(dst []byte, records []Record) []byte {
	flags := byte(0)
	if records[0].Kind == Fence {
		flags = flagFence
	}
	size := 32
	for i := range records {
		size += records[i].size() + binary.MaxVarintLen32
	}
	dst = append(slices.Grow(dst, size), groupVersion, flags)
	dst = binary.AppendUvarint(dst, records[0].Epoch)
	dst = binary.AppendUvarint(dst, records[0].Seq)
	dst = binary.AppendUvarint(dst, uint64(len(records)))
	for i := range records {
		dst = binary.AppendUvarint(dst, uint64(records[i].size()))
		dst = records[i].encode(dst)
	}
	return dst
}

func (r *Record) encode(dst []byte) []byte {
	dst = append(dst, byte(r.Kind))
	dst = binary.LittleEndian.AppendUint64(dst, r.TS)
	dst = binary.AppendUvarint(dst, uint64(r.Collection))
	dst = binary.AppendUvarint(dst, uint64(uint32(r.Shard)))
	dst = binary.AppendUvarint(dst, uint64(uint32(r.SchemaVersion)))
	dst = append(dst, r.RequestID[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Parts)))
	for _, p := range r.Parts {
		dst = binary.AppendUvarint(dst, uint64(p.Partition))
		dst = append(binary.AppendUvarint(dst, uint64(len(p.Rows))), p.Rows...)
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(r.Keys))), r.Keys...)
	dst = binary.AppendUvarint(dst, uint64(r.Partition))
	dst = binary.AppendUvarint(dst, r.ReadTS)
	dst = binary.AppendUvarint(dst, uint64(len(r.Seal)))
	for _, s := range r.Seal {
		dst = binary.AppendUvarint(dst, uint64(s.Partition))
		dst = binary.AppendUvarint(dst, uint64(s.Segment))
	}
	return dst
}

// size is the number of bytes that encode appends.
func (r *Record) size() int {
	n := 1 + 8 + 16 + uvarintLen(uint64(r.Collection)) + uvarintLen(uint64(uint32(r.Shard))) +
		uvarintLen(uint64(uint32(r.SchemaVersion))) + uvarintLen(uint64(len(r.Parts))) + uvarintLen(uint64(len(r.Keys))) +
		len(r.Keys) + uvarintLen(uint64(r.Partition)) + uvarintLen(r.ReadTS) + uvarintLen(uint64(len(r.Seal)))
	for _, p := range r.Parts {
		n += uvarintLen(uint64(p.Partition)) + uvarintLen(uint64(len(p.Rows))) + len(p.Rows)
	}
	for _, s := range r.Seal {
		n += uvarintLen(uint64(s.Partition)) + uvarintLen(uint64(s.Segment))
	}
	return n
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// DecodeGroup reads an entry. Rows and Keys alias src.
func DecodeGroup(src []byte) ([]Record, error) {
	h, body, err := decodeHeader(src)
	if err != nil {
		return nil, err
	}
	return decodeRecords(h, body)
}

func decodeHeader(src []byte) (header, []byte, error) {
	d := decoder{src: src}
	if v := d.byte(); d.err == nil && v != groupVersion {
		return header{}, nil, fmt.Errorf("%w: version %d, this binary reads %d", ErrMalformed, v, groupVersion)
	}
	flags := d.byte()
	h := header{epoch: d.uvarint(), seq: d.uvarint(), fence: flags&flagFence != 0}
	h.count = d.count()
	switch {
	case d.err != nil:
	case flags&^byte(flagFence) != 0:
		d.fail("unknown flags")
	case h.count == 0 || (h.fence && h.count != 1):
		d.fail("bad number of records")
	case h.fence != (h.seq == 0):
		d.fail("a fence has seq 0, others have not")
	case h.seq > math.MaxUint64-uint64(h.count):
		d.fail("seq out of range")
	}
	return h, d.src, d.err
}

func decodeRecords(h header, body []byte) ([]Record, error) {
	d := decoder{src: body}
	records := make([]Record, 0, h.count)
	for i := range h.count {
		r := decoder{src: d.bytes(), err: d.err}
		rec := r.record()
		if r.err == nil && (rec.Kind == Fence) != h.fence {
			r.fail("a fence stands alone")
		}
		if r.err != nil {
			return nil, fmt.Errorf("record %d of %d: %w", i+1, h.count, r.err)
		}
		rec.Epoch, rec.Seq = h.epoch, h.seq+uint64(i)
		records = append(records, rec)
	}
	if len(d.src) != 0 {
		d.fail("trailing bytes")
	}
	return records, d.err
}

type decoder struct {
	src []byte
	err error
}

func (d *decoder) record() Record {
	r := Record{Kind: Kind(d.byte())}
	if d.err == nil && (r.Kind == 0 || r.Kind >= kindEnd) {
		d.fail("unknown " + r.Kind.String())
	}
	if b := d.take(8); b != nil {
		r.TS = binary.LittleEndian.Uint64(b)
	}
	r.Collection = int64(d.uvarint())
	r.Shard = d.int32()
	r.SchemaVersion = d.int32()
	copy(r.RequestID[:], d.take(16))
	for range d.count() {
		r.Parts = append(r.Parts, Part{Partition: int64(d.uvarint()), Rows: d.bytes()})
	}
	r.Keys = d.bytes()
	r.Partition = int64(d.uvarint())
	r.ReadTS = d.uvarint()
	for range d.count() {
		r.Seal = append(r.Seal, SealedSegment{Partition: int64(d.uvarint()), Segment: int64(d.uvarint())})
	}
	if d.err == nil && len(d.src) != 0 {
		d.fail("trailing bytes")
	}
	return r
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.src = nil
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.src) {
		d.fail("cut short")
		return nil
	}
	v := d.src[:n:n]
	d.src = d.src[n:]
	return v
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.fail("bad number")
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.fail("number out of range")
	}
	return int32(uint32(v))
}

// count reads a number of things that take at least a byte each.
func (d *decoder) count() int {
	v := d.uvarint()
	if v > uint64(len(d.src)) {
		d.fail("more than there are bytes for")
		return 0
	}
	return int(v)
}

// bytes reads length-prefixed bytes; none are nil.
func (d *decoder) bytes() []byte {
	v := d.uvarint()
	if d.err != nil || v > uint64(len(d.src)) {
		d.fail("cut short")
		return nil
	}
	if v == 0 {
		return nil
	}
	return d.take(int(v))
}
