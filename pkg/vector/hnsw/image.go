package hnsw

import (
	"io"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Image is a whole graph in one piece of memory outside the Go heap, laid out as its file. It is safe for concurrent use.
type Image struct {
	graph
	head header
	file *imagefile.Image // whoever reads the graph has acquired it
}

// newImage allocates memory and points the graph's slices into it.
func newImage(h header, l imagefile.Layout) (*Image, error) {
	file, err := imagefile.New(l)
	if err != nil {
		return nil, err
	}
	img := &Image{head: h, file: file}
	img.graph = graph{
		n: h.rows, m: h.m, m0: 2 * h.m, entry: h.entry, top: h.top,
		mean:   imagefile.Words[float32](file.Section(kindMean)),
		links0: imagefile.Words[uint32](file.Section(kindLinks)),
		upOff:  imagefile.Words[uint32](file.Section(kindUpperIndex)),
		up:     imagefile.Words[uint32](file.Section(kindUpper)),
		twins:  imagefile.Words[uint32](file.Section(kindTwins)),
		widen:  h.widen,
		scale:  h.scale,
		split:  h.split,
		tuning: tuning{widenHigh: 1},
	}
	weight := imagefile.Words[int32](file.Section(kindWeights))
	switch {
	case h.product.wanted():
		img.setProduct()
	case h.split:
		stride := sq8.PlaneStride(h.dim)
		img.planes = sq8.Planes{
			High:       kernel.Codes{Data: file.Section(kindHigh), Stride: stride},
			Low:        kernel.Codes{Data: file.Section(kindLow), Stride: stride},
			HighWeight: imagefile.Words[int32](file.Section(kindHighWeights)),
			Weight:     weight,
		}
		img.codes, img.weight = img.planes.High, img.planes.HighWeight
	default:
		img.codes, img.weight = kernel.Codes{Data: file.Section(kindCodes), Stride: kernel.CodeStride(h.dim)}, weight
	}
	if h.turned {
		img.rotation = sq8.NewRotation(h.dim)
	}
	return img, nil
}

// setProduct points to codes of a product quantiser.
func (img *Image) setProduct() {
	h, file := &img.head, img.file
	p := newProduct(h.product, h.metric, img.mean, imagefile.Words[float32](file.Section(kindBooks)))
	p.codes = kernel.Codes{Data: file.Section(kindParts), Stride: h.product.RowBytes()}
	p.length = imagefile.Words[float32](file.Section(kindLengths))
	img.product, img.codes = p, p.codes
}

// seal writes checksums and header, after which the image may be written out.
func (img *Image) seal() {
	img.head.entry, img.head.top, img.head.scale, img.head.widen = img.entry, img.top, img.scale, img.widen
	if img.head.tuned {
		img.tuning.encode(img.file.Section(kindTuning))
	}
	img.file.Seal(img.head.encode())
}

// Len returns the number of rows.
func (img *Image) Len() int { return img.head.rows }

// Dim returns the dimension.
func (img *Image) Dim() int { return img.head.dim }

// Product returns what the graph's codes are; the zero value when they are integers.
func (img *Image) Product() Product { return img.head.product }

// Metric returns the metric that the graph was built for.
func (img *Image) Metric() vector.Metric { return img.head.metric }

// Size returns the size of the file in bytes, which is the memory held too.
func (img *Image) Size() int64 { return img.file.Bytes() }

// WriteTo writes the file.
func (img *Image) WriteTo(w io.Writer) (int64, error) { return img.file.WriteTo(w) }

// Close frees the memory after running writes and searches have ended. Closing twice is harmless.
func (img *Image) Close() error { return img.file.Close(func() { img.graph = graph{} }) }

// Load reads a file of size bytes into memory and checks it.
func Load(r io.ReaderAt, size int64) (*Image, error) {
	return imagefile.Load(format(), r, size, place, func(img *Image) error {
		if err := img.tuning.decode(img.file.Section(kindTuning)); err != nil {
			return err
		}
		return img.check()
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
