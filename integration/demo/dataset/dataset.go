// Package dataset reads the data that the demo and the benchmark load: Debian package descriptions with their embeddings.
//
// It reads two layouts: the small asset that lies in integration/demo/data, and a folder with the whole data set as npy and
// JSON-lines files. Every vector that it hands out has unit length, so cosine, inner product and L2 rank alike. It knows
// nothing of the server.
package dataset

import (
	"fmt"
	"math"
)

// Row is one package.
type Row struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Section string `json:"section"`
	Size    int64  `json:"size"` // installed size, KiB
	Desc    string `json:"desc"`
}

// Query is a held-out question or description; its embedding is no row's.
type Query struct {
	ID   int64  `json:"id"`
	Kind string `json:"kind"` // "question" or "row"
	Text string `json:"text"`
}

// Vectors are rows of Dim floats, one after the other.
type Vectors struct {
	Dim  int
	Data []float32
}

// Len is the number of vectors.
func (v Vectors) Len() int {
	if v.Dim == 0 {
		return 0
	}
	return len(v.Data) / v.Dim
}

// At is vector i, not a copy.
func (v Vectors) At(i int) []float32 { return v.Data[i*v.Dim : (i+1)*v.Dim : (i+1)*v.Dim] }

// Set is rows with their vectors and queries with theirs, index by index.
type Set struct {
	Rows         []Row
	Vectors      Vectors
	Queries      []Query
	QueryVectors Vectors
	// Truth holds per query the ids of the nearest rows, best first; nil where the data brings none.
	Truth [][]int64
}

// check verifies that the parts fit together and scales every vector to unit length.
func (s *Set) check() error {
	switch {
	case len(s.Rows) == 0:
		return fmt.Errorf("no rows")
	case s.Vectors.Len() != len(s.Rows):
		return fmt.Errorf("%d rows but %d vectors", len(s.Rows), s.Vectors.Len())
	case s.QueryVectors.Len() != len(s.Queries):
		return fmt.Errorf("%d queries but %d query vectors", len(s.Queries), s.QueryVectors.Len())
	case len(s.Queries) > 0 && s.QueryVectors.Dim != s.Vectors.Dim:
		return fmt.Errorf("rows have dimension %d, queries %d", s.Vectors.Dim, s.QueryVectors.Dim)
	case s.Truth != nil && len(s.Truth) != len(s.Queries):
		return fmt.Errorf("%d queries but ground truth of %d", len(s.Queries), len(s.Truth))
	}
	seen := make(map[int64]bool, len(s.Rows))
	for _, r := range s.Rows {
		if seen[r.ID] {
			return fmt.Errorf("two rows have the id %d", r.ID)
		}
		seen[r.ID] = true
	}
	for q, ids := range s.Truth {
		for _, id := range ids {
			if !seen[id] {
				return fmt.Errorf("the ground truth of query %d names row %d, which does not exist", q, id)
			}
		}
	}
	if err := s.Vectors.normalise(); err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	if err := s.QueryVectors.normalise(); err != nil {
		return fmt.Errorf("queries: %w", err)
	}
	return nil
}

// normalise scales every vector to unit length.
func (v Vectors) normalise() error {
	for i := range v.Len() {
		row := v.At(i)
		var sum float64
		for _, x := range row {
			sum += float64(x) * float64(x)
		}
		norm := math.Sqrt(sum)
		if norm == 0 || math.IsNaN(norm) || math.IsInf(norm, 0) {
			return fmt.Errorf("vector %d has length %v", i, norm)
		}
		for j := range row {
			row[j] = float32(float64(row[j]) / norm)
		}
	}
	return nil
}
