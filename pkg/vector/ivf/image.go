package ivf

import (
	"io"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/calibrate"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Image is a whole index in one piece of memory outside the Go heap, laid out as its file. It is safe for concurrent use.
type Image struct {
	lists
	head  header
	table calibrate.Table
	file  *imagefile.Image // whoever reads the lists has acquired it
}

// lists is the parts of an image that a search touches.
type lists struct {
	centroids []float32 // count x dim
	offs      []uint32  // list l is ids[offs[l]:offs[l+1]], ascending
	ids       []uint32
	reach     []listReach // none in old files
	// Only with scalar codes; codes and weights lie in the order of the lists.
	mean   []float32
	codes  kernel.Codes
	weight []int32 // |code|^2; zero for inner product
	// Only with codes of residuals.
	books   []float32
	blocks  []byte
	blockAt []uint32 // the first block of each list, and their number
	bytes   []byte   // codes that do not lie in blocks
	factors []float32
}

// listReach is what is known of all rows of a list.
type listReach struct {
	sq8.Reach         // of scalar codes; of RaBitQ, Off is the greatest Spread
	Radius    float32 // the greatest distance of a row from the centroid; for Cosine, of rows of length 1
	Pull      float32 // what the centroid is multiplied with to come nearest to the rows; 1 but for Cosine
}

const reachSize = 16

func (l *lists) count() int { return max(0, len(l.offs)-1) }

// list returns the rows of list i.
func (l *lists) list(i int) []uint32 { return l.ids[l.offs[i]:l.offs[i+1]] }

// centroid returns the centroid of list i.
func (l *lists) centroid(i int) []float32 {
	dim := len(l.centroids) / l.count()
	return l.centroids[i*dim : (i+1)*dim]
}

// newImage allocates memory and points the slices into it.
func newImage(h header, layout imagefile.Layout) (*Image, error) {
	file, err := imagefile.New(layout)
	if err != nil {
		return nil, err
	}
	img := &Image{head: h, file: file}
	img.lists = lists{
		centroids: imagefile.Words[float32](file.Section(kindCentroids)),
		offs:      imagefile.Words[uint32](file.Section(kindOffsets)),
		ids:       imagefile.Words[uint32](file.Section(kindRows)),
		reach:     reaches(file.Section(kindReach)),
		mean:      imagefile.Words[float32](file.Section(kindMean)),
		codes:     kernel.Codes{Data: file.Section(kindCodes), Stride: kernel.CodeStride(h.dim)},
		weight:    imagefile.Words[int32](file.Section(kindWeights)),
		books:     imagefile.Words[float32](file.Section(kindBooks)),
		blocks:    file.Section(kindBlocks),
		factors:   imagefile.Words[float32](file.Section(kindFactors)),
	}
	if h.coding.residual() {
		img.bytes, img.codes = img.codes.Data, kernel.Codes{}
	}
	return img, nil
}

// reaches views bytes of an image as the bounds of lists.
func reaches(b []byte) []listReach {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*listReach)(unsafe.Pointer(&b[0])), len(b)/reachSize)
}

// blockStarts returns the first block of each list, and the number of blocks.
func blockStarts(offs []uint32) []uint32 {
	at := make([]uint32, max(1, len(offs)))
	for l := range len(offs) - 1 {
		at[l+1] = at[l] + (offs[l+1]-offs[l]+kernel.PQ4Block-1)/kernel.PQ4Block
	}
	return at
}

// check makes sure that every row lies in exactly one list, and that no list is empty.
func (img *Image) check() error {
	n := img.head.rows
	at := uint32(0)
	for l, off := range img.offs {
		if (l == 0 && off != 0) || (l > 0 && off <= at) {
			return corrupt(kindOffsets, "list %d starts at %d", l, off)
		}
		at = off
	}
	if int(at) != n {
		return corrupt(kindOffsets, "the lists have %d rows, expected %d", at, n)
	}
	for l, r := range img.reach {
		if !(r.Off >= 0) || !(r.Norm >= 0) || !(r.Radius >= 0) || !(r.Pull >= 0 && r.Pull <= 1) {
			return corrupt(kindReach, "list %d has the bounds %v", l, r)
		}
	}
	if img.head.blocked() {
		img.blockAt = blockStarts(img.offs)
		if got, want := img.head.blocks, img.blockAt[len(img.blockAt)-1]; got != int(want) {
			return corrupt(kindBlocks, "%d blocks, expected %d", got, want)
		}
	}
	for at, code := range img.bytes {
		if int(code)>>img.head.bits != 0 {
			return corrupt(kindCodes, "row %d has a code of more than %d bits", at/img.head.parts, img.head.bits)
		}
	}
	seen := make([]uint64, (n+63)/64)
	for _, id := range img.ids {
		if int(id) >= n || seen[id>>6]>>(id&63)&1 != 0 {
			return corrupt(kindRows, "row %d of %d does not exist or comes twice", id, n)
		}
		seen[id>>6] |= 1 << (id & 63)
	}
	return nil
}

// Len returns the number of rows.
func (img *Image) Len() int { return img.head.rows }

// Dim returns the dimension.
func (img *Image) Dim() int { return img.head.dim }

// Metric returns the metric that the index was built for.
func (img *Image) Metric() vector.Metric { return img.head.metric }

// Coding returns what lists hold beside row numbers.
func (img *Image) Coding() Coding { return img.head.coding }

// Parts returns the number of sub-quantisers of PQ, 0 for other codings.
func (img *Image) Parts() int {
	if img.head.coding != PQ {
		return 0
	}
	return img.head.parts
}

// Lists returns the number of lists, which may be smaller than asked for.
func (img *Image) Lists() int { return img.head.lists }

// Size returns the size of the file in bytes, which is the memory held too.
func (img *Image) Size() int64 { return img.file.Bytes() }

// WriteTo writes the file.
func (img *Image) WriteTo(w io.Writer) (int64, error) { return img.file.WriteTo(w) }

// Close frees the memory after running writes and searches have ended. Closing twice is harmless.
func (img *Image) Close() error { return img.file.Close(func() { img.lists = lists{} }) }

// Load reads a file of size bytes into memory and checks it.
func Load(r io.ReaderAt, size int64) (*Image, error) {
	return imagefile.Load(format(), r, size, place, func(img *Image) error {
		if err := img.check(); err != nil {
			return err
		}
		return img.readTuning()
	})
}

// place makes an image for a file whose header was read.
func place(l *imagefile.Layout, fields []byte) (*Image, *imagefile.Image, error) {
	h, err := decodeHeader(l, fields)
	if err != nil {
		return nil, nil, err
	}
	img, err := newImage(*h, *l)
	if err != nil {
		return nil, nil, err
	}
	return img, img.file, nil
}
