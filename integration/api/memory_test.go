package api

import (
	"context"
	"os"
	"path/filepath"
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
