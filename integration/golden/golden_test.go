// Package golden opens data folders that earlier versions wrote.
//
// Each format of the data folder has an archive in testdata, written once by the version that introduced it and never
// again: a folder that any earlier version wrote opens with all its rows, or is refused with words.
package golden

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

const (
	archive    = "testdata/format-1.tar.zst"
	collection = "golden"
	dim        = 8
	sealed     = 1200 // enough for an index file
	all        = 1500
)

// row is row i as the archive has it; rows whose key is a multiple of 10 were deleted, some before the seal and some after.
func row(i int) client.Row {
	v := make([]float32, dim)
	for j := range v {
		v[j] = float32((i*31+j*17)%101) / 101
	}
	return client.Row{Key: int64(i), Version: int64(i * 3), Vector: v}
}

func deleted(i int) bool { return i%10 == 0 }

func TestFormat1(t *testing.T) {
	dir := t.TempDir()
	if err := extract(archive, dir); err != nil {
		t.Fatal(err)
	}
	s := harness.StartStandalone(t, dir)
	check(t, s)
	s.Signal(syscall.SIGTERM)
	if code, err := s.Wait(10 * time.Second); code != 0 || err != nil {
		t.Fatalf("stop: %d, %v", code, err)
	}
	s.Restart(t) // what this version wrote on top opens too
	check(t, s)
}

func check(t *testing.T, s *harness.Standalone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var rows []client.Row
	for {
		if rows, err = c.QueryRows(ctx, collection, "key >= 0", 0); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	next := 0
	for i := range all {
		if deleted(i) {
			continue
		}
		if next >= len(rows) || fmt.Sprint(rows[next]) != fmt.Sprint(row(i)) {
			t.Fatalf("row %d is missing or another: %d of %d rows were right", i, next, len(rows))
		}
		next++
	}
	if next != len(rows) {
		t.Fatalf("%d rows, want %d", len(rows), next)
	}
	hits, err := c.SearchKeys(ctx, collection, [][]float32{row(1234).Vector}, 1, commonpb.ConsistencyLevel_Strong)
	if err != nil || len(hits) != 1 || len(hits[0]) != 1 {
		t.Fatalf("search: %v, %v", hits, err)
	}
}

// TestWriteGolden writes the archive; it runs only when GYR_WRITE_GOLDEN names a file.
func TestWriteGolden(t *testing.T) {
	out := os.Getenv("GYR_WRITE_GOLDEN")
	if out == "" {
		t.Skip("set GYR_WRITE_GOLDEN to a file to write a new archive")
	}
	s := harness.StartStandalone(t, t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	steps := []error{
		c.Create(ctx, client.Spec{Name: collection, Dim: dim, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}),
		insert(ctx, c, 0, sealed), remove(ctx, c, 0, sealed/2),
		c.FlushWait(ctx, collection),
		insert(ctx, c, sealed, all), remove(ctx, c, sealed/2, all),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // the index file
	check(t, s)
	s.Signal(syscall.SIGTERM)
	if code, err := s.Wait(10 * time.Second); code != 0 || err != nil {
		t.Fatalf("stop: %d, %v", code, err)
	}
	if err := pack(s.Dir, out); err != nil {
		t.Fatal(err)
	}
}

func insert(ctx context.Context, c *client.Client, from, to int) error {
	var rows []client.Row
	for i := from; i < to; i++ {
		rows = append(rows, row(i))
	}
	return c.InsertRows(ctx, collection, rows)
}

func remove(ctx context.Context, c *client.Client, from, to int) error {
	return c.DeleteWhere(ctx, collection, fmt.Sprintf("key >= %d and key < %d and key %% 10 == 0", from, to))
}

func pack(dir, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !(d.IsDir() || d.Type().IsRegular()) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		if h.Name, err = filepath.Rel(dir, path); err != nil {
			return err
		}
		h.Uname, h.Gname, h.Uid, h.Gid = "", "", 0, 0
		if err := w.WriteHeader(h); err != nil || d.IsDir() {
			return err
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
	return errors.Join(err, w.Close(), z.Close(), f.Close())
}

func extract(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return err
			}
			continue
		}
		out, err := os.Create(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}
