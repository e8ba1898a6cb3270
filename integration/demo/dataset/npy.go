package dataset

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// array is a two-dimensional npy file: float16, float32 or int32, little endian, C order.
type array struct {
	rows, cols int
	kind       string // <f2, <f4, <i4
	data       []byte
}

var (
	npyKind    = regexp.MustCompile(`'descr':\s*'([^']*)'`)
	npyFortran = regexp.MustCompile(`'fortran_order':\s*(True|False)`)
	npyShape   = regexp.MustCompile(`'shape':\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)`)
)

// parseNpy reads the header of an npy file of format version 1 to 3 and checks that the data is all there.
func parseNpy(raw []byte) (array, error) {
	if len(raw) < 12 || string(raw[:6]) != "\x93NUMPY" {
		return array{}, fmt.Errorf("not an npy file")
	}
	start, length := int64(10), int64(binary.LittleEndian.Uint16(raw[8:]))
	if raw[6] > 1 {
		start, length = 12, int64(binary.LittleEndian.Uint32(raw[8:]))
	}
	if raw[6] < 1 || raw[6] > 3 || start+length > int64(len(raw)) {
		return array{}, fmt.Errorf("npy header: version %d, %d bytes of header in a file of %d", raw[6], length, len(raw))
	}
	header := string(raw[start : start+length])
	kind, fortran, shape := npyKind.FindStringSubmatch(header), npyFortran.FindStringSubmatch(header), npyShape.FindStringSubmatch(header)
	if kind == nil || fortran == nil || shape == nil {
		return array{}, fmt.Errorf("npy header %q is not that of a two-dimensional array", strings.TrimSpace(header))
	}
	width, ok := map[string]int64{"<f2": 2, "<f4": 4, "<i4": 4}[kind[1]]
	if !ok || fortran[1] != "False" {
		return array{}, fmt.Errorf("npy: type %s, fortran order %s; wanted <f2, <f4 or <i4 in C order", kind[1], fortran[1])
	}
	rows, err1 := strconv.ParseInt(shape[1], 10, 32)
	cols, err2 := strconv.ParseInt(shape[2], 10, 32)
	if err1 != nil || err2 != nil || cols == 0 || rows > maxCells/cols {
		return array{}, fmt.Errorf("npy: shape (%s, %s) is out of bounds", shape[1], shape[2])
	}
	data := raw[start+length:]
	if int64(len(data)) != rows*cols*width {
		return array{}, fmt.Errorf("npy: %d bytes of data, but shape (%d, %d) of %s takes %d", len(data), rows, cols, kind[1], rows*cols*width)
	}
	return array{int(rows), int(cols), kind[1], data}, nil
}

// floats are the array's values as vectors.
func (a array) floats() (Vectors, error) {
	v := Vectors{Dim: a.cols, Data: make([]float32, a.rows*a.cols)}
	switch a.kind {
	case "<f4":
		for i := range v.Data {
			v.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(a.data[4*i:]))
		}
	case "<f2":
		for i := range v.Data {
			v.Data[i] = halfToFloat(binary.LittleEndian.Uint16(a.data[2*i:]))
		}
	default:
		return Vectors{}, fmt.Errorf("npy: %s where floats were expected", a.kind)
	}
	return v, nil
}

// ints are the array's values, row by row.
func (a array) ints() ([][]int64, error) {
	if a.kind != "<i4" {
		return nil, fmt.Errorf("npy: %s where <i4 was expected", a.kind)
	}
	out := make([][]int64, a.rows)
	for r := range out {
		out[r] = make([]int64, a.cols)
		for c := range out[r] {
			out[r][c] = int64(int32(binary.LittleEndian.Uint32(a.data[4*(r*a.cols+c):])))
		}
	}
	return out, nil
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
