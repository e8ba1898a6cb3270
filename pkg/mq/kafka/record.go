package kafka

import (
	"encoding/binary"
	"fmt"

	"github.com/gyr-db/gyr/pkg/mq"
)

// A record's key is the log's uuid. Its value, numbers little-endian, is
//
//	0 version u8   1 kind u8   2 flags u8   3 zero u8
//	head:  4 random id, 16 bytes        the first record of a topic: it names the log, and its id the Create that made it
//	whole: 4 data                       an entry
//	part:  4 random id, 16 bytes   20 index u32   24 count u32   28 length of the entry u64
//	       36 offset of the part of index 0 u64, 0 in that part   44 data
//
// The parts of an append have its random id. They are written one after the other; between them there may be records of
// other writers. An append that was given up leaves parts that no reader shows.
const (
	recordVersion = 1

	kindHead  = 0
	kindWhole = 1
	kindPart  = 2

	flagPinned = 1 << 0

	headerSize     = 4
	partHeaderSize = 44
)

type attemptID [16]byte

type record struct {
	kind  byte
	flags byte
	id    attemptID // head, part
	part  part      // part
	data  []byte    // whole, part; aliases what was decoded
}

type part struct {
	index, count int
	size         int64 // of the entry
	first        int64 // offset of the first part
}

func (r record) encode() []byte {
	b := make([]byte, headerSize, partHeaderSize+len(r.data))
	b[0], b[1], b[2] = recordVersion, r.kind, r.flags
	switch r.kind {
	case kindHead:
		b = append(b, r.id[:]...)
	case kindPart:
		b = append(b, r.id[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(r.part.index))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.part.count))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.part.size))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.part.first))
	}
	return append(b, r.data...)
}

func decode(b []byte) (record, error) {
	if len(b) < headerSize {
		return record{}, fmt.Errorf("record of %d bytes: %w", len(b), mq.ErrCorrupt)
	}
	if b[0] != recordVersion {
		return record{}, fmt.Errorf("record of version %d, this program reads version %d", b[0], recordVersion)
	}
	r := record{kind: b[1], flags: b[2]}
	switch {
	case r.kind == kindHead && len(b) == headerSize+len(r.id):
		r.id = attemptID(b[headerSize:])
	case r.kind == kindWhole:
		r.data = b[headerSize:len(b):len(b)]
	case r.kind == kindPart && len(b) >= partHeaderSize:
		r.id = attemptID(b[headerSize:20])
		r.part = part{
			index: int(binary.LittleEndian.Uint32(b[20:])),
			count: int(binary.LittleEndian.Uint32(b[24:])),
			size:  int64(binary.LittleEndian.Uint64(b[28:])),
			first: int64(binary.LittleEndian.Uint64(b[36:])),
		}
		r.data = b[partHeaderSize:len(b):len(b)]
	default:
		return record{}, fmt.Errorf("record of kind %d, %d bytes: %w", r.kind, len(b), mq.ErrCorrupt)
	}
	return r, r.check()
}

func (r record) check() error {
	p := r.part
	badPart := p.count < 2 || p.index < 0 || p.index >= p.count || p.size < int64(len(r.data)) || p.first < 0
	if r.flags&^flagPinned != 0 || r.kind == kindPart && badPart {
		return fmt.Errorf("record of kind %d, flags %x, part %+v: %w", r.kind, r.flags, p, mq.ErrCorrupt)
	}
	return nil
}

// split cuts an entry into records of at most partBytes of data. The offset of the first part is not in them yet.
func split(data []byte, partBytes int, flags byte, id attemptID) []record {
	if len(data) <= partBytes {
		return []record{{kind: kindWhole, flags: flags, data: data}}
	}
	count := (len(data) + partBytes - 1) / partBytes
	out := make([]record, 0, count)
	for i := range count {
		out = append(out, record{
			kind: kindPart, flags: flags, id: id, part: part{index: i, count: count, size: int64(len(data))},
			data: data[i*partBytes : min((i+1)*partBytes, len(data))],
		})
	}
	return out
}
