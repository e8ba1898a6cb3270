//go:build !amd64 || purego

package kernel

// fast returns the tiers that this machine can run beside the generic one, slowest first.
func fast() []*table { return nil }
