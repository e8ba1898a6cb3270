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
//	12 metric u8  13 quantiser u8  14 widening u16  16 dim u32  20 lists u32  24 lists asked for u32  28 zero u32
//	32 rows u64  40 zero u32  44 scale f32
//
// Lists are numbered as centroids; list l has the places offsets[l] to offsets[l+1] of rows, codes and weights. Files
// without codes have none of the sections mean, codes and weights.
const (
	quantNone = 0
	quantSQ8  = 1
)

const (
	kindCentroids imagefile.Kind = iota + 1
	kindOffsets
	kindRows
	kindMean
	kindCodes
	kindWeights
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "an IVF index", Magic: "GYRVIVFL", Major: 1,
		Sections: []string{"", "centroids", "offsets", "rows", "mean", "codes", "weights", "checksums"},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric vector.Metric
	codes  bool
	dim    int
	lists  int
	asked  int
	rows   int
	scale  float32
	widen  int
}

func (h *header) plan() imagefile.Layout {
	n, row := uint64(h.rows), uint64(h.dim)*4
	sections := []imagefile.Section{
		{Kind: kindCentroids, Length: uint64(h.lists) * row},
		{Kind: kindOffsets, Length: (uint64(h.lists) + 1) * 4},
		{Kind: kindRows, Length: n * 4},
	}
	if h.codes {
		sections = append(sections, imagefile.Section{Kind: kindMean, Length: row},
			imagefile.Section{Kind: kindCodes, Length: n * uint64(kernel.CodeStride(h.dim))},
			imagefile.Section{Kind: kindWeights, Length: n * 4})
	}
	return format().Plan(sections...)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0], b[1] = byte(h.metric), quantNone
	if h.codes {
		b[1] = quantSQ8
	}
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
	if b[1] != quantNone && b[1] != quantSQ8 {
		return nil, fmt.Errorf("%w: quantiser %d", vector.ErrVersion, b[1])
	}
	h := &header{
		metric: vector.Metric(b[0]), codes: b[1] == quantSQ8, widen: int(le.Uint16(b[2:])), dim: int(le.Uint32(b[4:])),
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
	return h, l.CheckLengths(h.plan())
}
