// Package data holds the demo's data set; LICENSE-note.md says where it comes from.
package data

import (
	"embed"
	"io/fs"

	"github.com/gyr-db/gyr/integration/demo/dataset"
)

//go:embed vectors.i8 rows.jsonl.zst queries.i8 queries.jsonl.zst
var files embed.FS

// Files are the data set's files.
func Files() fs.FS { return files }

// Load reads the data set.
func Load() (*dataset.Set, error) { return dataset.Asset(files) }
