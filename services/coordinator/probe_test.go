package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// awayStore is a bucket that answers Stat and Put with an error while away says one.
type awayStore struct {
	objstore.Store
	away atomic.Pointer[error]
}

func (s *awayStore) Stat(ctx context.Context, key string) (objstore.Object, error) {
	if err := s.away.Load(); err != nil {
		return objstore.Object{}, *err
	}
	return s.Store.Stat(ctx, key)
}

func (s *awayStore) Put(ctx context.Context, key string, r io.ReadSeeker, size int64, opt objstore.PutOptions) error {
	if err := s.away.Load(); err != nil {
		return *err
	}
	return s.Store.Put(ctx, key, r, size, opt)
}

func (w *world) complains(about string) bool {
	return slices.ContainsFunc(w.c.Problems(), func(p string) bool { return strings.Contains(p, about) })
}

func TestStorageThatIsAwayIsAProblem(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		time.Sleep(10 * time.Second)
		if w.complains("object storage") {
			t.Fatalf("storage that answers is a problem: %q", w.c.Problems())
		}
		refused := errors.New("connection refused")
		w.away.away.Store(&refused)
		time.Sleep(10 * time.Second)
		if !w.complains("object storage does not answer") || !w.complains("connection refused") {
			t.Fatalf("problems: %q", w.c.Problems())
		}
		w.away.away.Store(nil)
		time.Sleep(10 * time.Second)
		if w.complains("object storage") {
			t.Fatalf("still a problem: %q", w.c.Problems())
		}
	})
}

func TestFullDisksAreNamedOnceEach(t *testing.T) {
	p := &probes{cfg: ProbeConfig{Folders: []string{"/a", "/b", "/c", "/d"}}.withDefaults(), used: func(folder string) (diskUse, error) {
		switch folder {
		case "/a", "/b":
			return diskUse{device: 1, percent: 90, free: 1 << 30, total: 10 << 30}, nil
		case "/c":
			return diskUse{device: 2, percent: 89, free: 2 << 30, total: 10 << 30}, nil
		}
		return diskUse{}, errors.New("no such folder")
	}}
	got := p.disks()
	slices.Sort(got)
	if len(got) != 2 || !strings.HasPrefix(got[0], "the disk under /a and /b is 90 % full (1024 MiB of 10240 MiB are free)") ||
		got[1] != "the folder /d cannot be used, so object storage or the log is away: no such folder" {
		t.Fatalf("%q", got)
	}
}

func TestStatfsOfARealFolder(t *testing.T) {
	use, err := statfs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if use.total == 0 || use.free > use.total || use.percent < 0 || use.percent > 100 {
		t.Fatalf("%+v", use)
	}
	if _, err := statfs(t.TempDir() + "/absent"); err == nil {
		t.Fatal("a folder that is not there has a disk")
	}
}

func TestIndexBuilds(t *testing.T) {
	cases := []struct {
		name  string
		tasks []catalog.Task
		after time.Duration
		want  []string
	}{
		{"fresh", []catalog.Task{{ID: 1, Node: 7}}, 0, nil},
		{"still running", []catalog.Task{{ID: 1, Node: 7}}, time.Hour, []string{"of collection 5 (task 1) is stuck at 0 % on indexnode 7 for 1h0m0s"}},
		{"waits for nobody", []catalog.Task{{ID: 1}}, time.Hour, []string{"has waited 1h0m0s for an indexnode"}},
		{"fails again and again", []catalog.Task{{ID: 1, Failures: 3, Error: "disk is full"}}, 0, []string{"keeps failing: 3 times, last: disk is full"}},
		{"failed once", []catalog.Task{{ID: 1, Failures: 1, Error: "node 9 did not report"}}, 0, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(cfg *Config) { cfg.Tasks.Interval, cfg.Tasks.Lease = 100*time.Hour, 100*time.Hour }, func(w *world) {
				w.halt() // its own loops would tidy the tasks away
				for _, task := range c.tasks {
					task.Kind, task.Collection, task.Sources = catalog.TaskIndex, 5, []catalog.Segment{{ID: 42}}
					w.put(catalog.TaskKey(task.ID), task)
				}
				p := newProbes(w.c)
				p.builds()
				time.Sleep(c.after)
				got := p.builds()
				if len(got) != len(c.want) {
					t.Fatalf("got %q, want %q", got, c.want)
				}
				for i, want := range c.want {
					if !strings.Contains(got[i], want) || !strings.Contains(got[i], "segment 42") {
						t.Fatalf("got %q, want %q", got[i], want)
					}
				}
			})
		})
	}
}

func TestWaitingBehindOthersIsNotStuck(t *testing.T) {
	now := time.Unix(1000, 0)
	inWorld(t, nil, func(w *world) {
		w.halt()
		for id, node := range []int64{7, 0} {
			w.put(catalog.TaskKey(int64(id)), catalog.Task{ID: int64(id), Node: node, Kind: catalog.TaskIndex})
		}
		p := newProbes(w.c)
		w.c.now = func() time.Time { return now }
		p.builds()
		now = now.Add(time.Hour)
		p.seen[0] = buildState{progress: 0.5} // it stood elsewhere: it comes on
		if got := p.builds(); len(got) != 0 {
			t.Fatal(fmt.Sprint(got))
		}
	})
}
