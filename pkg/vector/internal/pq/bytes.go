package pq

import "math"

// Bytes turns a table of 16 numbers for each part into bytes for kernel.PQ4Scan, which adds them up: entry c of part j
// becomes (table[16*j+c] - low) / scale, rounded, with the part's lowest entry; scale makes the widest part fill a byte. A
// sum d then stands for scale*d + bias. It does what kernel.Set's QuantiseTable does, without allocating.
func Bytes(table []float32, lut []byte) (scale, bias float32) {
	table = table[:len(table)&^15]
	lut = lut[:len(table)]
	var wide float32
	for j := 0; j < len(table); j += 16 {
		low, high := span((*[16]float32)(table[j:]))
		bias += low
		if high-low > wide {
			wide = high - low
		}
	}
	if !(wide > 0) || wide > math.MaxFloat32 {
		clear(lut)
		return 0, bias
	}
	inv := 255 / wide
	for j := 0; j < len(table); j += 16 {
		row, out := (*[16]float32)(table[j:]), (*[16]byte)(lut[j:])
		low, _ := span(row)
		for c, x := range row {
			out[c] = byte(int32((x-low)*inv + 0.5))
		}
	}
	return wide / 255, bias
}

// span returns the lowest and the highest of 16 numbers.
func span(row *[16]float32) (low, high float32) {
	low, high = row[0], row[0]
	for _, x := range row[1:] {
		// Comparisons rather than min and max, which care for zeros with signs and are slower.
		if x < low {
			low = x
		}
		if x > high {
			high = x
		}
	}
	return low, high
}
