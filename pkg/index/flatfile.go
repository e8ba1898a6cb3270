package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/gyr-db/gyr/pkg/errs"
)

// A FLAT index keeps nothing, but its file exists so that all types go the same way. 32 bytes, little-endian:
// 0 magic  8 major u16  10 metric u16  12 dim u32  16 rows u64  24 zero  28 crc32c of the bytes before it.
const (
	flatMagic   = "GYRVFLAT"
	flatVersion = 1
	flatSize    = 32
)

type flatFile [flatSize]byte

func newFlatFile(p plain, rows int) *flatFile {
	f := &flatFile{}
	le := binary.LittleEndian
	copy(f[:], flatMagic)
	le.PutUint16(f[8:], flatVersion)
	le.PutUint16(f[10:], uint16(p.metric))
	le.PutUint32(f[12:], uint32(p.dim))
	le.PutUint64(f[16:], uint64(rows))
	le.PutUint32(f[28:], crc32.Checksum(f[:28], crc32.MakeTable(crc32.Castagnoli)))
	return f
}

func (f *flatFile) Size() int64 { return flatSize }

func (f *flatFile) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f[:])
	return int64(n), err
}

// checkFlatFile compares a file with the one that belongs to p and rows.
func checkFlatFile(p plain, r io.ReaderAt, size int64, rows int) error {
	if size != flatSize {
		return errs.New(errs.Corrupt, "opening a FLAT index: the file has %d bytes, expected %d", size, flatSize)
	}
	var got flatFile
	if n, err := r.ReadAt(got[:], 0); n < flatSize {
		return fmt.Errorf("opening a FLAT index: %w", err)
	}
	if got != *newFlatFile(p, rows) {
		return errs.New(errs.Corrupt, "opening a FLAT index: the file is damaged or not for %d rows of dimension %d by %s", rows, p.dim, p.metric)
	}
	return nil
}
