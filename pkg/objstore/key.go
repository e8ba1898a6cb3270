package objstore

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxKey bounds a key's length in bytes; S3 allows 1024 with the store's own prefix included.
const maxKey = 900

// ValidKey says why key cannot name an object: every driver takes the same keys, so that what works on one store
// works on all. A key is 1 to 900 bytes of UTF-8 without control characters, its slash-separated parts are not empty
// and are neither "." nor "..".
func ValidKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("object key is empty")
	case len(key) > maxKey:
		return fmt.Errorf("object key of %d bytes is longer than %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("object key %q is not UTF-8", key)
	case strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }):
		return fmt.Errorf("object key %q has a control character or backslash", key)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("object key %q has an empty, \".\" or \"..\" part", key)
		}
	}
	return nil
}
