package copies

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A copy's bytes; numbers are little endian or uvarints:
//
//	copy   = magic 8, version u32, raw size u64, body size u64, body, sha256 of all before it
//	body   = zstd(raw)
//	raw    = cluster bytes, revision uvarint, unix ms uvarint, count uvarint, record...
//	record = key bytes, value bytes;   bytes = length uvarint, bytes
//
// Records are in strictly growing order of keys.
const (
	magic      = "GYRCATCP"
	version    = 1
	headerSize = len(magic) + 4 + 8 + 8

	// maxBytes bounds a copy, on disk and in memory.
	maxBytes = 2 << 30
)

// ErrDamaged: bytes that are no copy, or not one that this build can read.
var ErrDamaged = errors.New("damaged copy of the catalog")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Encode makes the bytes of a copy.
func Encode(c *Copy) ([]byte, error) {
	var raw []byte
	raw = appendBytes(raw, c.Cluster)
	raw = binary.AppendUvarint(raw, uint64(c.Revision))
	raw = binary.AppendUvarint(raw, uint64(c.Time.UnixMilli()))
	raw = binary.AppendUvarint(raw, uint64(len(c.Records)))
	for i, r := range c.Records {
		if i > 0 && r.Key <= c.Records[i-1].Key {
			return nil, fmt.Errorf("encode a copy of the catalog: key %q comes behind %q", r.Key, c.Records[i-1].Key)
		}
		raw = appendBytes(raw, r.Key)
		raw = appendBytes(raw, string(r.Value))
	}
	if len(raw) > maxBytes {
		return nil, fmt.Errorf("encode a copy of the catalog: %d bytes, at most %d can be had", len(raw), maxBytes)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("encode a copy of the catalog: %w", err)
	}
	defer z.Close()
	out := append(make([]byte, 0, headerSize+len(raw)/4), magic...)
	out = binary.LittleEndian.AppendUint32(out, version)
	out = binary.LittleEndian.AppendUint64(out, uint64(len(raw)))
	out = binary.LittleEndian.AppendUint64(out, 0)
	out = z.EncodeAll(raw, out)
	binary.LittleEndian.PutUint64(out[headerSize-8:], uint64(len(out)-headerSize))
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

func appendBytes(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Decode reads the bytes of a copy; every error is ErrDamaged.
func Decode(src []byte) (*Copy, error) {
	if len(src) < headerSize+sha256.Size || string(src[:len(magic)]) != magic {
		return nil, damaged("%d bytes without the right beginning", len(src))
	}
	if v := binary.LittleEndian.Uint32(src[len(magic):]); v != version {
		return nil, damaged("format %d, this build reads format %d", v, version)
	}
	rawSize := binary.LittleEndian.Uint64(src[headerSize-16:])
	bodySize := binary.LittleEndian.Uint64(src[headerSize-8:])
	switch have := uint64(len(src) - headerSize - sha256.Size); {
	case bodySize != have:
		return nil, damaged("its header says %d bytes, it has %d: cut short or mixed up", bodySize, have)
	case rawSize > maxBytes:
		return nil, damaged("its header says %d bytes of records", rawSize)
	}
	end := len(src) - sha256.Size
	if sum := sha256.Sum256(src[:end]); !bytes.Equal(sum[:], src[end:]) {
		return nil, damaged("checksum mismatch")
	}
	raw, err := inflate(src[headerSize:end], rawSize)
	if err != nil {
		return nil, err
	}
	return decodeRaw(raw)
}

func inflate(body []byte, size uint64) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(size, 1<<10)))
	if err != nil {
		return nil, fmt.Errorf("decode a copy of the catalog: %w", err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(body, nil)
	if err != nil {
		return nil, damaged("%v", err)
	}
	if uint64(len(raw)) != size {
		return nil, damaged("%d bytes of records, its header says %d", len(raw), size)
	}
	return raw, nil
}

func decodeRaw(raw []byte) (*Copy, error) {
	d := decoder{src: raw}
	c := &Copy{Cluster: d.string()}
	revision, ms, count := d.uvarint(), d.uvarint(), d.uvarint()
	if d.bad || revision > math.MaxInt64 || ms > 1<<50 || count > uint64(len(d.src)) {
		return nil, damaged("bad header of the records")
	}
	c.Revision, c.Time = int64(revision), time.UnixMilli(int64(ms)).UTC()
	for range count {
		r := Record{Key: d.string()}
		r.Value = []byte(d.string())
		if d.bad {
			return nil, damaged("record %d of %d is cut short", len(c.Records)+1, count)
		}
		if n := len(c.Records); n > 0 && r.Key <= c.Records[n-1].Key {
			return nil, damaged("key %q comes behind %q", r.Key, c.Records[n-1].Key)
		}
		c.Records = append(c.Records, r)
	}
	if len(d.src) > 0 {
		return nil, damaged("%d bytes behind the last record", len(d.src))
	}
	return c, nil
}

type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.src)) {
		d.bad, d.src = true, nil
		return ""
	}
	s := string(d.src[:n])
	d.src = d.src[n:]
	return s
}
