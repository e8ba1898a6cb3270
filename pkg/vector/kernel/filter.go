package kernel

import (
	"math"
	"unsafe"
)

// Filter copies the entries with dist[i] < below, in order, to the front of outD and outID and returns their number. A nil
// ids means consecutive ids from 0 on. The outputs are as long as dist and do not overlap the inputs; what lies behind the
// returned number is undefined.
func (s Set) Filter(dist []int32, ids []uint32, below int32, outD []int32, outID []uint32) int {
	if len(dist) == 0 {
		return 0
	}
	_ = outD[len(dist)-1]
	return filter(s.table().filterI32, unsafe.Pointer(&dist[0]), 4, len(dist), ids, below, unsafe.Pointer(&outD[0]), outID)
}

// FilterBelow is Filter for floats. A NaN is dropped.
func (s Set) FilterBelow(dist []float32, ids []uint32, below float32, outD []float32, outID []uint32) int {
	return filterFloat(s.table().filterLess, dist, ids, below, outD, outID)
}

// FilterAbove keeps the entries with score[i] > above. A NaN is dropped.
func (s Set) FilterAbove(score []float32, ids []uint32, above float32, outS []float32, outID []uint32) int {
	return filterFloat(s.table().filterGreater, score, ids, above, outS, outID)
}

// FilterU16 is Filter for the sums of PQ4Scan: it keeps the entries with dist[i] < below. A nil ids means consecutive ids
// from 0 on.
func (s Set) FilterU16(dist []uint16, ids []uint32, below uint16, outD []uint16, outID []uint32) int {
	if len(dist) == 0 {
		return 0
	}
	_ = outD[len(dist)-1]
	return filter(s.table().filterU16, unsafe.Pointer(&dist[0]), 2, len(dist), ids, int32(below), unsafe.Pointer(&outD[0]), outID)
}

func filterFloat(k kernelFunc, dist []float32, ids []uint32, limit float32, outD []float32, outID []uint32) int {
	if len(dist) == 0 {
		return 0
	}
	_ = outD[len(dist)-1]
	bits := int32(math.Float32bits(limit))
	return filter(k, unsafe.Pointer(&dist[0]), 4, len(dist), ids, bits, unsafe.Pointer(&outD[0]), outID)
}

// filter runs k over the entries of size bytes, some at a time.
func filter(k kernelFunc, dist unsafe.Pointer, size, n int, ids []uint32, limit int32, outD unsafe.Pointer, outID []uint32) int {
	_ = outID[n-1]
	if ids != nil {
		_ = ids[n-1]
	}
	const part = callBytes / 8
	found := 0
	for i := 0; i < n; i += part {
		a := args{
			base: unsafe.Add(dist, i*size), n: min(part, n-i), bias: limit, first: uint32(i),
			out: unsafe.Add(outD, found*size), out2: unsafe.Pointer(&outID[found]),
		}
		if ids != nil {
			a.ids = &ids[i]
		}
		k.call(&a)
		found += a.found
	}
	return found
}
