package data_test

import (
	"io/fs"
	"testing"

	"github.com/gyr-db/gyr/integration/demo/data"
)

func TestTheAssetIsWholeAndSmall(t *testing.T) {
	s, err := data.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rows) < 20000 || s.Vectors.Dim != 384 || len(s.Queries) < 200 {
		t.Errorf("%d rows of dimension %d, %d queries", len(s.Rows), s.Vectors.Dim, len(s.Queries))
	}
	var bytes int64
	files := data.Files()
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes > 12<<20 {
		t.Errorf("the asset takes %d bytes, more than 12 MiB", bytes)
	}
}
