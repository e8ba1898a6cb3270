package diskann

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// small is a file of few rows, with its layout.
func small(t testing.TB) ([]byte, imagefile.Layout, vector.Matrix) {
	t.Helper()
	rows := sample.Clustered(9, 0, 300, 5, 4)
	b := written(t, Config{Metric: vector.L2, Degree: 4, SearchList: 20}, rows)
	l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return b, l, rows
}

// readEvery opens a file and fetches every row.
func readEvery(t testing.TB, path string, o Options) error {
	o.Set = kernel.Set{}
	x, err := Open(path, o)
	if err != nil {
		return err
	}
	defer x.Close()
	ids := make([]uint32, x.Len())
	for i := range ids {
		ids[i] = uint32(i)
	}
	return x.Fetch(t.Context(), ids, make([]byte, len(ids)*x.img.geom.vector))
}

// TestFlips changes single bytes all over a file: each is reported as corruption, with the part of the file that it lies in.
func TestFlips(t *testing.T) {
	b, l, _ := small(t)
	path := save(t, b)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]int{}
	for at := 0; at < len(b); at += 31 {
		for _, bit := range []byte{1, 0x80} {
			if _, err := f.WriteAt([]byte{b[at] ^ bit}, int64(at)); err != nil {
				t.Fatal(err)
			}
			err := readEvery(t, path, Options{Engine: Pool})
			where := l.Where(uint64(at))
			seen[where]++
			named := ": " + where + ":"
			if where == "nodes" {
				named = fmt.Sprintf("page %d (block ", at/4096)
			}
			if !errors.Is(err, vector.ErrCorrupt) || !strings.Contains(err.Error(), named) || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d of %s: %v", at, where, err)
			}
		}
		if _, err := f.WriteAt(b[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != len(l.Table)+1 {
		t.Fatalf("not every section was touched: %v", seen)
	}
	if err := readEvery(t, path, Options{}); err != nil {
		t.Fatal(err)
	}
}

func TestTruncated(t *testing.T) {
	b, _, _ := small(t)
	for n := 0; n < len(b); n += 1023 {
		if err := readEvery(t, save(t, b[:n]), Options{}); !errors.Is(err, vector.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	// A file that loses its end while it is open.
	for _, engine := range []Engine{Auto, Pool} {
		path := save(t, b)
		x := opened(t, path, Options{Engine: engine})
		if err := os.Truncate(path, int64(len(b)-100)); err != nil {
			t.Fatal(err)
		}
		ids := make([]uint32, x.Len())
		for i := range ids {
			ids[i] = uint32(i)
		}
		err := x.Fetch(t.Context(), ids, make([]byte, len(ids)*x.img.geom.vector))
		if !errors.Is(err, vector.ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("page %d ", len(b)/4096-1)) {
			t.Fatal(err)
		}
	}
}

func TestVersions(t *testing.T) {
	b, _, _ := small(t)
	b[10] = 9 // a newer minor version is readable
	format().Reseal(b)
	if err := readEvery(t, save(t, b), Options{}); err != nil {
		t.Fatal(err)
	}
	b[8] = 2
	format().Reseal(b)
	if err := readEvery(t, save(t, b), Options{}); !errors.Is(err, vector.ErrVersion) || errors.Is(err, vector.ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestForged edits a file under right checksums: what would lead a search astray is refused.
func TestForged(t *testing.T) {
	clean, l, rows := small(t)
	at := func(k imagefile.Kind) uint64 { s, _ := l.Find(k); return s.Off }
	h := header{metric: vector.L2, dim: 5, degree: 4}
	g := h.geometry()
	for name, c := range map[string]struct{ off, value uint64 }{
		"metric":   {12, 77},
		"dim":      {16, 70},
		"degree":   {20, 3},
		"rows":     {32, 301},
		"hubs":     {44, 0},
		"widen":    {12, 1},
		"slot":     {at(kindSlots) + 8, 300},
		"slots":    {at(kindSlots) + 8, uint64(binary.LittleEndian.Uint32(clean[at(kindSlots):]))},
		"hub":      {at(kindHubs), 299},
		"efforts":  {at(kindEfforts), 3000},
		"hub link": {at(kindHubLinks), 300},
		"cold":     {64 + 9*24 + 4, 0},
		"node row": {at(kindNodes) + 20, 7},
		"link":     {at(kindNodes) + 24, 300},
	} {
		b := bytes.Clone(clean)
		binary.LittleEndian.PutUint32(b[c.off:], uint32(c.value))
		if name == "node row" && binary.LittleEndian.Uint32(clean[c.off:]) == 7 {
			t.Fatal("not forged")
		}
		block := b[at(kindNodes) : at(kindNodes)+uint64(g.block)]
		sealBlock(block, 0)
		format().Reseal(b)
		path := save(t, b)
		err := readEvery(t, path, Options{})
		if name == "link" { // met by a walk only
			x := opened(t, path, Options{})
			row := binary.LittleEndian.Uint32(clean[at(kindNodes)+20:])
			_, _, err = x.Search(t.Context(), rows.Vector(int(row)), Params{K: 300, List: 300})
			if _, isHub := x.img.hub(row); isHub {
				t.Log("the node is a hub")
				continue
			}
		}
		if !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A block at the place of another.
	b := bytes.Clone(clean)
	first := b[at(kindNodes) : at(kindNodes)+uint64(g.block)]
	copy(b[at(kindNodes)+uint64(g.block):], first)
	if err := readEvery(t, save(t, b), Options{}); !errors.Is(err, vector.ErrCorrupt) {
		t.Error(err)
	}
}

// FuzzOpen: whatever a file holds, opening or searching it refuses it or gives an answer.
func FuzzOpen(f *testing.F) {
	rows := sample.Clustered(9, 0, 40, 3, 4)
	for _, m := range []vector.Metric{vector.L2, vector.IP} {
		f.Add(written(f, Config{Metric: m, Degree: 3, SearchList: 10}, rows), true)
	}
	path := f.TempDir() + "/index"
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix {
			format().Reseal(b)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path, Options{})
		if err != nil {
			return
		}
		defer x.Close()
		if x.Dim() > 64 || x.Len() > 1000 {
			return
		}
		if _, _, err := x.Search(t.Context(), make([]float32, x.Dim()), Params{K: 5, List: 10}); err != nil && !errors.Is(err, vector.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// TestEnginesAgree: io_uring, preads and reads past the page cache give the same answers.
func TestEnginesAgree(t *testing.T) {
	rows := sample.Clustered(1, 0, 3000, 20, 20)
	queries := sample.Clustered(1, 1, 50, 20, 20).Data
	path := save(t, written(t, Config{Metric: vector.Cosine, Degree: 16, SearchList: 50}, rows))
	var want [][]vector.Hit
	for i, o := range []Options{{Engine: Pool, Beam: 1}, {Engine: Auto, Beam: 1}, {Engine: Auto, Beam: 1, Direct: true}, {Engine: Pool, Beam: 1, Direct: true}} {
		x := opened(t, path, o)
		hits, _, err := x.Search(t.Context(), queries, Params{K: 10, List: 30})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = hits
			continue
		}
		for q := range hits {
			for j := range hits[q] {
				if hits[q][j] != want[q][j] {
					t.Fatalf("%+v: query %d hit %d is %v, want %v", o, q, j, hits[q][j], want[q][j])
				}
			}
		}
	}
}

// TestCloseUnderSearch closes an index while many search it: each search ends with an answer or ErrClosed, and neither
// goroutines nor descriptors stay behind.
func TestCloseUnderSearch(t *testing.T) {
	rows := sample.Clustered(1, 0, 2000, 16, 20)
	path := save(t, written(t, Config{Metric: vector.L2, Degree: 16, SearchList: 50}, rows))
	for _, engine := range []Engine{Auto, Pool} {
		routines, files := runtime.NumGoroutine(), descriptors()
		x := opened(t, path, Options{Engine: engine})
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					ctx, cancel := context.WithCancel(context.Background())
					if i%3 == 2 {
						cancel()
					}
					hits, _, err := x.Search(ctx, rows.Vector((i*8+w)%2000), Params{K: 5, List: 20})
					cancel()
					switch {
					case errors.Is(err, vector.ErrClosed):
						return
					case errors.Is(err, context.Canceled) && i%3 == 2:
					case err != nil || len(hits[0]) != 5:
						t.Error(err)
						return
					}
				}
			})
		}
		time.Sleep(30 * time.Millisecond)
		if err := errors.Join(x.Close(), x.Close()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := x.Fetch(t.Context(), nil, nil); !errors.Is(err, vector.ErrClosed) {
			t.Fatal(err)
		}
		for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > routines && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > routines {
			t.Errorf("%s: %d goroutines before, %d after", engine, routines, n)
		}
		if n := descriptors(); n != files {
			t.Errorf("%s: %d descriptors before, %d after", engine, files, n)
		}
	}
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// TestTimeout: a search ends with its context.
func TestTimeout(t *testing.T) {
	rows := sample.Clustered(1, 0, 2000, 16, 20)
	x := build(t, rows, vector.L2, 16)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	for _, p := range []Params{{K: 10, List: 100}, {K: 10, List: 100, Filter: sample.Share(1, 2000, 0.1)}} {
		if _, _, err := x.Search(ctx, rows.Data[:16*100], p); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if _, _, err := x.Search(t.Context(), rows.Data[:16], Params{K: 10, List: 9}); err == nil {
		t.Fatal("a list smaller than k was accepted")
	}
	if _, _, err := x.Search(t.Context(), rows.Data[:15], Params{K: 10, List: 10}); err == nil {
		t.Fatal("part of a query was accepted")
	}
}
