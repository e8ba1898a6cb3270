package hnsw

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// The file, little-endian: a header page, then sections that start on page borders and follow each other without gaps.
// The last section holds a crc32c for each block of each other section (padding included); its own crc and the page's
// are in the header. Readers skip sections of unknown kind and refuse an unknown major version.
//
//	0 magic  8 major u16  10 minor u16  12 metric u8  13 quantiser u8  14 widening u16  16 dim u32  20 M u32  24 efConstruction u32
//	28 entry u32  32 rows u64  40 top level u32  44 scale f32  48 file size u64  56 sections u32  60 crc of checksums u32
//	64 section table: kind u32, zero u32, offset u64, length u64    4092 crc of the bytes before it
const (
	magic        = "GYRVHNSW"
	majorVersion = 1
	minorVersion = 0
	quantSQ8     = 1

	pageSize    = 4096
	blockSize   = 1 << 20
	tableAt     = 64
	entrySize   = 24
	maxSections = (pageSize - 4 - tableAt) / entrySize
)

type kind uint32

const (
	kindMean kind = iota + 1
	kindCodes
	kindWeights
	kindLinks
	kindUpperIndex
	kindUpper
	kindTwins
	kindChecksums
)

func (k kind) String() string {
	names := [...]string{"", "mean", "codes", "weights", "links", "upper index", "upper links", "twins", "checksums"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return fmt.Sprintf("section %d", uint32(k))
}

// ErrCorrupt marks files whose bytes are not those that were written.
var ErrCorrupt = errors.New("vector index file is corrupt")

// ErrVersion marks files of a format that this program does not know.
var ErrVersion = errors.New("vector index file has an unknown format version")

func corrupt(where, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrCorrupt, where, fmt.Sprintf(format, args...))
}

type section struct {
	kind        kind
	off, length uint64
}

// end is where the next section starts.
func (s section) end() uint64 { return s.off + pad(s.length) }

func (s section) blocks() int { return int((pad(s.length) + blockSize - 1) / blockSize) }

func pad(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// header is the decoded first page.
type header struct {
	metric  vector.Metric
	dim     int
	m       int
	efc     int
	entry   uint32
	rows    int
	top     int
	scale   float32
	size    uint64
	widen   int
	sumsCRC uint32
	table   []section
}

// plan lays out the sections for a graph whose upper levels take upper words.
func (h *header) plan(upper uint64) {
	n := uint64(h.rows)
	lengths := []struct {
		kind   kind
		length uint64
	}{
		{kindMean, uint64(h.dim) * 4},
		{kindCodes, n * uint64(kernel.CodeStride(h.dim))},
		{kindWeights, n * 4},
		{kindLinks, n * uint64(2*h.m) * 4},
		{kindUpperIndex, n * 4},
		{kindUpper, upper * 4},
		{kindTwins, n * 4},
	}
	h.table, h.size = h.table[:0], pageSize
	blocks := 0
	add := func(k kind, length uint64) {
		s := section{k, h.size, length}
		h.table = append(h.table, s)
		h.size = s.end()
		blocks += s.blocks()
	}
	for _, l := range lengths {
		add(l.kind, l.length)
	}
	add(kindChecksums, uint64(blocks)*4)
}

func (h *header) encode(page []byte) {
	le := binary.LittleEndian
	clear(page)
	copy(page, magic)
	le.PutUint16(page[8:], majorVersion)
	le.PutUint16(page[10:], minorVersion)
	page[12], page[13] = byte(h.metric), quantSQ8
	le.PutUint16(page[14:], uint16(h.widen))
	le.PutUint32(page[16:], uint32(h.dim))
	le.PutUint32(page[20:], uint32(h.m))
	le.PutUint32(page[24:], uint32(h.efc))
	le.PutUint32(page[28:], h.entry)
	le.PutUint64(page[32:], uint64(h.rows))
	le.PutUint32(page[40:], uint32(h.top))
	le.PutUint32(page[44:], math.Float32bits(h.scale))
	le.PutUint64(page[48:], h.size)
	le.PutUint32(page[56:], uint32(len(h.table)))
	le.PutUint32(page[60:], h.sumsCRC)
	for i, s := range h.table {
		e := page[tableAt+i*entrySize:]
		le.PutUint32(e, uint32(s.kind))
		le.PutUint64(e[8:], s.off)
		le.PutUint64(e[16:], s.length)
	}
	le.PutUint32(page[pageSize-4:], checksum(page[:pageSize-4]))
}

// decodeHeader checks a header page against the size of its file.
func decodeHeader(page []byte, size int64) (*header, error) {
	const where = "header"
	le := binary.LittleEndian
	if got, want := checksum(page[:pageSize-4]), le.Uint32(page[pageSize-4:]); got != want {
		return nil, corrupt(where, "checksum %08x, expected %08x", got, want)
	}
	if string(page[:8]) != magic {
		return nil, corrupt(where, "not an HNSW index")
	}
	if v := le.Uint16(page[8:]); v != majorVersion {
		return nil, fmt.Errorf("%w: %d, this program knows %d", ErrVersion, v, majorVersion)
	}
	if page[13] != quantSQ8 {
		return nil, fmt.Errorf("%w: quantiser %d", ErrVersion, page[13])
	}
	h := &header{
		metric: vector.Metric(page[12]), widen: int(le.Uint16(page[14:])), dim: int(le.Uint32(page[16:])), m: int(le.Uint32(page[20:])),
		efc: int(le.Uint32(page[24:])), entry: le.Uint32(page[28:]), top: int(le.Uint32(page[40:])),
		scale: math.Float32frombits(le.Uint32(page[44:])), size: le.Uint64(page[48:]), sumsCRC: le.Uint32(page[60:]),
	}
	rows := le.Uint64(page[32:])
	switch {
	case !h.metric.Valid(), h.dim < 1, h.dim > MaxDim, h.m < MinM, h.m > MaxM, rows > maxRows, h.top > maxLevel,
		h.widen < 1, h.widen > maxWiden,
		!(h.scale > 0) || math.IsInf(float64(h.scale), 0):
		return nil, corrupt(where, "parameters out of range")
	case uint64(size) != h.size:
		return nil, corrupt(where, "the file has %d bytes, expected %d", size, h.size)
	}
	h.rows = int(rows)
	return h, h.decodeTable(page)
}

func (h *header) decodeTable(page []byte) error {
	le := binary.LittleEndian
	count := int(le.Uint32(page[56:]))
	if count < 1 || count > maxSections {
		return corrupt("header", "%d sections", count)
	}
	at := uint64(pageSize)
	for i := range count {
		e := page[tableAt+i*entrySize:]
		s := section{kind(le.Uint32(e)), le.Uint64(e[8:]), le.Uint64(e[16:])}
		if s.off != at || s.length > h.size || s.end() > h.size {
			return corrupt("header", "section %s lies outside the file", s.kind)
		}
		at = s.end()
		h.table = append(h.table, s)
	}
	if at != h.size || h.table[count-1].kind != kindChecksums {
		return corrupt("header", "the sections do not fill the file")
	}
	return h.checkLengths()
}

// checkLengths compares the sections with the parameters.
func (h *header) checkLengths() error {
	want := *h
	want.table = nil
	want.plan(0)
	blocks := 0
	for _, s := range h.table[:len(h.table)-1] {
		blocks += s.blocks()
	}
	for _, w := range want.table {
		s, ok := h.find(w.kind)
		switch {
		case !ok:
			return corrupt("header", "section %s is missing", w.kind)
		case w.kind == kindUpper && s.length%4 == 0:
		case w.kind == kindChecksums && s.length == uint64(blocks)*4:
		case s.length != w.length:
			return corrupt("header", "section %s has %d bytes, expected %d", w.kind, s.length, w.length)
		}
	}
	return nil
}

func (h *header) find(k kind) (section, bool) {
	for _, s := range h.table {
		if s.kind == k {
			return s, true
		}
	}
	return section{}, false
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
