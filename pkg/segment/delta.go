package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

// A delta file: a header of 32 bytes (magic 8, version u32, deletes u32, raw length u64, crc32c of the body u32, crc32c
// of the header before it u32), then the zstd-compressed body: the arrays TS, ReadTS, Partition, Position of 8 bytes an
// entry, and the keys as package schema encodes them.
const (
	deltaMagic   = "GYRDELT\n"
	deltaVersion = 1
	deltaHeader  = 32
	maxDelta     = 1 << 32
)

// Len returns the number of deletes.
func (d *Deletes) Len() int { return len(d.TS) }

// filled returns d with all lists present, or an error when their lengths differ.
func (d Deletes) filled() (Deletes, error) {
	n := d.Len()
	if d.ReadTS == nil {
		d.ReadTS = make([]uint64, n)
	}
	if d.Partition == nil {
		d.Partition = make([]int64, n)
	}
	if d.Position == nil {
		d.Position = make([]uint64, n)
	}
	if d.Keys.Len() != n || len(d.ReadTS) != n || len(d.Partition) != n || len(d.Position) != n {
		return d, errors.New("lists of deletes differ in length")
	}
	return d, nil
}

// WriteDelta writes a delta file and returns its size in bytes.
func WriteDelta(ctx context.Context, store objstore.Store, path string, d Deletes) (int64, error) {
	raw, err := encodeDelta(d)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	if err := store.Put(ctx, path, bytes.NewReader(raw), int64(len(raw)), objstore.PutOptions{}); err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	return int64(len(raw)), nil
}

func encodeDelta(d Deletes) ([]byte, error) {
	d, err := d.filled()
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var body []byte
	for _, list := range [][]byte{bytesOf(d.TS), bytesOf(d.ReadTS), bytesOf(d.Partition), bytesOf(d.Position)} {
		body = append(body, list...)
	}
	body = d.Keys.Encode(body)
	packed := z.EncodeAll(body, nil)
	out := append(make([]byte, 0, deltaHeader+len(packed)), deltaMagic...)
	out = binary.LittleEndian.AppendUint32(out, deltaVersion)
	out = binary.LittleEndian.AppendUint32(out, uint32(d.Len()))
	out = binary.LittleEndian.AppendUint64(out, uint64(len(body)))
	out = binary.LittleEndian.AppendUint32(out, checksum(packed))
	out = binary.LittleEndian.AppendUint32(out, checksum(out))
	return append(out, packed...), nil
}

// ReadDelta reads a delta file.
func ReadDelta(ctx context.Context, store objstore.Store, path string) (Deletes, error) {
	o, err := store.Stat(ctx, path)
	if err != nil {
		return Deletes{}, fmt.Errorf("read %s: %w", path, err)
	}
	raw, err := readFull(ctx, store, path, 0, o.Size)
	if err != nil {
		return Deletes{}, err
	}
	return decodeDelta(path, raw)
}

func decodeDelta(path string, raw []byte) (Deletes, error) {
	var d Deletes
	if len(raw) < deltaHeader || string(raw[:8]) != deltaMagic {
		return d, corrupt(path, "no delta file")
	}
	head, packed := raw[:deltaHeader], raw[deltaHeader:]
	le := binary.LittleEndian
	if checksum(head[:28]) != le.Uint32(head[28:]) || checksum(packed) != le.Uint32(head[24:]) {
		return d, corrupt(path, "checksum does not match")
	}
	if v := le.Uint32(head[8:]); v != deltaVersion {
		return d, fmt.Errorf("%s: format version %d, this binary reads %d", path, v, deltaVersion)
	}
	n, size := int(le.Uint32(head[12:])), le.Uint64(head[16:])
	if size > maxDelta || size < uint64(n)*32 {
		return d, corrupt(path, "header out of range")
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(size, 1<<20)))
	if err != nil {
		return d, err
	}
	defer z.Close()
	body, err := z.DecodeAll(packed, nil)
	if err != nil || uint64(len(body)) != size {
		return d, corrupt(path, "body of %d bytes instead of %d: %v", len(body), size, err)
	}
	d.TS, d.ReadTS = wordsOf[uint64](body[:8*n]), wordsOf[uint64](body[8*n:16*n])
	d.Partition, d.Position = wordsOf[int64](body[16*n:24*n]), wordsOf[uint64](body[24*n:32*n])
	if d.Keys, err = schema.DecodeKeys(body[32*n:]); err != nil || d.Keys.Len() != n {
		return d, corrupt(path, "%d keys for %d deletes: %v", d.Keys.Len(), n, err)
	}
	return d, nil
}
