package binary

import (
	"encoding/binary"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
)

// The file is one of package imagefile, with these fields (their places in the header page):
//
//	12 metric u8  16 dim u32  20 lists u32  24 lists asked for u32  32 rows u64
//
// Lists are numbered as centroids; list l has the places offsets[l] to offsets[l+1] of rows.

const (
	kindCentroids imagefile.Kind = iota + 1
	kindOffsets
	kindRows
	kindChecksums
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "a binary IVF index", Magic: "GYRVBIVF", Major: 1, Minor: 0,
		Sections: []string{"", "centroids", "offsets", "rows", "checksums"},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric vector.Metric
	dim    int
	lists  int
	asked  int
	rows   int
}

func (h *header) plan() imagefile.Layout {
	return format().Plan(
		imagefile.Section{Kind: kindCentroids, Length: uint64(h.lists) * uint64(rowBytes(h.dim))},
		imagefile.Section{Kind: kindOffsets, Length: (uint64(h.lists) + 1) * 4},
		imagefile.Section{Kind: kindRows, Length: uint64(h.rows) * 4},
	)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0] = byte(h.metric)
	le.PutUint32(b[4:], uint32(h.dim))
	le.PutUint32(b[8:], uint32(h.lists))
	le.PutUint32(b[12:], uint32(h.asked))
	le.PutUint64(b[20:], uint64(h.rows))
	return b
}

// decodeHeader reads the fields of a header page and compares the sections with them.
func decodeHeader(l *imagefile.Layout, b []byte) (*header, error) {
	le := binary.LittleEndian
	h := &header{metric: vector.Metric(b[0]), dim: int(le.Uint32(b[4:])), lists: int(le.Uint32(b[8:])), asked: int(le.Uint32(b[12:]))}
	rows := le.Uint64(b[20:])
	switch {
	case h.metric != vector.Hamming && h.metric != vector.Jaccard, h.dim < 8, h.dim > MaxDim, h.dim%8 != 0,
		h.lists > MaxLists, rows > maxRows, uint64(h.lists) > rows, h.lists == 0 && rows > 0:
		return nil, imagefile.Corrupt("header", "parameters out of range")
	}
	h.rows = int(rows)
	return h, l.CheckLengths(h.plan())
}
