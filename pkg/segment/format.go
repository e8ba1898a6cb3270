package segment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// The container of columns.gyrc, little endian:
//
//	page 0     magic, version, rows, timestamps' bounds, place and checksum of the directory; checksum of the page
//	sections   each begins at a page and is padded with zeros to whole pages
//	directory  count, then per section: kind, field, offset, length, one crc32c per 64 KiB of the padded section
//
// Every byte of the file is covered by exactly one checksum. A reader refuses an unknown major version and ignores
// unknown kinds of sections.
const (
	columnsMagic = "GYRCOLS\n"
	formatMajor  = 1
	formatMinor  = 1 // 1: paths of documents, scalar indexes, a sample; all optional
	pageSize     = 4096
	crcBlock     = 64 << 10
	maxDirectory = 256 << 20
)

type sectionKind uint8

// Kinds of sections. Numbers are never reused.
const (
	secMeta       sectionKind = 1  // JSON: fileMeta
	secTimestamps sectionKind = 2  // rows x u64
	secDead       sectionKind = 3  // rows x u64, optional: timestamps of the deletes known when the file was written
	secKeyFilter  sectionKind = 4  // block filter over the primary keys
	secValues     sectionKind = 5  // fixed width values; booleans one bit each
	secValidity   sectionKind = 6  // one bit per row, 1 = has a value; absent: all have
	secOffsets    sectionKind = 7  // rows+1 x u64: where each row's bytes begin in the raw text of the column
	secBlocks     sectionKind = 8  // zstd blocks, each 16 KiB of raw text
	secBlockIndex sectionKind = 9  // blocks+1 x u64: where each block begins in secBlocks
	secVectors    sectionKind = 10 // vectorPage records: where the raw vectors lie in rows.parquet
	secPath       sectionKind = 11 // of a path: rows with a value (a bit each; absent: all), which are integers (a bit per value), rest (u32 each)
	secPostings   sectionKind = 12 // of an index by values: postings
	secOrder      sectionKind = 13 // of an index by order: u32 per row that has a value, ascending by value
	secSample     sectionKind = 14 // some rows of all columns but vectors: a schema.Batch, zstd
)

type sectionID struct {
	kind  sectionKind
	field int64
}

type section struct {
	offset, length int64
	crcs           []uint32
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli()) }

func corrupt(name, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", name, ErrCorrupt, fmt.Sprintf(format, args...))
}

func padded(n int64) int64 { return (n + pageSize - 1) / pageSize * pageSize }

// container writes the sections of a columns file to w.
type container struct {
	w        io.Writer
	off      int64
	sections []section
	ids      []sectionID
}

// The header is written last but lies first, so sections go to a spool of their own first.
func (c *container) add(kind sectionKind, field int64, data []byte) error {
	s := section{offset: pageSize + c.off, length: int64(len(data))}
	pad := make([]byte, padded(s.length)-s.length)
	tail := len(data) / crcBlock * crcBlock
	for lo := 0; lo < tail; lo += crcBlock {
		s.crcs = append(s.crcs, checksum(data[lo:lo+crcBlock]))
	}
	if tail < len(data) {
		s.crcs = append(s.crcs, crc32.Update(checksum(data[tail:]), castagnoli(), pad))
	}
	for _, p := range [][]byte{data, pad} {
		if _, err := c.w.Write(p); err != nil {
			return err
		}
	}
	c.off += padded(s.length)
	c.sections = append(c.sections, s)
	c.ids = append(c.ids, sectionID{kind, field})
	return nil
}

// finish writes the directory and returns the header page, which belongs before everything else.
func (c *container) finish(rows int, minTS, maxTS uint64) ([]byte, error) {
	dir := binary.AppendUvarint(nil, uint64(len(c.sections)))
	for i, s := range c.sections {
		dir = append(dir, byte(c.ids[i].kind))
		dir = binary.AppendVarint(dir, c.ids[i].field)
		dir = binary.AppendUvarint(dir, uint64(s.offset))
		dir = binary.AppendUvarint(dir, uint64(s.length))
		for _, crc := range s.crcs {
			dir = binary.LittleEndian.AppendUint32(dir, crc)
		}
	}
	if _, err := c.w.Write(dir); err != nil {
		return nil, err
	}
	h := append(make([]byte, 0, pageSize), columnsMagic...)
	h = binary.LittleEndian.AppendUint16(h, formatMajor)
	h = binary.LittleEndian.AppendUint16(h, formatMinor)
	h = binary.LittleEndian.AppendUint32(h, pageSize)
	for _, v := range []uint64{uint64(rows), minTS, maxTS, uint64(pageSize + c.off), uint64(len(dir))} {
		h = binary.LittleEndian.AppendUint64(h, v)
	}
	h = binary.LittleEndian.AppendUint32(h, checksum(dir))
	h = h[:pageSize]
	binary.LittleEndian.PutUint32(h[pageSize-4:], checksum(h[:pageSize-4]))
	return h, nil
}

// columnsFile is an opened columns.gyrc: its directory, and access to its checked sections.
type columnsFile struct {
	name         string
	store        objstore.Store
	head         []byte // the file's first bytes, read at once
	whole        bool   // head is the whole file
	rows         int
	minTS, maxTS uint64
	sections     map[sectionID]section
}

// headRead is how much of a file the first request fetches: small segments need no second one.
const headRead = 256 << 10

func openColumns(ctx context.Context, store objstore.Store, name string) (*columnsFile, error) {
	f := &columnsFile{name: name, store: store}
	head := make([]byte, headRead)
	n, err := store.ReadAt(ctx, name, head, 0)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	f.head, f.whole = head[:n], n < headRead
	return f, f.parse(ctx)
}

func (f *columnsFile) parse(ctx context.Context) error {
	if len(f.head) < pageSize {
		return corrupt(f.name, "only %d bytes", len(f.head))
	}
	h := f.head[:pageSize]
	if string(h[:8]) != columnsMagic {
		return corrupt(f.name, "no columns file")
	}
	if got, want := checksum(h[:pageSize-4]), binary.LittleEndian.Uint32(h[pageSize-4:]); got != want {
		return corrupt(f.name, "header checksum %08x, computed %08x", want, got)
	}
	if major := binary.LittleEndian.Uint16(h[8:]); major != formatMajor {
		return fmt.Errorf("%s: format version %d, this binary reads %d", f.name, major, formatMajor)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(h[16+8*i:]) }
	rows, dirOff, dirLen := word(0), word(3), word(4)
	f.minTS, f.maxTS = word(1), word(2)
	if rows > 1<<31 || dirOff > 1<<50 || dirLen > maxDirectory {
		return corrupt(f.name, "header out of range")
	}
	f.rows = int(rows)
	dir, err := f.read(ctx, int64(dirOff), int64(dirLen))
	if err != nil {
		return err
	}
	if got, want := checksum(dir), binary.LittleEndian.Uint32(h[56:]); got != want {
		return corrupt(f.name, "directory checksum %08x, computed %08x", want, got)
	}
	return f.parseDirectory(dir, int64(dirOff))
}

func (f *columnsFile) parseDirectory(dir []byte, end int64) error {
	d := reader{src: dir}
	f.sections = map[sectionID]section{}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		id := sectionID{kind: sectionKind(d.byte())}
		id.field = d.varint()
		off, length := d.uvarint(), d.uvarint()
		if off > uint64(end) || length > uint64(end)-off || off%pageSize != 0 {
			return corrupt(f.name, "section out of range")
		}
		s := section{offset: int64(off), length: int64(length)}
		for i := int64(0); i < s.length && !d.bad; i += crcBlock {
			s.crcs = append(s.crcs, d.uint32())
		}
		f.sections[id] = s
	}
	if d.bad || len(d.src) != 0 {
		return corrupt(f.name, "directory cut short")
	}
	return nil
}

// read returns n bytes at off; a file that is too short is corrupt.
func (f *columnsFile) read(ctx context.Context, off, n int64) ([]byte, error) {
	if off+n <= int64(len(f.head)) {
		return f.head[off : off+n], nil
	}
	if f.whole {
		return nil, corrupt(f.name, "file ends at %d, %d bytes expected", len(f.head), off+n)
	}
	return readFull(ctx, f.store, f.name, off, n)
}

// readFull reads n bytes in steps, so that a length from a damaged file is never allocated on trust.
func readFull(ctx context.Context, store objstore.Store, name string, off, n int64) ([]byte, error) {
	const step = 8 << 20
	var out []byte
	for int64(len(out)) < n {
		at := len(out)
		out = append(out, make([]byte, min(step, n-int64(at)))...)
		_, err := store.ReadAt(ctx, name, out[at:], off+int64(at))
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, corrupt(name, "file ends before %d", off+n)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return out, nil
}

// section returns a section's checked bytes, nil when the file has none of that kind.
func (f *columnsFile) section(ctx context.Context, kind sectionKind, field int64) ([]byte, error) {
	s, ok := f.sections[sectionID{kind, field}]
	if !ok {
		return nil, nil
	}
	raw, err := f.read(ctx, s.offset, padded(s.length))
	if err != nil {
		return nil, err
	}
	for i, want := range s.crcs {
		lo := i * crcBlock
		if got := checksum(raw[lo:min(lo+crcBlock, len(raw))]); got != want {
			return nil, corrupt(f.name, "section %d of field %d: checksum %08x at %d, computed %08x",
				kind, field, want, s.offset+int64(lo), got)
		}
	}
	return raw[:s.length:s.length], nil
}

// exact returns a section that must have n bytes.
func (f *columnsFile) exact(ctx context.Context, kind sectionKind, field int64, n int) ([]byte, error) {
	raw, err := f.section(ctx, kind, field)
	if err == nil && len(raw) != n {
		err = corrupt(f.name, "section %d of field %d has %d bytes instead of %d", kind, field, len(raw), n)
	}
	return raw, err
}

// reader takes numbers off a byte slice; bad is set when it ran out.
type reader struct {
	src []byte
	bad bool
}

func (d *reader) fail() { d.src, d.bad = nil, true }

func (d *reader) byte() byte {
	if len(d.src) == 0 {
		d.fail()
		return 0
	}
	v := d.src[0]
	d.src = d.src[1:]
	return v
}

func (d *reader) uint32() uint32 {
	if len(d.src) < 4 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(d.src)
	d.src = d.src[4:]
	return v
}

func (d *reader) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *reader) varint() int64 {
	v, n := binary.Varint(d.src)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.src = d.src[n:]
	return v
}
