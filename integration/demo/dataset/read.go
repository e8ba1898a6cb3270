package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// The asset's files.
const (
	AssetVectors      = "vectors.i8"
	AssetRows         = "rows.jsonl.zst"
	AssetQueryVectors = "queries.i8"
	AssetQueries      = "queries.jsonl.zst"
)

// maxText bounds the texts of one file when unpacked.
const maxText = 1 << 30

// Asset reads the small data set: 8-bit vectors, zstd texts, no ground truth.
func Asset(files fs.FS) (*Set, error) {
	s := &Set{}
	for _, part := range []struct {
		name string
		read func([]byte) error
	}{
		{AssetVectors, func(b []byte) (err error) { s.Vectors, err = DecodeCodes(b); return }},
		{AssetQueryVectors, func(b []byte) (err error) { s.QueryVectors, err = DecodeCodes(b); return }},
		{AssetRows, func(b []byte) (err error) { s.Rows, err = packedLines[Row](b); return }},
		{AssetQueries, func(b []byte) (err error) { s.Queries, err = packedLines[Query](b); return }},
	} {
		raw, err := fs.ReadFile(files, part.name)
		if err == nil {
			err = part.read(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("demo data, %s: %w", part.name, err)
		}
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("demo data: %w", err)
	}
	return s, nil
}

// Folder reads the whole data set from a folder that holds embeddings.f16.npy, queries.f32.npy, gt_ids.npy, rows.jsonl.zst
// and queries.jsonl.
func Folder(dir string) (*Set, error) {
	s := &Set{}
	for _, part := range []struct {
		name string
		read func([]byte) error
	}{
		{"embeddings.f16.npy", func(b []byte) (err error) { s.Vectors, err = npyFloats(b); return }},
		{"queries.f32.npy", func(b []byte) (err error) { s.QueryVectors, err = npyFloats(b); return }},
		{"gt_ids.npy", func(b []byte) error {
			a, err := parseNpy(b)
			if err == nil {
				s.Truth, err = a.ints()
			}
			return err
		}},
		{"rows.jsonl.zst", func(b []byte) (err error) { s.Rows, err = packedLines[Row](b); return }},
		{"queries.jsonl", func(b []byte) (err error) { s.Queries, err = lines[Query](bytes.NewReader(b)); return }},
	} {
		raw, err := os.ReadFile(filepath.Join(dir, part.name))
		if err == nil {
			err = part.read(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("data folder %s, %s: %w", dir, part.name, err)
		}
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	return s, nil
}

func npyFloats(raw []byte) (Vectors, error) {
	a, err := parseNpy(raw)
	if err != nil {
		return Vectors{}, err
	}
	return a.floats()
}

// packedLines reads zstd-compressed JSON lines.
func packedLines[T any](raw []byte) ([]T, error) {
	d, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return lines[T](io.LimitReader(d, maxText))
}

func lines[T any](r io.Reader) ([]T, error) {
	var out []T
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var v T
		if err := json.Unmarshal(scan.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
		}
		out = append(out, v)
	}
	return out, scan.Err()
}

// PackLines is the inverse of packedLines.
func PackLines[T any](values []T) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return nil, err
		}
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.EncodeAll(text.Bytes(), nil), nil
}
