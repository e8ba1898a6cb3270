package woodpecker

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/gyr-db/gyr/pkg/mq"
)

// scanned is what the bytes of one file hold.
type scanned struct {
	offsets []int64 // of each entry's group
	end     int64   // offset behind the last group
	stated  int64   // the highest offset that a group states as durable
	marked  bool    // the last group is a mark that covers everything before it
}

// scan walks over the groups of a file. limit is the end that the next file's header names, or -1 for the last file:
// up to a limit every byte must check; without one a tail that does not check is cut, unless a whole group behind it
// proves that it was durable once. name is for the error.
func scan(name string, b []byte, h fileHeader, limit int64) (scanned, error) {
	if limit > int64(len(b)) {
		return scanned{}, fmt.Errorf("%s: %d bytes, but %d were durable: %w", name, len(b), limit, mq.ErrCorrupt)
	}
	if limit >= 0 {
		b = b[:limit]
	}
	s := scanned{end: fileHeaderSize, stated: fileHeaderSize}
	for s.end < int64(len(b)) {
		g, ok := decodeGroup(b[s.end:], h.salt)
		if !ok {
			break
		}
		if g.position != h.base+mq.Position(len(s.offsets)) || g.durable > s.end {
			return s, fmt.Errorf("%s: group at offset %d has position %d, durable offset %d: %w", name, s.end, g.position, g.durable, mq.ErrCorrupt)
		}
		s.marked = g.flags&flagMark != 0 && g.durable == s.end
		if g.flags&flagMark == 0 {
			s.offsets = append(s.offsets, s.end)
		}
		s.stated = max(s.stated, g.durable)
		s.end += g.size()
	}
	switch {
	case limit >= 0 && s.end < limit:
		return s, fmt.Errorf("%s: bad bytes at offset %d, durable up to %d: %w", name, s.end, limit, mq.ErrCorrupt)
	case limit < 0 && provenBehind(b, h.salt, s.end, h.base+mq.Position(len(s.offsets))):
		return s, fmt.Errorf("%s: bad bytes at offset %d, a later group says that they were durable: %w", name, s.end, mq.ErrCorrupt)
	}
	return s, nil
}

// provenBehind reports whether a whole group behind offset bad states that bytes at bad were durable. next is the
// position that the group at bad should have.
func provenBehind(b []byte, salt uint64, bad int64, next mq.Position) bool {
	for at := bad; at < int64(len(b)); at++ {
		i := bytes.Index(b[at:], []byte(groupMagic))
		if i < 0 {
			return false
		}
		at += int64(i)
		// The cheap tests first: data in a torn tail may be full of magics with great lengths.
		if int64(len(b))-at < groupHeaderSize {
			return false
		}
		position, durable := binary.LittleEndian.Uint64(b[at+16:]), int64(binary.LittleEndian.Uint64(b[at+24:]))
		if durable <= bad || durable > at || position < next || position-next > uint64(at-bad)/groupHeaderSize+1 {
			continue
		}
		if _, ok := decodeGroup(b[at:], salt); ok {
			return true
		}
	}
	return false
}
