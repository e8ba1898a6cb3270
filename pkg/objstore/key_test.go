package objstore

import (
	"path"
	"strings"
	"testing"
)

// FuzzValidKey: a key that is taken stays below its folder as a path, and is what it is.
func FuzzValidKey(f *testing.F) {
	for _, s := range []string{"a", "a/b", "../a", "a/../b", "/", "a//b", "a/.", "\xff", "ü", "a\\b", "...", strings.Repeat("a/", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if ValidKey(key) != nil {
			return
		}
		if joined := path.Join("/root", key); joined != "/root/"+key || len(key) > maxKey {
			t.Errorf("%q is taken and becomes %q", key, joined)
		}
	})
}
