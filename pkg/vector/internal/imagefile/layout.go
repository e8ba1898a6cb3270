package imagefile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
)

const (
	// PageSize is the size of the header; sections start at its multiples.
	PageSize = 4096
	// FieldsSize is the size of the part of the header that belongs to the kind of index.
	FieldsSize = 36

	blockSize   = 1 << 20
	fieldsAt    = 12
	tableAt     = 64
	entrySize   = 24
	flagCold    = 1
	maxSections = (PageSize - 4 - tableAt) / entrySize
)

// Format describes a kind of index file.
type Format struct {
	Name  string // for errors: "an HNSW index"
	Magic string // 8 bytes
	Major uint16
	Minor uint16
	// Sections names the kinds of section; the first is unused, as kinds count from 1. The one called checksums is the
	// table's; it keeps its number when kinds are added behind it, so that older files stay readable.
	Sections []string
}

// checksumSection is the name of the section that holds checksums.
const checksumSection = "checksums"

// Kind says what a section holds, in the numbering of its Format.
type Kind uint32

// KindName names a kind of section.
func (f *Format) KindName(k Kind) string {
	if int(k) < len(f.Sections) && k > 0 {
		return f.Sections[k]
	}
	return fmt.Sprintf("section %d", uint32(k))
}

func (f *Format) checksums() Kind { return Kind(slices.Index(f.Sections, checksumSection)) }

// Corrupt returns an error of kind vector.ErrCorrupt.
func Corrupt(where, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", vector.ErrCorrupt, where, fmt.Sprintf(format, args...))
}

// Section is a part of a file. Only planned and decoded ones have an offset.
type Section struct {
	Kind        Kind
	Off, Length uint64
	// Cold sections lie behind the checksums and stay on disk: images do not hold them, and who reads a part of one checks
	// it by checksums of its own.
	Cold bool
}

// End is where the next section starts.
func (s Section) End() uint64 { return s.Off + pad(s.Length) }

func (s Section) blocks() int { return int((pad(s.Length) + blockSize - 1) / blockSize) }

func pad(n uint64) uint64 { return (n + PageSize - 1) &^ (PageSize - 1) }

// Layout says where the sections of a file lie.
type Layout struct {
	Format *Format
	Size   uint64 // of the file
	Table  []Section

	hot     uint64 // bytes before the first cold section
	sumsCRC uint32
	page    []byte // what it was decoded from
}

// Plan lays out sections one after the other, the checksums behind them, and the cold sections last.
func (f *Format) Plan(sections ...Section) Layout {
	l := Layout{Format: f, Size: PageSize}
	blocks := 0
	add := func(s Section) {
		s.Off = l.Size
		l.Table = append(l.Table, s)
		l.Size = s.End()
	}
	for _, s := range sections {
		if !s.Cold {
			add(s)
			blocks += s.blocks()
		}
	}
	add(Section{Kind: f.checksums(), Length: uint64(blocks) * 4})
	l.hot = l.Size
	for _, s := range sections {
		if s.Cold {
			add(s)
		}
	}
	return l
}

// Find returns the first section of a kind.
func (l *Layout) Find(k Kind) (Section, bool) {
	for _, s := range l.Table {
		if s.Kind == k {
			return s, true
		}
	}
	return Section{}, false
}

// Where names the part of the file that holds byte at.
func (l *Layout) Where(at uint64) string {
	for _, s := range l.Table {
		if at >= s.Off && at < s.End() {
			return l.Format.KindName(s.Kind)
		}
	}
	return "header"
}

// eachBlock calls fn for the checksummed blocks in file order until it returns false.
func (l *Layout) eachBlock(fn func(s Section, off, end uint64) bool) {
	for _, s := range l.Table {
		if s.Kind == l.Format.checksums() {
			return // only cold sections follow
		}
		for off := s.Off; off < s.End(); off += blockSize {
			if !fn(s, off, min(off+blockSize, s.End())) {
				return
			}
		}
	}
}

// encode writes the header page around fields.
func (l *Layout) encode(page, fields []byte) {
	le := binary.LittleEndian
	clear(page)
	copy(page, l.Format.Magic)
	le.PutUint16(page[8:], l.Format.Major)
	le.PutUint16(page[10:], l.Format.Minor)
	copy(page[fieldsAt:fieldsAt+FieldsSize], fields)
	le.PutUint64(page[48:], l.Size)
	le.PutUint32(page[56:], uint32(len(l.Table)))
	le.PutUint32(page[60:], l.sumsCRC)
	for i, s := range l.Table {
		e := page[tableAt+i*entrySize:]
		le.PutUint32(e, uint32(s.Kind))
		if s.Cold {
			le.PutUint32(e[4:], flagCold)
		}
		le.PutUint64(e[8:], s.Off)
		le.PutUint64(e[16:], s.Length)
	}
	le.PutUint32(page[PageSize-4:], checksum(page[:PageSize-4]))
}

// Decode checks a header page against the size of its file and returns the layout and the fields of the kind of index,
// which are part of page.
func (f *Format) Decode(page []byte, size int64) (Layout, []byte, error) {
	const where = "header"
	le := binary.LittleEndian
	l := Layout{Format: f, page: page}
	if len(page) < PageSize {
		return l, nil, Corrupt(where, "the file has only %d bytes", size)
	}
	if got, want := checksum(page[:PageSize-4]), le.Uint32(page[PageSize-4:]); got != want {
		return l, nil, Corrupt(where, "checksum %08x, expected %08x", got, want)
	}
	if string(page[:8]) != f.Magic {
		return l, nil, Corrupt(where, "not %s", f.Name)
	}
	if v := le.Uint16(page[8:]); v != f.Major {
		return l, nil, fmt.Errorf("%w: %d, this program knows %d", vector.ErrVersion, v, f.Major)
	}
	l.Size, l.sumsCRC = le.Uint64(page[48:]), le.Uint32(page[60:])
	if uint64(size) != l.Size {
		return l, nil, Corrupt(where, "the file has %d bytes, expected %d", size, l.Size)
	}
	return l, page[fieldsAt : fieldsAt+FieldsSize], l.decodeTable(page)
}

func (l *Layout) decodeTable(page []byte) error {
	le := binary.LittleEndian
	count := int(le.Uint32(page[56:]))
	if count < 1 || count > maxSections {
		return Corrupt("header", "%d sections", count)
	}
	at, blocks := uint64(PageSize), 0
	for i := range count {
		e := page[tableAt+i*entrySize:]
		s := Section{Kind: Kind(le.Uint32(e)), Off: le.Uint64(e[8:]), Length: le.Uint64(e[16:]), Cold: le.Uint32(e[4:]) == flagCold}
		sums := s.Kind == l.Format.checksums()
		switch {
		case s.Off != at || s.Length > l.Size || s.End() > l.Size:
			return Corrupt("header", "section %s lies outside the file", l.Format.KindName(s.Kind))
		case s.Cold != (l.hot != 0) || (s.Cold && sums):
			return Corrupt("header", "section %s is on the wrong side of the checksums", l.Format.KindName(s.Kind))
		case sums && s.Length != uint64(blocks)*4:
			return Corrupt("header", "%d bytes of checksums for %d blocks", s.Length, blocks)
		}
		at = s.End()
		if sums {
			l.hot = at
		}
		l.Table = append(l.Table, s)
		blocks += s.blocks()
	}
	if at != l.Size || l.hot == 0 {
		return Corrupt("header", "the sections do not fill the file")
	}
	return nil
}

// CheckLengths compares the sections with those that the fields of the header ask for. The length of a section of a kind
// in free is not known from them, and need only be one of whole 4-byte words.
func (l *Layout) CheckLengths(want Layout, free ...Kind) error {
	for _, w := range want.Table {
		if w.Kind == l.Format.checksums() {
			continue
		}
		s, ok := l.Find(w.Kind)
		isFree := false
		for _, k := range free {
			isFree = isFree || k == w.Kind
		}
		switch {
		case !ok || s.Cold != w.Cold:
			return Corrupt("header", "section %s is missing", l.Format.KindName(w.Kind))
		case isFree && s.Length%4 == 0:
		case s.Length != w.Length:
			return Corrupt("header", "section %s has %d bytes, expected %d", l.Format.KindName(w.Kind), s.Length, w.Length)
		}
	}
	return nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
