package woodpecker

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/gyr-db/gyr/pkg/mq"
)

// The bytes of an entry's object, all numbers little-endian:
//
//	0 magic "GYRO"   4 version u8   5 flags u8   6 length of uuid u16   8 crc32c of all other bytes
//	12 position u64   20 id of the append, 16 random bytes   36 uuid, then the data to the end
//
// The random id makes the bodies of two appends differ even when their data is the same: a body that is equal to what
// an append sent is that append's own.
const (
	objectMagic      = "GYRO"
	objectVersion    = 1
	objectHeaderSize = 36
)

type appendID [16]byte

type object struct {
	flags    byte
	position mq.Position
	id       appendID
	uuid     string
	data     []byte
}

func (o object) encode() []byte {
	b := make([]byte, objectHeaderSize, objectHeaderSize+len(o.uuid)+len(o.data))
	copy(b, objectMagic)
	b[4], b[5] = objectVersion, o.flags
	binary.LittleEndian.PutUint16(b[6:], uint16(len(o.uuid)))
	binary.LittleEndian.PutUint64(b[12:], o.position)
	copy(b[20:], o.id[:])
	b = append(append(b, o.uuid...), o.data...)
	binary.LittleEndian.PutUint32(b[8:], objectSum(b))
	return b
}

func objectSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:8], castagnoli), castagnoli, b[12:])
}

// decodeObject decodes a body; data aliases it.
func decodeObject(b []byte) (object, error) {
	if len(b) < objectHeaderSize || string(b[:4]) != objectMagic {
		return object{}, fmt.Errorf("not an entry of a log: %w", mq.ErrCorrupt)
	}
	if b[4] != objectVersion {
		return object{}, fmt.Errorf("entry of version %d, this program reads version %d", b[4], objectVersion)
	}
	n := objectHeaderSize + int(binary.LittleEndian.Uint16(b[6:]))
	if n > len(b) || objectSum(b) != binary.LittleEndian.Uint32(b[8:]) {
		return object{}, fmt.Errorf("checksum: %w", mq.ErrCorrupt)
	}
	return object{
		flags:    b[5],
		position: binary.LittleEndian.Uint64(b[12:]),
		id:       appendID(b[20:36]),
		uuid:     string(b[objectHeaderSize:n]),
		data:     b[n:len(b):len(b)],
	}, nil
}

// numberDigits pads numbers in keys, so that keys sort as numbers do.
const numberDigits = 20

func numberKey(prefix string, n mq.Position) string {
	return fmt.Sprintf("%s%0*d", prefix, numberDigits, n)
}

// parseNumber returns the number of a key below prefix.
func parseNumber(prefix, key string) (mq.Position, bool) {
	if len(key) != len(prefix)+numberDigits || key[:len(prefix)] != prefix {
		return 0, false
	}
	n, err := strconv.ParseUint(key[len(prefix):], 10, 64)
	return n, err == nil
}
