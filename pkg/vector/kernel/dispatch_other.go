//go:build (!amd64 && !arm64) || purego

package kernel

func levels() []level { return nil }

func features() map[string]bool { return nil }
