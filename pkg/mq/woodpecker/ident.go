package woodpecker

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/mq"
)

// The identity of a log: magic "GYRWPID1", length of name u16, name, length of uuid u16, uuid, crc32c of all before.
const idMagic = "GYRWPID1"

func encodeID(id mq.LogID) []byte {
	b := []byte(idMagic)
	for _, s := range []string{id.Name, id.UUID} {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeID(b []byte) (mq.LogID, error) {
	bad := fmt.Errorf("not the identity of a log: %w", mq.ErrCorrupt)
	n := len(b) - 4
	if n < len(idMagic) || string(b[:len(idMagic)]) != idMagic ||
		crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
		return mq.LogID{}, bad
	}
	b = b[len(idMagic):n]
	var parts [2]string
	for i := range parts {
		if len(b) < 2 || len(b)-2 < int(binary.LittleEndian.Uint16(b)) {
			return mq.LogID{}, bad
		}
		size := int(binary.LittleEndian.Uint16(b))
		parts[i], b = string(b[2:2+size]), b[2+size:]
	}
	if len(b) > 0 {
		return mq.LogID{}, bad
	}
	return mq.LogID{Name: parts[0], UUID: parts[1]}, nil
}

func newSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

const (
	fileSuffix = ".log"
	spareName  = "spare.tmp"
	nextName   = "next.tmp"
)

// fileName gives number and first position of a file, so that names sort by age.
func fileName(h fileHeader) string { return fmt.Sprintf("%010d-%020d%s", h.number, h.base, fileSuffix) }

// parseFileName returns a file's number.
func parseFileName(name string) (number uint64, ok bool) {
	stem, found := strings.CutSuffix(name, fileSuffix)
	first, _, dash := strings.Cut(stem, "-")
	if !found || !dash {
		return 0, false
	}
	number, err := strconv.ParseUint(first, 10, 64)
	return number, err == nil
}
