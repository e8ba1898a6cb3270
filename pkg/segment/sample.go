package segment

// sampleRowsOf picks count of n rows (all when there are no more), one of each of count equal stretches, at places that
// only look random: periodic data does not fool the sample, and equal files come out equal.
func sampleRowsOf(n, count int) []uint32 {
	count = min(n, count)
	out := make([]uint32, count)
	for i := range out {
		lo := i * n / count
		width := (i+1)*n/count - lo
		x := (uint64(i) + 1) * 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		out[i] = uint32(lo + int((x^x>>31)%uint64(width)))
	}
	return out
}
