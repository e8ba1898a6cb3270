package api

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// TestLoadThatDoesNotFit loads a collection whose vectors take more memory than the node may use: it is refused before
// anything is read, with the API's code, and served as soon as the node may use more.
func TestLoadThatDoesNotFit(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "gyr.yaml")
	write := func(limit string) {
		if err := os.WriteFile(file, []byte("queryNode: {memory: {limit: "+limit+"}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("4MiB")
	s := harness.StartStandalone(t, t.TempDir(), "--config", file)
	c := dialTo(t, s.Addr)
	const name, rows, dim = "big", 10_000, 128 // 5 MB of vectors
	if err := c.Create(ctx, client.Spec{Name: name, Dim: dim, NoLoad: true}); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < rows; from += 1000 {
		batch := make([]client.Row, 1000)
		for i := range batch {
			batch[i] = client.Row{Key: int64(from + i), Version: 1, Vector: make([]float32, dim)}
			batch[i].Vector[i%dim] = 1
		}
		if err := c.InsertRows(ctx, name, batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.FlushWait(ctx, name); err != nil {
		t.Fatal(err)
	}
	st, err := c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: name})
	if err != nil || st.GetCode() != 3 || st.GetErrorCode() != commonpb.ErrorCode_InsufficientMemoryToLoad ||
		!strings.Contains(st.GetReason(), "memory limit exceeded[predict=") || !strings.Contains(st.GetReason(), "queryNode.memory.limit") {
		t.Fatalf("loading what does not fit: %v %v", st, err)
	}
	write("64MiB")
	s.Kill()
	s.Restart(t)
	c = dialTo(t, s.Addr)
	if err := c.Load(ctx, name); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Count(ctx, name); err != nil || n != rows {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func dialTo(t *testing.T, addr string) *client.Client {
	t.Helper()
	c, err := client.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestVectorsOnDisk serves a collection whose vectors lie in the disk cache: it fits where it would not fit into memory,
// answers exactly as before, also after a crash, and leaves nothing in the cache after a release.
func TestVectorsOnDisk(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "gyr.yaml")
	if err := os.WriteFile(file, []byte("queryNode: {memory: {limit: 8MiB}, retireAfter: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := harness.StartStandalone(t, t.TempDir(), "--config", file)
	c := dialTo(t, s.Addr)
	const name, rows, dim = "cold", 20_000, 128 // 10 MB of vectors
	if err := c.Create(ctx, client.Spec{Name: name, Dim: dim, NoLoad: true, Index: "HNSW"}); err != nil {
		t.Fatal(err)
	}
	st, err := c.AlterCollection(ctx, &milvuspb.AlterCollectionRequest{
		CollectionName: name, Properties: []*commonpb.KeyValuePair{{Key: "mmap.enabled", Value: "true"}},
	})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	vector := func(key int64) []float32 {
		v := make([]float32, dim)
		for i := range v {
			v[i] = float32((key*int64(i+7)*2654435761)>>8&1023) / 1024
		}
		return v
	}
	for from := int64(0); from < rows; from += 1000 {
		batch := make([]client.Row, 1000)
		for i := range batch {
			key := from + int64(i)
			batch[i] = client.Row{Key: key, Version: 1, Vector: vector(key)}
		}
		if err := c.InsertRows(ctx, name, batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.FlushWait(ctx, name); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(ctx, name); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for key := int64(5); key < rows; key += 1999 {
			keys, err := c.SearchKeys(ctx, name, [][]float32{vector(key)}, 3, commonpb.ConsistencyLevel_Strong)
			if err != nil || len(keys[0]) != 3 || keys[0][0] != key {
				t.Fatalf("%s: nearest to %d are %v, %v", when, key, keys, err)
			}
		}
		got, err := c.QueryRows(ctx, name, "key in [7, 19999]", 10)
		if err != nil || len(got) != 2 || !slices.Equal(got[0].Vector, vector(got[0].Key)) || !slices.Equal(got[1].Vector, vector(got[1].Key)) {
			t.Fatalf("%s: vectors of two rows: %d, %v", when, len(got), err)
		}
	}
	check("after the load")
	if n := cacheBytes(t, s.Dir); n < rows*dim*4 {
		t.Fatalf("%d bytes in the disk cache, the vectors have %d", n, rows*dim*4)
	}
	s.Kill()
	s.Restart(t)
	c = dialTo(t, s.Addr)
	check("after a crash")
	if n := cacheBytes(t, s.Dir); n > rows*dim*4*5/4 {
		t.Fatalf("%d bytes in the disk cache after a crash, the vectors have %d", n, rows*dim*4)
	}
	if err := client.Check(c.ReleaseCollection(ctx, &milvuspb.ReleaseCollectionRequest{CollectionName: name})); err != nil {
		t.Fatal(err)
	}
	for cacheBytes(t, s.Dir) > 0 {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the disk cache keeps the vectors of a released collection")
		}
	}
}

// cacheBytes is the size of all files in a standalone's disk cache.
func cacheBytes(t *testing.T, data string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(data, "cache"), func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		sum += info.Size()
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return sum
}
