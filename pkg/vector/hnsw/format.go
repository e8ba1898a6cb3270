package hnsw

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
//	12 metric u8  13 quantiser u8  14 widening u16  16 dim u32  20 M u32  24 efConstruction u32
//	28 entry u32  32 rows u64  40 top level u32  44 scale f32
const quantSQ8 = 1

const (
	kindMean imagefile.Kind = iota + 1
	kindCodes
	kindWeights
	kindLinks
	kindUpperIndex
	kindUpper
	kindTwins
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "an HNSW index", Magic: "GYRVHNSW", Major: 1,
		Sections: []string{"", "mean", "codes", "weights", "links", "upper index", "upper links", "twins", "checksums"},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric vector.Metric
	dim    int
	m      int
	efc    int
	entry  uint32
	rows   int
	top    int
	scale  float32
	widen  int
}

// plan lays out the sections for a graph whose upper levels take upper words.
func (h *header) plan(upper uint64) imagefile.Layout {
	n := uint64(h.rows)
	return format().Plan(
		imagefile.Section{Kind: kindMean, Length: uint64(h.dim) * 4},
		imagefile.Section{Kind: kindCodes, Length: n * uint64(kernel.CodeStride(h.dim))},
		imagefile.Section{Kind: kindWeights, Length: n * 4},
		imagefile.Section{Kind: kindLinks, Length: n * uint64(2*h.m) * 4},
		imagefile.Section{Kind: kindUpperIndex, Length: n * 4},
		imagefile.Section{Kind: kindUpper, Length: upper * 4},
		imagefile.Section{Kind: kindTwins, Length: n * 4},
	)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0], b[1] = byte(h.metric), quantSQ8
	le.PutUint16(b[2:], uint16(h.widen))
	le.PutUint32(b[4:], uint32(h.dim))
	le.PutUint32(b[8:], uint32(h.m))
	le.PutUint32(b[12:], uint32(h.efc))
	le.PutUint32(b[16:], h.entry)
	le.PutUint64(b[20:], uint64(h.rows))
	le.PutUint32(b[28:], uint32(h.top))
	le.PutUint32(b[32:], math.Float32bits(h.scale))
	return b
}

// decodeHeader reads the fields of a header page and compares the sections with them.
func decodeHeader(l *imagefile.Layout, b []byte) (*header, error) {
	le := binary.LittleEndian
	if b[1] != quantSQ8 {
		return nil, fmt.Errorf("%w: quantiser %d", vector.ErrVersion, b[1])
	}
	h := &header{
		metric: vector.Metric(b[0]), widen: int(le.Uint16(b[2:])), dim: int(le.Uint32(b[4:])), m: int(le.Uint32(b[8:])),
		efc: int(le.Uint32(b[12:])), entry: le.Uint32(b[16:]), top: int(le.Uint32(b[28:])), scale: math.Float32frombits(le.Uint32(b[32:])),
	}
	rows := le.Uint64(b[20:])
	switch {
	case !h.metric.Dense(), h.dim < 1, h.dim > MaxDim, h.m < MinM, h.m > MaxM, rows > maxRows, h.top > maxLevel,
		h.widen < 1, h.widen > sq8.MaxWiden,
		!(h.scale > 0) || math.IsInf(float64(h.scale), 0):
		return nil, imagefile.Corrupt("header", "parameters out of range")
	}
	h.rows = int(rows)
	return h, l.CheckLengths(h.plan(0), kindUpper)
}
