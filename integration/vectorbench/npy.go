package vectorbench

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// maxCells bounds what is read into memory: 16 GiB as float32.
const maxCells = 1 << 32

// npy is an open two-dimensional npy file in C order, little endian, versions 1 to 3 of the format
// (numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
type npy struct {
	file       *os.File
	kind       npyKind
	rows, cols int
}

// npyKind is an element type.
type npyKind struct {
	descr string
	width int
	float func(b []byte) float32 // nil: not for vectors
	int   func(b []byte) int64   // nil: not for ids
}

func npyKinds() []npyKind {
	le := binary.LittleEndian
	return []npyKind{
		{"<f4", 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }, nil},
		{"<f2", 2, func(b []byte) float32 { return halfToFloat(le.Uint16(b)) }, nil},
		{"<f8", 8, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }, nil},
		{"|u1", 1, func(b []byte) float32 { return float32(b[0]) }, nil},
		{"|i1", 1, func(b []byte) float32 { return float32(int8(b[0])) }, nil},
		{"<i4", 4, nil, func(b []byte) int64 { return int64(int32(le.Uint32(b))) }},
		{"<u4", 4, nil, func(b []byte) int64 { return int64(le.Uint32(b)) }},
		{"<i8", 8, nil, func(b []byte) int64 { return int64(le.Uint64(b)) }},
	}
}

var (
	npyDescr   = regexp.MustCompile(`'descr':\s*'([^']*)'`)
	npyFortran = regexp.MustCompile(`'fortran_order':\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape':\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)`)
)

// openNpy reads the header and checks that the file has the size it promises.
func openNpy(path string) (*npy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &npy{file: f}
	if err := a.header(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return a, nil
}

func (a *npy) header() error {
	var head [12]byte
	if _, err := io.ReadFull(a.file, head[:]); err != nil || string(head[:6]) != "\x93NUMPY" {
		return errors.New("this is no npy file; write it with numpy.save")
	}
	start, length := int64(10), int64(binary.LittleEndian.Uint16(head[8:]))
	if head[6] > 1 {
		start, length = 12, int64(binary.LittleEndian.Uint32(head[8:]))
	}
	if head[6] < 1 || head[6] > 3 || length > 1<<20 {
		return fmt.Errorf("npy format version %d with a header of %d bytes is not known; write the file with numpy.save", head[6], length)
	}
	raw := make([]byte, length)
	if _, err := a.file.ReadAt(raw, start); err != nil {
		return fmt.Errorf("reading the npy header: %w", err)
	}
	if err := a.parse(string(raw)); err != nil {
		return err
	}
	info, err := a.file.Stat()
	if err != nil {
		return err
	}
	if want := start + length + int64(a.rows)*int64(a.cols)*int64(a.kind.width); info.Size() != want {
		return fmt.Errorf("the file has %d bytes, but %d x %d of %s take %d: it is cut or damaged", info.Size(), a.rows, a.cols, a.kind.descr, want)
	}
	_, err = a.file.Seek(start+length, io.SeekStart)
	return err
}

func (a *npy) parse(header string) error {
	descr, fortran, shape := npyDescr.FindStringSubmatch(header), npyFortran.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if descr == nil || fortran == nil || shape == nil {
		return fmt.Errorf("npy header %q: expected an array of two dimensions, rows x columns", strings.TrimSpace(header))
	}
	if fortran[1] != "False" {
		return errors.New("the array is in Fortran order; save numpy.ascontiguousarray(a)")
	}
	rows, err1 := strconv.ParseInt(shape[1], 10, 40)
	cols, err2 := strconv.ParseInt(shape[2], 10, 31)
	if err1 != nil || err2 != nil || rows < 1 || cols < 1 || rows > maxCells/cols {
		return fmt.Errorf("shape (%s, %s) is out of bounds: at least one row and column, at most %d values", shape[1], shape[2], int64(maxCells))
	}
	a.rows, a.cols = int(rows), int(cols)
	for _, k := range npyKinds() {
		if k.descr == descr[1] {
			a.kind = k
			return nil
		}
	}
	return fmt.Errorf("element type %s is not read here; use float32, float16, float64, uint8 or int8 for vectors, int32 or int64 for ids", descr[1])
}

func (a *npy) close() error { return a.file.Close() }

// floats reads the first limit rows; 0 means all.
func (a *npy) floats(limit int) ([]float32, error) {
	if a.kind.float == nil {
		return nil, fmt.Errorf("%s holds %s, expected vectors of float32, float16, float64, uint8 or int8", a.file.Name(), a.kind.descr)
	}
	out := make([]float32, a.take(limit)*a.cols)
	err := a.each(len(out), func(i int, b []byte) { out[i] = a.kind.float(b) })
	return out, err
}

// ints reads the first limit rows; 0 means all.
func (a *npy) ints(limit int) ([]int64, error) {
	if a.kind.int == nil {
		return nil, fmt.Errorf("%s holds %s, expected row numbers of int32 or int64", a.file.Name(), a.kind.descr)
	}
	out := make([]int64, a.take(limit)*a.cols)
	err := a.each(len(out), func(i int, b []byte) { out[i] = a.kind.int(b) })
	return out, err
}

func (a *npy) take(limit int) int {
	if limit == 0 {
		return a.rows
	}
	return min(limit, a.rows)
}

func (a *npy) each(n int, fn func(i int, b []byte)) error {
	r, buf := bufio.NewReaderSize(a.file, 1<<20), make([]byte, 64<<10)
	w := a.kind.width
	for i := 0; i < n; {
		part := buf[:min(len(buf)/w, n-i)*w]
		if _, err := io.ReadFull(r, part); err != nil {
			return fmt.Errorf("reading %s: %w", a.file.Name(), err)
		}
		for ; len(part) > 0; part = part[w:] {
			fn(i, part)
			i++
		}
	}
	return nil
}

// halfToFloat converts an IEEE 754 half.
func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
	}
	f := float32(frac) / (1 << 24) // subnormal
	if sign != 0 {
		f = -f
	}
	return f
}

// writeNpy writes a row-major array.
func writeNpy[T float32 | uint8](path string, cols int, data []T) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	descr := "<f4"
	if _, ok := any(data).([]uint8); ok {
		descr = "|u1"
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", descr, len(data)/cols, cols)
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "\x93NUMPY\x01\x00%c%c%s", len(header)&0xff, len(header)>>8, header)
	for len(data) > 0 { // in parts, because binary.Write makes a copy
		part := data[:min(len(data), 1<<16)]
		if err := binary.Write(w, binary.LittleEndian, part); err != nil {
			return err
		}
		data = data[len(part):]
	}
	return w.Flush()
}
