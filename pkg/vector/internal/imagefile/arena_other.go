//go:build !linux

package imagefile

// allocate returns zeroed memory. On systems without the mapping calls used on Linux it comes from the Go heap.
func allocate(size int) ([]byte, error) { return make([]byte, size), nil }

func release([]byte) error { return nil }
