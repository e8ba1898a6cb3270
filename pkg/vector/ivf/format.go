package ivf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// The file is one of package imagefile, with these fields (their places in the header page):
//
//	12 metric u8  13 coding u8  14 widening u16  16 dim u32  20 lists u32  24 lists asked for u32  28 sub-quantisers u32
//	32 rows u64  40 bits of a sub-quantiser u32  44 scale f32
//
// Lists are numbered as centroids; list l has the places offsets[l] to offsets[l+1] of rows, codes and weights. Which of the
// other sections a file has depends on the coding. Minor version 1 added the codings after SQ8 and the section reach, which
// SQ8 may lack; the widening is not used any more.

const (
	kindCentroids imagefile.Kind = iota + 1
	kindOffsets
	kindRows
	kindMean
	kindCodes
	kindWeights
	kindChecksums
	kindReach
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "an IVF index", Magic: "GYRVIVFL", Major: 1, Minor: 1,
		Sections: []string{"", "centroids", "offsets", "rows", "mean", "codes", "weights", "checksums", "reach"},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric vector.Metric
	coding Coding
	dim    int
	lists  int
	asked  int
	rows   int
	scale  float32
	widen  int  // kept for readers of minor version 0
	reach  bool // whether there is a section of that kind
}

func (h *header) plan() imagefile.Layout {
	n, row := uint64(h.rows), uint64(h.dim)*4
	sections := []imagefile.Section{
		{Kind: kindCentroids, Length: uint64(h.lists) * row},
		{Kind: kindOffsets, Length: (uint64(h.lists) + 1) * 4},
		{Kind: kindRows, Length: n * 4},
	}
	if h.coding.scalar() {
		sections = append(sections, imagefile.Section{Kind: kindMean, Length: row},
			imagefile.Section{Kind: kindCodes, Length: n * uint64(kernel.CodeStride(h.dim))},
			imagefile.Section{Kind: kindWeights, Length: n * 4})
	}
	if h.reach {
		sections = append(sections, imagefile.Section{Kind: kindReach, Length: uint64(h.lists) * reachSize})
	}
	return format().Plan(sections...)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0], b[1] = byte(h.metric), byte(h.coding)
	le.PutUint16(b[2:], uint16(h.widen))
	le.PutUint32(b[4:], uint32(h.dim))
	le.PutUint32(b[8:], uint32(h.lists))
	le.PutUint32(b[12:], uint32(h.asked))
	le.PutUint64(b[20:], uint64(h.rows))
	le.PutUint32(b[32:], math.Float32bits(h.scale))
	return b
}

// decodeHeader reads the fields of a header page and compares the sections with them.
func decodeHeader(l *imagefile.Layout, b []byte) (*header, error) {
	le := binary.LittleEndian
	if Coding(b[1]) >= numCodings {
		return nil, fmt.Errorf("%w: %s", vector.ErrVersion, Coding(b[1]))
	}
	h := &header{
		metric: vector.Metric(b[0]), coding: Coding(b[1]), widen: int(le.Uint16(b[2:])), dim: int(le.Uint32(b[4:])),
		lists: int(le.Uint32(b[8:])), asked: int(le.Uint32(b[12:])), scale: math.Float32frombits(le.Uint32(b[32:])),
	}
	rows := le.Uint64(b[20:])
	switch {
	case !h.metric.Dense(), h.dim < 1, h.dim > MaxDim, h.lists > MaxLists, rows > maxRows, uint64(h.lists) > rows,
		h.lists == 0 && rows > 0, h.widen < 1, h.widen > sq8.MaxWiden,
		!(h.scale > 0) || math.IsInf(float64(h.scale), 0):
		return nil, imagefile.Corrupt("header", "parameters out of range")
	}
	h.rows = int(rows)
	_, h.reach = l.Find(kindReach)
	h.reach = h.reach || h.coding > SQ8
	return h, l.CheckLengths(h.plan())
}
