package segment

import "unsafe"

type word interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// bytesOf views numbers as their bytes in memory. Files are little endian, and so is every machine that Gyr runs on
// (package schema has the test for it).
func bytesOf[T word](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// wordsOf copies bytes into numbers; the bytes' length is a multiple of the number's size.
func wordsOf[T word](raw []byte) []T {
	var zero T
	out := make([]T, len(raw)/int(unsafe.Sizeof(zero)))
	copy(bytesOf(out), raw)
	return out
}

// widen copies narrow integers into int64.
func widen[T word](raw []byte) []int64 {
	narrow := wordsOf[T](raw)
	out := make([]int64, len(narrow))
	for i, v := range narrow {
		out[i] = int64(v)
	}
	return out
}

// appendNarrow appends the low bytes of integers.
func appendNarrow(dst []byte, v []int64, width int) []byte {
	for _, x := range v {
		for b := 0; b < width; b++ {
			dst = append(dst, byte(x>>(8*b)))
		}
	}
	return dst
}

// bitWriter packs booleans, one bit each.
type bitWriter struct {
	bytes []byte
	n     int
}

func (w *bitWriter) add(bit bool) {
	if w.n%8 == 0 {
		w.bytes = append(w.bytes, 0)
	}
	if bit {
		w.bytes[w.n/8] |= 1 << (w.n % 8)
	}
	w.n++
}

func unpackBits(raw []byte, n int) []bool {
	out := make([]bool, n)
	for i := range out {
		out[i] = raw[i>>3]>>(i&7)&1 != 0
	}
	return out
}
