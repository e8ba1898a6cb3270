package hnsw

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Image is a whole graph in one piece of memory outside the Go heap, laid out as its file. It is safe for concurrent use.
type Image struct {
	graph
	head header

	// mu is held for reading by whoever uses mem, for writing by Close.
	mu      sync.RWMutex
	mem     []byte
	closed  bool
	cleanup runtime.Cleanup
}

// newImage allocates memory for h, whose table is planned, and points the graph's slices into it.
func newImage(h header) (*Image, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("vector index images need a little-endian machine")
	}
	if h.size > 1<<46 {
		return nil, fmt.Errorf("a vector index of %d bytes is too large", h.size)
	}
	mem, err := allocate(int(h.size))
	if err != nil {
		return nil, err
	}
	img := &Image{head: h, mem: mem}
	// Memory of an image that nobody closes goes back when the image is collected.
	img.cleanup = runtime.AddCleanup(img, func(mem []byte) { _ = release(mem) }, mem)
	img.graph = graph{
		n: h.rows, m: h.m, m0: 2 * h.m, entry: h.entry, top: h.top,
		mean:   words[float32](img.section(kindMean)),
		codes:  kernel.Codes{Data: img.section(kindCodes), Stride: kernel.CodeStride(h.dim)},
		weight: words[int32](img.section(kindWeights)),
		links0: words[uint32](img.section(kindLinks)),
		upOff:  words[uint32](img.section(kindUpperIndex)),
		up:     words[uint32](img.section(kindUpper)),
		twins:  words[uint32](img.section(kindTwins)),
		widen:  h.widen,
		scale:  h.scale,
	}
	return img, nil
}

func words[T int32 | uint32 | float32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/4)
}

func (img *Image) section(k kind) []byte {
	s, ok := img.head.find(k)
	if !ok {
		return nil
	}
	return img.mem[s.off : s.off+s.length : s.off+s.length]
}

// seal writes checksums and header, after which the image may be written out.
func (img *Image) seal() {
	img.head.entry, img.head.top, img.head.scale, img.head.widen = img.entry, img.top, img.scale, img.widen
	sums := img.section(kindChecksums)
	i := 0
	img.head.eachBlock(func(_ section, off, end uint64) bool {
		binary.LittleEndian.PutUint32(sums[i*4:], checksum(img.mem[off:end]))
		i++
		return true
	})
	s, _ := img.head.find(kindChecksums)
	img.head.sumsCRC = checksum(img.mem[s.off:s.end()])
	img.head.encode(img.mem[:pageSize])
}

// eachBlock calls fn for the checksummed blocks in file order until it returns false.
func (h *header) eachBlock(fn func(s section, off, end uint64) bool) {
	for _, s := range h.table[:len(h.table)-1] {
		for off := s.off; off < s.end(); off += blockSize {
			if !fn(s, off, min(off+blockSize, s.end())) {
				return
			}
		}
	}
}

// Len returns the number of rows.
func (img *Image) Len() int { return img.head.rows }

// Dim returns the dimension.
func (img *Image) Dim() int { return img.head.dim }

// Metric returns the metric that the graph was built for.
func (img *Image) Metric() vector.Metric { return img.head.metric }

// Size returns the size of the file in bytes, which is the memory held too.
func (img *Image) Size() int64 { return int64(img.head.size) }

// WriteTo writes the file.
func (img *Image) WriteTo(w io.Writer) (int64, error) {
	img.mu.RLock()
	defer img.mu.RUnlock()
	if img.closed {
		return 0, vector.ErrClosed
	}
	var done int64
	for off := 0; off < len(img.mem); off += blockSize {
		n, err := w.Write(img.mem[off:min(off+blockSize, len(img.mem))])
		done += int64(n)
		if err != nil {
			return done, fmt.Errorf("writing a vector index: %w", err)
		}
	}
	return done, nil
}

// Close frees the memory after running writes and searches have ended. Closing twice is harmless.
func (img *Image) Close() error {
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.closed {
		return nil
	}
	img.closed = true
	img.cleanup.Stop()
	mem := img.mem
	img.mem, img.graph = nil, graph{}
	return release(mem)
}

// Load reads a file of size bytes into memory and checks it.
func Load(r io.ReaderAt, size int64) (*Image, error) {
	if size < pageSize {
		return nil, corrupt("header", "the file has only %d bytes", size)
	}
	page := make([]byte, pageSize)
	if err := readFull(r, page, 0); err != nil {
		return nil, err
	}
	h, err := decodeHeader(page, size)
	if err != nil {
		return nil, err
	}
	img, err := newImage(*h)
	if err != nil {
		return nil, err
	}
	if err := img.fill(r, page); err != nil {
		return nil, joinClose(err, img)
	}
	if err := img.check(); err != nil {
		return nil, joinClose(err, img)
	}
	return img, nil
}

func joinClose(err error, img *Image) error {
	if cerr := img.Close(); cerr != nil {
		return fmt.Errorf("%w (and freeing its memory: %v)", err, cerr)
	}
	return err
}

// fill reads everything behind the header and compares the checksums.
func (img *Image) fill(r io.ReaderAt, page []byte) error {
	copy(img.mem, page)
	s, _ := img.head.find(kindChecksums)
	sums := img.mem[s.off:s.end()]
	if err := readFull(r, sums, s.off); err != nil {
		return err
	}
	if got := checksum(sums); got != img.head.sumsCRC {
		return corrupt(s.kind.String(), "checksum %08x, expected %08x", got, img.head.sumsCRC)
	}
	var err error
	i := 0
	img.head.eachBlock(func(s section, off, end uint64) bool {
		block := img.mem[off:end]
		if err = readFull(r, block, off); err != nil {
			return false
		}
		if got, want := checksum(block), binary.LittleEndian.Uint32(sums[i*4:]); got != want {
			err = corrupt(s.kind.String(), "block at %d has checksum %08x, expected %08x", off, got, want)
			return false
		}
		i++
		return true
	})
	return err
}

func readFull(r io.ReaderAt, b []byte, off uint64) error {
	if n, err := r.ReadAt(b, int64(off)); n < len(b) {
		if err == io.EOF {
			return corrupt("file", "ends at %d, inside a block of %d bytes at %d", off+uint64(n), len(b), off)
		}
		return fmt.Errorf("reading a vector index at %d: %w", off, err)
	}
	return nil
}
