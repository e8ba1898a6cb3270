package ivf

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
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
// SQ8 may lack; the widening is not used any more. Files may lack the section tuning, see tuning.go.
//
// PQ and RaBitQ code what is left of a row without the list's reference, its centroid times its pull. Codes of 4 bits lie in
// blocks of 32 rows (kernel.PackPQ4), and each list starts with a new block; others are a byte per sub-quantiser. RaBitQ's
// bits are taken four at a time. Factors are what a score needs beside a code: see factors in residual.go.

const (
	kindCentroids imagefile.Kind = iota + 1
	kindOffsets
	kindRows
	kindMean
	kindCodes
	kindWeights
	kindChecksums
	kindReach
	kindBooks
	kindBlocks
	kindFactors
	kindTuning
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "an IVF index", Magic: "GYRVIVFL", Major: 1, Minor: 1,
		Sections: []string{"", "centroids", "offsets", "rows", "mean", "codes", "weights", "checksums", "reach", "books", "blocks", "factors", "tuning"},
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
	tuned  bool // the same
	parts  int  // of PQ and RaBitQ
	bits   int  // of a part
	blocks int  // of 32 rows, for codes of 4 bits
}

// blocked reports whether codes lie in blocks.
func (h *header) blocked() bool { return h.coding.residual() && h.bits == 4 }

// factors returns how many numbers there are beside each code.
func (h *header) factors() int {
	switch {
	case h.coding == RaBitQ:
		return 2
	case h.coding == PQ && h.metric == vector.L2:
		return 1
	}
	return 0
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
	if h.coding == PQ {
		sections = append(sections, imagefile.Section{Kind: kindBooks, Length: row << h.bits})
	}
	switch {
	case h.blocked():
		sections = append(sections, imagefile.Section{Kind: kindBlocks, Length: uint64(h.blocks) * uint64(h.parts) * 16})
	case h.coding.residual():
		sections = append(sections, imagefile.Section{Kind: kindCodes, Length: n * uint64(h.parts)})
	}
	if f := uint64(h.factors()); f > 0 {
		sections = append(sections, imagefile.Section{Kind: kindFactors, Length: n * f * 4})
	}
	if h.tuned {
		sections = append(sections, imagefile.Section{Kind: kindTuning, Length: tuningSize})
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
	le.PutUint32(b[16:], uint32(h.parts))
	le.PutUint64(b[20:], uint64(h.rows))
	le.PutUint32(b[28:], uint32(h.bits))
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
	h.parts, h.bits = int(le.Uint32(b[16:])), int(le.Uint32(b[28:]))
	rows := le.Uint64(b[20:])
	switch {
	case !h.metric.Dense(), h.dim < 1, h.dim > MaxDim, h.lists > MaxLists, rows > maxRows, uint64(h.lists) > rows,
		h.lists == 0 && rows > 0, h.widen < 1, h.widen > sq8.MaxWiden,
		!(h.scale > 0) || math.IsInf(float64(h.scale), 0):
		return nil, imagefile.Corrupt("header", "parameters out of range")
	}
	if err := h.checkParts(); err != nil {
		return nil, err
	}
	h.rows = int(rows)
	if blocks, ok := l.Find(kindBlocks); ok && h.blocked() {
		h.blocks = int(blocks.Length) / (16 * h.parts)
	}
	_, h.tuned = l.Find(kindTuning)
	_, h.reach = l.Find(kindReach)
	h.reach = h.reach || h.coding > SQ8
	return h, l.CheckLengths(h.plan())
}

func (h *header) checkParts() error {
	var err error
	switch {
	case h.coding == PQ:
		err = pq.Check(h.dim, h.parts, h.bits)
	case h.coding == RaBitQ && (h.parts != rabitq.Nibbles(h.dim) || h.bits != 4):
		err = fmt.Errorf("%d groups of %d bits", h.parts, h.bits)
	}
	if err != nil {
		return imagefile.Corrupt("header", "%s", err)
	}
	return nil
}
