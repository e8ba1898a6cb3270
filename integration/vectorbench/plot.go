package vectorbench

import (
	"fmt"
	"path/filepath"
	"strings"
)

// painter returns what draws a report into path; an empty path draws nothing.
func painter(path string) (func(*Report) error, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case path == "":
		return func(*Report) error { return nil }, nil
	case ext == ".svg":
		return func(r *Report) error { return replace(path, drawSVG(newChart(r))) }, nil
	case ext == ".png":
		return func(r *Report) error {
			raw, err := drawPNG(newChart(r))
			if err != nil {
				return fmt.Errorf("drawing %s: %w", path, err)
			}
			return replace(path, raw)
		}, nil
	default:
		return nil, fmt.Errorf("--plot %s: the name must end in .svg or .png", path)
	}
}
