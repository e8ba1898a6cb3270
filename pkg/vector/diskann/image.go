package diskann

import (
	"encoding/binary"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/rotate"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq4"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// image is the hot part of a file.
type image struct {
	head  header
	geom  geometry
	file  *imagefile.Image // whoever reads the slices below has acquired it
	nodes uint64           // where the cold part starts

	turn     *rotate.Rotation
	quant    sq4.Quantiser
	codes    kernel.Codes
	weight   []float32
	slots    []uint32 // row -> place among the nodes
	hubs     []uint32 // rows, ascending
	hubLinks []uint32
	table    calibrate.Table
}

func newImage(h header, l imagefile.Layout) (*image, error) {
	file, err := imagefile.New(l)
	if err != nil {
		return nil, err
	}
	nodes, _ := l.Find(kindNodes)
	img := &image{
		head: h, geom: h.geometry(), file: file, nodes: nodes.Off, turn: rotate.New(h.dim),
		codes:    kernel.Codes{Data: file.Section(kindCodes), Stride: kernel.U4Stride(h.dim)},
		weight:   imagefile.Words[float32](file.Section(kindWeights)),
		slots:    imagefile.Words[uint32](file.Section(kindSlots)),
		hubs:     imagefile.Words[uint32](file.Section(kindHubs)),
		hubLinks: imagefile.Words[uint32](file.Section(kindHubLinks)),
	}
	img.quant = sq4.Quantiser{
		IP:   h.metric == vector.IP,
		Mean: imagefile.Words[float32](file.Section(kindMean)), Step: imagefile.Words[float32](file.Section(kindSteps)),
	}
	return img, nil
}

// seal writes what is not in its place yet, and the checksums.
func (img *image) seal() {
	if b, e := img.file.Section(kindEfforts), img.table.Encode(); len(e) <= len(b)-4 {
		binary.LittleEndian.PutUint32(b, uint32(len(e)))
		copy(b[4:], e)
	}
	img.file.Seal(img.head.encode())
}

// readEfforts decodes what the calibration found.
func (img *image) readEfforts() (err error) {
	b := img.file.Section(kindEfforts)
	size := binary.LittleEndian.Uint32(b)
	if size > uint32(len(b)-4) {
		return corrupt(kindEfforts, "%d bytes in %d", size, len(b))
	}
	img.table, err = calibrate.Decode(b[4 : 4+size])
	return err
}

// Close frees the memory after searches have ended.
func (img *image) Close() error {
	return img.file.Close(func() {
		img.quant, img.codes, img.weight = sq4.Quantiser{}, kernel.Codes{}, nil
		img.slots, img.hubs, img.hubLinks = nil, nil, nil
	})
}

// check makes sure that no search can leave the image or the file.
func (img *image) check() error {
	n := uint32(img.head.rows)
	taken := make([]uint64, (n+63)/64)
	for row, slot := range img.slots {
		if slot >= n || taken[slot/64]>>(slot%64)&1 != 0 {
			return corrupt(kindSlots, "row %d has slot %d of %d, or shares it", row, slot, n)
		}
		taken[slot/64] |= 1 << (slot % 64)
	}
	for i, id := range img.hubs {
		if id >= n || (i > 0 && id <= img.hubs[i-1]) {
			return corrupt(kindHubs, "rows out of order or of range")
		}
	}
	for _, id := range img.hubLinks {
		if id >= n && id != none {
			return corrupt(kindHubLinks, "link to row %d of %d", id, n)
		}
	}
	return img.readEfforts()
}

// hub returns the links of a node if they are in memory.
func (img *image) hub(row uint32) ([]uint32, bool) {
	i, ok := slices.BinarySearch(img.hubs, row)
	if !ok {
		return nil, false
	}
	r := img.head.degree
	return used(img.hubLinks[i*r : (i+1)*r]), true
}

// place returns block and number inside it of a row's node.
func (img *image) place(row uint32) (block uint32, i int) {
	slot := img.slots[row]
	per := uint32(img.geom.perBlock)
	return slot / per, int(slot % per)
}

// offset returns where a block starts in the file.
func (img *image) offset(block uint32) int64 {
	return int64(img.nodes) + int64(block)*int64(img.geom.block)
}
