package standalone

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFolderIsLockedAndMarked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), "in use by another Gyr process") {
		t.Fatalf("second open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = openFolder(dir); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestForeignFoldersAreRefused(t *testing.T) {
	cases := []struct{ file, content, want string }{
		{"FORMAT", "2\n", "has format 2; this version of Gyr reads format 1"},
		{"FORMAT", "x", "is damaged"},
		{"thesis.doc", "", "holds thesis.doc"},
	}
	for _, c := range cases {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openFolder(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.file, err, c.want)
		}
	}
}
