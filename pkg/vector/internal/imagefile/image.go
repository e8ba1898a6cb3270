package imagefile

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
)

// Image is a whole file, but for its cold sections, in one piece of memory outside the Go heap. It is safe for concurrent use: whoever touches the
// memory between New and Close, other than its one builder, does so between Acquire and Release.
type Image struct {
	Layout

	// mu is held for reading by whoever uses mem, for writing by Close.
	mu      sync.RWMutex
	mem     []byte
	closed  bool
	cleanup runtime.Cleanup
}

// New allocates zeroed memory for a planned layout.
func New(l Layout) (*Image, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("vector index images need a little-endian machine")
	}
	if l.Size > 1<<46 {
		return nil, fmt.Errorf("a vector index of %d bytes is too large", l.Size)
	}
	mem, err := allocate(int(l.hot))
	if err != nil {
		return nil, err
	}
	img := &Image{Layout: l, mem: mem}
	// Memory of an image that nobody closes goes back when the image is collected.
	img.cleanup = runtime.AddCleanup(img, func(mem []byte) { _ = release(mem) }, mem)
	return img, nil
}

// Section returns the bytes of a section, nil if there is none or it is cold. They are valid until Close.
func (img *Image) Section(k Kind) []byte {
	s, ok := img.Find(k)
	if !ok || s.Cold {
		return nil
	}
	return img.mem[s.Off : s.Off+s.Length : s.Off+s.Length]
}

// Words views bytes of an image as numbers of four bytes.
func Words[T int32 | uint32 | float32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/4)
}

// Seal writes checksums and header, after which the image may be written out.
func (img *Image) Seal(fields []byte) {
	sums := img.Section(img.Format.checksums())
	i := 0
	img.eachBlock(func(_ Section, off, end uint64) bool {
		binary.LittleEndian.PutUint32(sums[i*4:], checksum(img.mem[off:end]))
		i++
		return true
	})
	s, _ := img.Find(img.Format.checksums())
	img.sumsCRC = checksum(img.mem[s.Off:s.End()])
	img.encode(img.mem[:PageSize], fields)
}

// Bytes returns the memory held, which is the size of the file without its cold sections.
func (img *Image) Bytes() int64 { return int64(img.hot) }

// Acquire keeps the memory until Release; on a closed image it returns vector.ErrClosed.
func (img *Image) Acquire() error {
	img.mu.RLock()
	if img.closed {
		img.mu.RUnlock()
		return vector.ErrClosed
	}
	return nil
}

// Release ends an Acquire.
func (img *Image) Release() { img.mu.RUnlock() }

// WriteTo writes the file up to its first cold section.
func (img *Image) WriteTo(w io.Writer) (int64, error) {
	if err := img.Acquire(); err != nil {
		return 0, err
	}
	defer img.Release()
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

// Close frees the memory after all that acquired it have released it; forget is called first, to drop what points into
// it. Closing twice is harmless.
func (img *Image) Close(forget func()) error {
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.closed {
		return nil
	}
	img.closed = true
	img.cleanup.Stop()
	mem := img.mem
	img.mem = nil
	forget()
	return release(mem)
}

// Header reads the first page of a file of size bytes and decodes it.
func (f *Format) Header(r io.ReaderAt, size int64) (Layout, []byte, error) {
	if size < PageSize {
		return Layout{}, nil, Corrupt("header", "the file has only %d bytes", size)
	}
	page := make([]byte, PageSize)
	if err := readFull(r, page, 0); err != nil {
		return Layout{}, nil, err
	}
	return f.Decode(page, size)
}

// Fill reads everything behind the header that the layout was decoded from, and compares the checksums.
func (img *Image) Fill(r io.ReaderAt) error {
	copy(img.mem, img.page)
	s, _ := img.Find(img.Format.checksums())
	sums := img.mem[s.Off:s.End()]
	if err := readFull(r, sums, s.Off); err != nil {
		return err
	}
	if got := checksum(sums); got != img.sumsCRC {
		return Corrupt(img.Format.KindName(s.Kind), "checksum %08x, expected %08x", got, img.sumsCRC)
	}
	var err error
	i := 0
	img.eachBlock(func(s Section, off, end uint64) bool {
		block := img.mem[off:end]
		if err = readFull(r, block, off); err != nil {
			return false
		}
		if got, want := checksum(block), binary.LittleEndian.Uint32(sums[i*4:]); got != want {
			err = Corrupt(img.Format.KindName(s.Kind), "block at %d has checksum %08x, expected %08x", off, got, want)
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
			return Corrupt("file", "ends at %d, inside a block of %d bytes at %d", off+uint64(n), len(b), off)
		}
		return fmt.Errorf("reading a vector index at %d: %w", off, err)
	}
	return nil
}
