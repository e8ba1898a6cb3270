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
//
// The quantiser says what the codes are: whole ones of 8 bits, or planes of 4 bits (sq8.Planes), which programs of minor
// version 0 refuse. To either, turned is added when vectors are turned before they are coded. Of the sections for codes a
// file has those of its quantiser; tuning is optional. Codes of a product quantiser have in the place of the scale
//
//	44 parts u16  46 bits u8  47 stages u8
//
// and the sections centroids (f32, by stage, part, code), codes of parts and, of several stages but for IP, lengths.
const (
	quantSQ8     = 1
	quantPlanes  = 2
	quantProduct = 3
	turned       = 16
)

const (
	kindMean imagefile.Kind = iota + 1
	kindCodes
	kindWeights
	kindLinks
	kindUpperIndex
	kindUpper
	kindTwins
	_ // checksums
	kindHigh
	kindLow
	kindHighWeights
	kindTuning
	kindBooks
	kindParts
	kindLengths
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "an HNSW index", Magic: "GYRVHNSW", Major: 1, Minor: 2,
		Sections: []string{
			"", "mean", "codes", "weights", "links", "upper index", "upper links", "twins", "checksums",
			"high halves", "low halves", "weights of high halves", "tuning", "centroids", "codes of parts", "lengths",
		},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric  vector.Metric
	dim     int
	m       int
	efc     int
	entry   uint32
	rows    int
	top     int
	scale   float32
	widen   int
	split   bool // codes are planes
	turned  bool
	tuned   bool // there is a tuning section
	product Product
}

// plan lays out the sections for a graph whose upper levels take upper words.
func (h *header) plan(upper uint64) imagefile.Layout {
	n := uint64(h.rows)
	sections := []imagefile.Section{
		{Kind: kindMean, Length: uint64(h.dim) * 4},
		{Kind: kindLinks, Length: n * uint64(2*h.m) * 4},
		{Kind: kindUpperIndex, Length: n * 4},
		{Kind: kindUpper, Length: upper * 4},
		{Kind: kindTwins, Length: n * 4},
	}
	if !h.product.wanted() {
		sections = append(sections, imagefile.Section{Kind: kindWeights, Length: n * 4})
	}
	switch {
	case h.product.wanted():
		sections = append(sections,
			imagefile.Section{Kind: kindBooks, Length: uint64(h.product.bookSize(h.dim)) * 4},
			imagefile.Section{Kind: kindParts, Length: n * uint64(h.product.RowBytes())})
		if h.product.hasLengths(h.metric) {
			sections = append(sections, imagefile.Section{Kind: kindLengths, Length: n * 4})
		}
	case h.split:
		half := n * uint64(sq8.PlaneStride(h.dim))
		sections = append(sections,
			imagefile.Section{Kind: kindHigh, Length: half},
			imagefile.Section{Kind: kindLow, Length: half},
			imagefile.Section{Kind: kindHighWeights, Length: n * 4})
	default:
		sections = append(sections, imagefile.Section{Kind: kindCodes, Length: n * uint64(kernel.CodeStride(h.dim))})
	}
	if h.tuned {
		sections = append(sections, imagefile.Section{Kind: kindTuning, Length: tuningSize})
	}
	return format().Plan(sections...)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0], b[1] = byte(h.metric), h.quantiser()
	le.PutUint16(b[2:], uint16(h.widen))
	le.PutUint32(b[4:], uint32(h.dim))
	le.PutUint32(b[8:], uint32(h.m))
	le.PutUint32(b[12:], uint32(h.efc))
	le.PutUint32(b[16:], h.entry)
	le.PutUint64(b[20:], uint64(h.rows))
	le.PutUint32(b[28:], uint32(h.top))
	le.PutUint32(b[32:], math.Float32bits(h.scale))
	if p := h.product; p.wanted() {
		le.PutUint16(b[32:], uint16(p.Parts))
		b[34], b[35] = byte(p.Bits), byte(p.Stages)
	}
	return b
}

func (h *header) quantiser() byte {
	q := byte(quantSQ8)
	switch {
	case h.product.wanted():
		q = quantProduct
	case h.split:
		q = quantPlanes
	}
	if h.turned {
		q += turned
	}
	return q
}

// decodeHeader reads the fields of a header page and compares the sections with them.
func decodeHeader(l *imagefile.Layout, b []byte) (*header, error) {
	le := binary.LittleEndian
	quant := b[1] &^ turned
	if quant < quantSQ8 || quant > quantProduct {
		return nil, fmt.Errorf("%w: quantiser %d", vector.ErrVersion, b[1])
	}
	_, tuned := l.Find(kindTuning)
	h := &header{
		split: quant == quantPlanes, turned: b[1]&turned != 0, tuned: tuned,
		metric: vector.Metric(b[0]), widen: int(le.Uint16(b[2:])), dim: int(le.Uint32(b[4:])), m: int(le.Uint32(b[8:])),
		efc: int(le.Uint32(b[12:])), entry: le.Uint32(b[16:]), top: int(le.Uint32(b[28:])), scale: math.Float32frombits(le.Uint32(b[32:])),
	}
	if quant == quantProduct {
		h.product, h.scale = Product{Parts: int(le.Uint16(b[32:])), Bits: int(b[34]), Stages: int(b[35])}, 1
		if err := h.product.check(h.dim); err != nil {
			return nil, imagefile.Corrupt("header", "%v", err)
		}
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
