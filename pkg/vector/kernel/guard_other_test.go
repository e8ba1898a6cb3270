//go:build !linux

package kernel

import "testing"

// guarded has no guard pages to offer here.
func guarded(_ *testing.T, size int, _ bool) []byte { return make([]byte, size) }
