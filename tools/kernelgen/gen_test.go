package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUpToDate compares the committed assembly with what the generator prints now.
func TestUpToDate(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("../../pkg/vector/kernel", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what tools/kernelgen prints; run make generate (%v)", name, err)
		}
	}
}
