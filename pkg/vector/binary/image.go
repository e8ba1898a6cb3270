package binary

import (
	"io"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
)

// Image is a whole index in one piece of memory outside the Go heap, laid out as its file. It is safe for concurrent use.
type Image struct {
	lists
	head header
	file *imagefile.Image // whoever reads the lists has acquired it
}

// lists is the parts of an image that a search touches.
type lists struct {
	centroids []byte   // count x bytes of a row
	offs      []uint32 // list l is ids[offs[l]:offs[l+1]], ascending
	ids       []uint32
}

// list returns the rows of list i.
func (l *lists) list(i int) []uint32 { return l.ids[l.offs[i]:l.offs[i+1]] }

func (l *lists) count() int { return max(0, len(l.offs)-1) }

// newImage allocates memory and points the slices into it.
func newImage(h header, layout imagefile.Layout) (*Image, error) {
	file, err := imagefile.New(layout)
	if err != nil {
		return nil, err
	}
	img := &Image{head: h, file: file}
	img.lists = lists{
		centroids: file.Section(kindCentroids),
		offs:      imagefile.Words[uint32](file.Section(kindOffsets)),
		ids:       imagefile.Words[uint32](file.Section(kindRows)),
	}
	return img, nil
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

// Dim returns the number of bits per row.
func (img *Image) Dim() int { return img.head.dim }

// Metric returns the metric that the index was built for.
func (img *Image) Metric() vector.Metric { return img.head.metric }

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
	return imagefile.Load(format(), r, size, place, (*Image).check)
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
