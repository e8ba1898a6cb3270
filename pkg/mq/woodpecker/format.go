package woodpecker

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gyr-db/gyr/pkg/mq"
)

// The bytes of a local file, all numbers little-endian:
//
//	header, 256 bytes:
//	  0 magic "GYRWPLOG"   8 version u32   12 header size u32   16 file number u64   24 position of the first entry u64
//	  32 offset at which the file before this one ends u64   40 salt u64   48 length of uuid u16   50 uuid
//	  252 crc32c of the bytes before
//	groups, one behind the other:
//	  0 magic "GYRG"   4 crc32c of the salt, bytes 8-32 and the data   8 length of data u32   12 flags u8, 3 zero bytes
//	  16 position u64   24 offset of this file that was durable before this group was written u64   32 data
//
// The salt is random per file: bytes that happen to be an older file's group never check as this file's.
const (
	fileMagic      = "GYRWPLOG"
	fileVersion    = 1
	fileHeaderSize = 256
	maxUUID        = 128

	groupMagic      = "GYRG"
	groupHeaderSize = 32

	flagPinned = 1 << 0
	// flagMark: a group without an entry; it only states a durable offset, and its position is the next entry's.
	flagMark   = 1 << 1
	knownFlags = flagPinned | flagMark
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type fileHeader struct {
	number  uint64
	base    mq.Position
	prevEnd int64
	salt    uint64
	uuid    string
}

func (h fileHeader) encode() []byte {
	b := make([]byte, fileHeaderSize)
	copy(b, fileMagic)
	binary.LittleEndian.PutUint32(b[8:], fileVersion)
	binary.LittleEndian.PutUint32(b[12:], fileHeaderSize)
	binary.LittleEndian.PutUint64(b[16:], h.number)
	binary.LittleEndian.PutUint64(b[24:], h.base)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.prevEnd))
	binary.LittleEndian.PutUint64(b[40:], h.salt)
	binary.LittleEndian.PutUint16(b[48:], uint16(len(h.uuid)))
	copy(b[50:], h.uuid)
	binary.LittleEndian.PutUint32(b[252:], crc32.Checksum(b[:252], castagnoli))
	return b
}

func decodeFileHeader(b []byte) (fileHeader, error) {
	if len(b) < fileHeaderSize || string(b[:8]) != fileMagic {
		return fileHeader{}, fmt.Errorf("not a log file: %w", mq.ErrCorrupt)
	}
	if crc32.Checksum(b[:252], castagnoli) != binary.LittleEndian.Uint32(b[252:]) {
		return fileHeader{}, fmt.Errorf("checksum of header: %w", mq.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != fileVersion {
		return fileHeader{}, fmt.Errorf("log file of version %d, this program reads version %d", v, fileVersion)
	}
	n := int(binary.LittleEndian.Uint16(b[48:]))
	h := fileHeader{
		number:  binary.LittleEndian.Uint64(b[16:]),
		base:    binary.LittleEndian.Uint64(b[24:]),
		prevEnd: int64(binary.LittleEndian.Uint64(b[32:])),
		salt:    binary.LittleEndian.Uint64(b[40:]),
	}
	if n > maxUUID || h.prevEnd < 0 || h.base == 0 || h.number == 0 {
		return fileHeader{}, fmt.Errorf("values of header: %w", mq.ErrCorrupt)
	}
	h.uuid = string(b[50 : 50+n])
	return h, nil
}

type group struct {
	flags    byte
	position mq.Position
	durable  int64
	data     []byte // aliases what was decoded
}

func (g group) size() int64 { return groupHeaderSize + int64(len(g.data)) }

// appendGroup appends the bytes of g to b.
func appendGroup(b []byte, salt uint64, g group) []byte {
	start := len(b)
	b = append(b, groupMagic...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(g.data)))
	b = append(b, g.flags, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, g.position)
	b = binary.LittleEndian.AppendUint64(b, uint64(g.durable))
	b = append(b, g.data...)
	binary.LittleEndian.PutUint32(b[start+4:], groupSum(salt, b[start+8:]))
	return b
}

func groupSum(salt uint64, b []byte) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b)
}

// decodeGroup decodes the group at the start of b; ok is false when there is no whole, unharmed one.
func decodeGroup(b []byte, salt uint64) (g group, ok bool) {
	if len(b) < groupHeaderSize || string(b[:4]) != groupMagic {
		return group{}, false
	}
	n := int64(binary.LittleEndian.Uint32(b[8:]))
	if n > int64(len(b)-groupHeaderSize) {
		return group{}, false
	}
	end := groupHeaderSize + int(n)
	if groupSum(salt, b[8:end]) != binary.LittleEndian.Uint32(b[4:]) {
		return group{}, false
	}
	g = group{
		flags:    b[12],
		position: binary.LittleEndian.Uint64(b[16:]),
		durable:  int64(binary.LittleEndian.Uint64(b[24:])),
		data:     b[groupHeaderSize:end:end],
	}
	return g, g.flags&^knownFlags == 0 && g.durable >= 0
}
