package diskann

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// The file is one of package imagefile, with these fields (their places in the header page):
//
//	12 metric u8  13 element u8  14 widening u16  16 dim u32  20 degree u32  24 search list u32
//	28 zero u32  32 rows u64  40 deviation f32  44 hubs u32
const (
	kindMean imagefile.Kind = iota + 1
	kindSteps
	kindCodes
	kindWeights
	kindSlots
	kindHubs
	kindHubLinks
	kindEfforts
	kindSums
	kindNodes
)

func format() *imagefile.Format {
	return &imagefile.Format{
		Name: "a DISKANN index", Magic: "GYRVDISK", Major: 1,
		Sections: []string{"", "mean", "steps", "codes", "weights", "slots", "hubs", "hub links", "efforts", "checksums", "nodes"},
	}
}

func corrupt(k imagefile.Kind, text string, args ...any) error {
	return imagefile.Corrupt(format().KindName(k), text, args...)
}

// header is the decoded fields of the first page.
type header struct {
	metric    vector.Metric
	elem      vector.Elem
	dim       int
	degree    int
	list      int
	rows      int
	widen     int
	deviation float32 // see measureCodes
	hubs      int
}

const (
	// effortsSize is the room for what the calibration found: its length, u32, and a calibrate.Table.
	effortsSize = 2048

	maxHubs = 2048
	minHubs = 64
	maxWide = 64
)

// hubBudget returns the number of hubs: what fits 1/200 of the vectors' size in single precision. A walk compares its query
// with all of them, which bounds their number.
func (h *header) hubBudget() int {
	fit := h.rows * h.dim * 4 / 200 / (4 + 4*h.degree)
	return min(h.rows, maxHubs, max(minHubs, fit))
}

// plan lays out the sections.
func (h *header) plan() imagefile.Layout {
	n, dim, hubs := uint64(h.rows), uint64(h.dim), uint64(h.hubs)
	g := h.geometry()
	return format().Plan(
		imagefile.Section{Kind: kindMean, Length: dim * 4},
		imagefile.Section{Kind: kindSteps, Length: dim * 4},
		imagefile.Section{Kind: kindCodes, Length: n * uint64(kernel.U4Stride(h.dim))},
		imagefile.Section{Kind: kindWeights, Length: n * 4},
		imagefile.Section{Kind: kindSlots, Length: n * 4},
		imagefile.Section{Kind: kindHubs, Length: hubs * 4},
		imagefile.Section{Kind: kindHubLinks, Length: hubs * uint64(h.degree) * 4},
		imagefile.Section{Kind: kindEfforts, Length: effortsSize},
		imagefile.Section{Kind: kindNodes, Length: uint64(g.blocks(h.rows)) * uint64(g.block), Cold: true},
	)
}

// EstimateBytes returns the memory that an index takes, and the size of its file.
func EstimateBytes(dim int, elem vector.Elem, degree, rows int) (memory, file int64) {
	h := header{metric: vector.L2, elem: elem, dim: dim, degree: degree, rows: rows}
	h.hubs = h.hubBudget()
	l := h.plan()
	nodes, _ := l.Find(kindNodes)
	return int64(nodes.Off), int64(l.Size)
}

func (h *header) encode() []byte {
	b := make([]byte, imagefile.FieldsSize)
	le := binary.LittleEndian
	b[0], b[1] = byte(h.metric), byte(h.elem)
	le.PutUint16(b[2:], uint16(h.widen))
	le.PutUint32(b[4:], uint32(h.dim))
	le.PutUint32(b[8:], uint32(h.degree))
	le.PutUint32(b[12:], uint32(min(h.list, math.MaxUint32)))
	le.PutUint64(b[20:], uint64(h.rows))
	le.PutUint32(b[28:], math.Float32bits(h.deviation))
	le.PutUint32(b[32:], uint32(h.hubs))
	return b
}

// decodeHeader reads the fields of a header page and compares the sections with them.
func decodeHeader(l *imagefile.Layout, b []byte) (*header, error) {
	le := binary.LittleEndian
	h := &header{
		metric: vector.Metric(b[0]), elem: vector.Elem(b[1]), widen: int(le.Uint16(b[2:])), dim: int(le.Uint32(b[4:])),
		degree: int(le.Uint32(b[8:])), list: int(le.Uint32(b[12:])),
		deviation: math.Float32frombits(le.Uint32(b[28:])), hubs: int(le.Uint32(b[32:])),
	}
	rows := le.Uint64(b[20:])
	switch {
	case !h.metric.Dense(), h.elem > kernel.I8, h.dim < 1, h.dim > MaxDim, h.degree < MinDegree, h.degree > MaxDegree,
		rows > maxRows, h.widen < 1, h.widen > maxWide, uint64(h.hubs) > min(rows, maxHubs), rows > 0 && h.hubs == 0,
		!(h.deviation >= 0):
		return nil, imagefile.Corrupt("header", "parameters out of range")
	}
	h.rows = int(rows)
	return h, l.CheckLengths(h.plan())
}

// geometry says how nodes lie in blocks. A node is its vector as stored, padded to 4 bytes, its row u32, and its links. A
// block ends with its number and a crc32c of what comes before.
type geometry struct {
	vector   int // bytes
	node     int
	block    int
	perBlock int
}

const trailer = 8

func (h *header) geometry() geometry {
	g := geometry{vector: h.elem.RowBytes(h.dim)}
	g.node = (g.vector+3)&^3 + 4 + 4*h.degree
	pages := (g.node + trailer + imagefile.PageSize - 1) / imagefile.PageSize
	g.block = pages * imagefile.PageSize
	g.perBlock = (g.block - trailer) / g.node
	return g
}

func (g geometry) blocks(rows int) int { return (rows + g.perBlock - 1) / g.perBlock }

// node is a node in a block.
type node struct {
	vector []byte
	rest   []byte // row and links
}

func (g geometry) at(block []byte, i int) node {
	b := block[i*g.node : (i+1)*g.node]
	return node{b[:g.vector], b[(g.vector+3)&^3:]}
}

func (n node) row() uint32 { return binary.LittleEndian.Uint32(n.rest) }

// links returns the links as they are stored, in 4 bytes each.
func (n node) links() []byte { return n.rest[4:] }

func (n node) set(row uint32, vector []byte, links []uint32) {
	le := binary.LittleEndian
	copy(n.vector, vector)
	le.PutUint32(n.rest, row)
	for i, id := range links {
		le.PutUint32(n.rest[4+4*i:], id)
	}
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// sealBlock writes number and checksum.
func sealBlock(block []byte, number uint32) {
	le := binary.LittleEndian
	end := len(block) - trailer
	le.PutUint32(block[end:], number)
	le.PutUint32(block[end+4:], castagnoli(block[:end+4]))
}

// checkBlock reports what is wrong with a block that was read.
func checkBlock(block []byte, number uint32) error {
	le := binary.LittleEndian
	end := len(block) - trailer
	if got, want := castagnoli(block[:end+4]), le.Uint32(block[end+4:]); got != want {
		return fmt.Errorf("checksum %08x, expected %08x", got, want)
	}
	if got := le.Uint32(block[end:]); got != number {
		return fmt.Errorf("it says that it is block %d", got)
	}
	return nil
}
