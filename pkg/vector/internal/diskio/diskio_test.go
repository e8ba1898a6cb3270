package diskio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

const block = 4096

// fileOf writes a file of n blocks, each filled with its number.
func fileOf(t testing.TB, n int) string {
	t.Helper()
	data := make([]byte, n*block)
	for i := range data {
		data[i] = byte(i / block)
	}
	path := filepath.Join(t.TempDir(), "blocks")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// each runs a test with every engine that this machine has.
func each(t *testing.T, fn func(t *testing.T, cfg Config)) {
	path := fileOf(t, 200)
	for _, c := range []struct {
		name string
		cfg  Config
	}{{"io_uring", Config{Engine: Uring}}, {"pread", Config{Engine: Pool}}, {"direct", Config{Engine: Auto, Direct: true}}} {
		c.cfg.Path, c.cfg.Block, c.cfg.Depth = path, block, 8
		t.Run(c.name, func(t *testing.T) {
			f, err := Open(c.cfg)
			if err != nil && c.cfg.Engine == Uring {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			fn(t, c.cfg)
		})
	}
}

func open(t testing.TB, cfg Config) *File {
	t.Helper()
	f, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readMany reads count random blocks with all slots busy.
func readMany(f *File, seed uint64, count int) error {
	r, err := f.Reader()
	if err != nil {
		return err
	}
	defer r.Release()
	rnd := rand.New(rand.NewPCG(seed, 1))
	want := make([]byte, r.Slots())
	start := func(slot int) {
		want[slot] = byte(rnd.IntN(200))
		clear(r.Block(slot))
		r.Start(slot, int64(want[slot])*block)
	}
	for slot := range r.Slots() {
		start(slot)
	}
	for range count {
		slot, err := r.Wait(context.Background())
		if err != nil {
			return err
		}
		if !bytes.Equal(r.Block(slot), bytes.Repeat(want[slot:slot+1], block)) {
			return errors.New("wrong block")
		}
		start(slot)
	}
	return nil // with reads under way
}

func TestReads(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		before, files := runtime.NumGoroutine(), descriptors(t)
		f := open(t, cfg)
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := range 5 {
					if err := readMany(f, uint64(w*10+i), 100); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Reader(); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if after := descriptors(t); after != files {
			t.Errorf("%d descriptors before, %d after", files, after)
		}
		for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines before, %d after", before, after)
		}
	})
}

// descriptors counts open files, where the system lists them.
func descriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// TestCloseWaits: Close returns after the Readers are back.
func TestCloseWaits(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		f := open(t, cfg)
		r, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		r.Start(0, 0)
		closed := make(chan error)
		go func() { closed <- f.Close() }()
		select {
		case <-closed:
			t.Fatal("closed under a reader")
		case <-time.After(20 * time.Millisecond):
		}
		if slot, err := r.Wait(t.Context()); slot != 0 || err != nil {
			t.Fatal(slot, err)
		}
		r.Release()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	})
}

// TestShort: blocks behind the end of a file are errors, of the slot that asked for them.
func TestShort(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		f := open(t, cfg)
		defer f.Close()
		r, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		r.Start(3, 200*block)
		r.Start(4, 199*block)
		for range 2 {
			switch slot, err := r.Wait(t.Context()); slot {
			case 3:
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(err)
				}
			case 4:
				if err != nil || r.Block(4)[0] != 199 {
					t.Fatal(err)
				}
			default:
				t.Fatal(slot, err)
			}
		}
	})
}

// TestCutFile: a file that lost its end inside a block.
func TestCutFile(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		cfg.Path, cfg.Direct = fileOf(t, 3), false
		if err := os.Truncate(cfg.Path, 2*block+100); err != nil {
			t.Fatal(err)
		}
		f := open(t, cfg)
		defer f.Close()
		r, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		r.Start(0, 2*block)
		if slot, err := r.Wait(t.Context()); slot != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(slot, err)
		}
	})
}

// stuck is a queue whose reads end when they are told.
type stuck struct {
	queue
	gate chan struct{}
}

func (s *stuck) wait(ctx context.Context) (completion, error) {
	select {
	case <-s.gate:
		return s.queue.wait(ctx)
	case <-ctx.Done():
		return completion{}, ctx.Err()
	}
}

// TestCancel: a search that gives up leaves its read under way; the slot's memory is not lent again before it ended.
func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, cfg Config) {
		f := open(t, cfg)
		r, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		s := &stuck{r.q, make(chan struct{})}
		r.q = s
		r.Start(0, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if slot, err := r.Wait(ctx); slot != -1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(slot, err)
		}
		r.Release()
		other, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		if other == r {
			t.Fatal("a reader with a read under way was lent again")
		}
		other.Release()
		close(s.gate)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if r.inFlight != 0 {
			t.Fatal("closed with a read under way")
		}
	})
}

func TestBadConfig(t *testing.T) {
	path := fileOf(t, 1)
	for _, cfg := range []Config{
		{Path: path, Block: 100, Depth: 1},
		{Path: path, Block: block},
		{Path: path, Block: block, Depth: MaxDepth + 1},
		{Path: path + "x", Block: block, Depth: 1},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%+v accepted", cfg)
		}
	}
}
