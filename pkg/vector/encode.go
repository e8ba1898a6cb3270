package vector

import (
	"encoding/binary"
	"math"

	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Encode appends numbers as elem stores them, rounded to the nearest, ties to even: float16 values too large become
// infinities, as IEEE 754 says. It takes F32, F16 and BF16.
func Encode(elem Elem, v []float32, dst []byte) []byte {
	for _, x := range v {
		bits := math.Float32bits(x)
		switch elem {
		case kernel.F16:
			dst = binary.LittleEndian.AppendUint16(dst, half(bits))
		case kernel.BF16:
			dst = binary.LittleEndian.AppendUint16(dst, brain(bits))
		default:
			dst = binary.LittleEndian.AppendUint32(dst, bits)
		}
	}
	return dst
}

// brain is the upper half of a single, rounded. NaNs stay NaNs.
func brain(bits uint32) uint16 {
	if bits&^(1<<31) > 0xff<<23 {
		return uint16(bits>>16) | 1<<6
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// half is a single rounded to half precision.
func half(bits uint32) uint16 {
	sign := uint16(bits >> 16 & 0x8000)
	abs := bits &^ (1 << 31)
	switch {
	case abs > 0xff<<23:
		return sign | 0x7e00 // NaN
	case abs >= 143<<23: // 2^16 and above
		return sign | 0x7c00
	case abs >= 113<<23: // normal: drop 13 bits of the fraction; a carry into the exponent is what rounding up means
		abs += 0xfff + abs>>13&1
		return sign | uint16((abs-112<<23)>>13)
	case abs < 102<<23: // at most half of the least subnormal, 2^-24
		return sign
	}
	// Subnormal: the fraction with its leading one, in units of 2^-24.
	frac, shift := abs&(1<<23-1)|1<<23, 126-abs>>23
	return sign | uint16((frac+1<<(shift-1)-1+frac>>shift&1)>>shift)
}
