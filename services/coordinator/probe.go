package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// ProbeConfig is about faults that the catalog does not show, so that the leader looks for them. Zero values mean the
// defaults.
type ProbeConfig struct {
	// Interval is how often it looks, Timeout how long it waits for object storage.
	Interval, Timeout time.Duration
	// DiskPercent: a disk this full is reported.
	DiskPercent int
	// IndexStuck: an index build without progress for so long is reported.
	IndexStuck time.Duration
	// Folders are the local folders whose disks are watched.
	Folders []string
}

func (c ProbeConfig) withDefaults() ProbeConfig {
	or(&c.Interval, 3*time.Second)
	or(&c.Timeout, 3*time.Second)
	or(&c.DiskPercent, 90)
	or(&c.IndexStuck, time.Minute)
	return c
}

// probes keeps what the last look found.
type probes struct {
	c    *Coordinator
	cfg  ProbeConfig
	used func(folder string) (diskUse, error)

	mu    sync.Mutex // guards all below
	found []string
	seen  map[int64]buildState // index builds by task
}

// buildState is how far an index build was, and since when.
type buildState struct {
	attempt  int64
	node     catalog.NodeID
	progress float32
	since    time.Time
}

func newProbes(c *Coordinator) *probes {
	return &probes{c: c, cfg: c.cfg.Probe.withDefaults(), used: statfs, seen: map[int64]buildState{}}
}

// run looks again and again until ctx ends. What was found is forgotten then: a standby does not know.
func (p *probes) run(ctx context.Context) error {
	for ctx.Err() == nil {
		found := slices.Concat(p.storage(ctx), p.disks(), p.builds())
		p.keep(found)
		sleep(ctx, p.cfg.Interval)
	}
	p.keep(nil)
	return nil
}

func (p *probes) keep(found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = found
}

// problems are what the last look found, in words.
func (p *probes) problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.found)
}

// probeKey is never written.
const probeKey = "probe/absent"

// storage asks object storage for an object that is not there: the right answer is that it is not.
func (p *probes) storage(ctx context.Context) []string {
	ask, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	_, err := p.c.deps.Objects.Stat(ask, probeKey)
	if err == nil || errors.Is(err, objstore.ErrNotFound) || ctx.Err() != nil {
		return nil
	}
	return []string{fmt.Sprintf("object storage does not answer: nothing is sealed, loaded, indexed or compacted until it does (%v)", err)}
}

// diskUse is what a file system says of itself.
type diskUse struct {
	device      uint64
	percent     int
	free, total uint64
}

func statfs(folder string) (diskUse, error) {
	var st unix.Stat_t
	if err := unix.Stat(folder, &st); err != nil {
		return diskUse{}, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return diskUse{}, err
	}
	block := uint64(fs.Bsize)
	// As df counts: blocks reserved for root are neither used nor to be had.
	used := fs.Blocks - fs.Bfree
	u := diskUse{device: uint64(st.Dev), free: fs.Bavail * block, total: (used + fs.Bavail) * block}
	if all := used + fs.Bavail; all > 0 {
		u.percent = int((100*used + all - 1) / all)
	}
	return u, nil
}

// disks reports full disks once each, and folders that are gone.
func (p *probes) disks() []string {
	var out []string
	uses := map[uint64]diskUse{}
	folders := map[uint64][]string{}
	var order []uint64
	for _, folder := range p.cfg.Folders {
		use, err := p.used(folder)
		if err != nil {
			out = append(out, fmt.Sprintf("the folder %s cannot be used, so object storage or the log is away: %v", folder, err))
			continue
		}
		if use.percent < p.cfg.DiskPercent {
			continue
		}
		if uses[use.device].total == 0 {
			order = append(order, use.device)
		}
		uses[use.device] = use
		folders[use.device] = append(folders[use.device], folder)
	}
	for _, device := range order {
		use := uses[device]
		out = append(out, fmt.Sprintf("the disk under %s is %d %% full (%d MiB of %d MiB are free): writes are refused when it is full",
			strings.Join(folders[device], " and "), use.percent, use.free>>20, use.total>>20))
	}
	return out
}

// builds reports index builds that keep failing or do not come on. A build that waits its turn is not stuck while others
// come on.
func (p *probes) builds() []string {
	now := p.c.now()
	states := map[int64]buildState{}
	var waiting, out []string
	moved := false
	for _, task := range p.c.deps.Cache.Tasks() {
		if task.Kind != catalog.TaskIndex {
			continue
		}
		state := p.observe(task, now)
		states[task.ID] = state
		still := now.Sub(state.since)
		what := fmt.Sprintf("the index build of segment %s of %s (task %d)", sourceNames(task), p.collectionName(task), task.ID)
		switch {
		case task.Failures >= p.c.cfg.Tasks.MaxFailures: // reported as given up
		case task.Failures >= 2:
			out = append(out, fmt.Sprintf("%s keeps failing: %d times, last: %s", what, task.Failures, task.Error))
		case still < p.cfg.IndexStuck:
			moved = moved || task.Node != 0
		case task.Node != 0:
			out = append(out, fmt.Sprintf("%s is stuck at %.0f %% on indexnode %d for %s", what, 100*state.progress, task.Node, still.Round(time.Second)))
		default:
			waiting = append(waiting, fmt.Sprintf("%s has waited %s for an indexnode to take it", what, still.Round(time.Second)))
		}
	}
	p.seen = states
	if !moved {
		out = append(out, waiting...)
	}
	return out
}

// observe says since when a build stands where it stands.
func (p *probes) observe(task *catalog.Task, now time.Time) buildState {
	state := buildState{attempt: task.Attempt, node: task.Node, since: now}
	if t := p.c.term.Load(); t != nil {
		t.board.mu.Lock()
		state.progress = t.board.leases[task.ID].progress
		t.board.mu.Unlock()
	}
	if old, ok := p.seen[task.ID]; ok && old.attempt == state.attempt && old.node == state.node && old.progress == state.progress {
		state.since = old.since
	}
	return state
}

func (p *probes) collectionName(task *catalog.Task) string {
	if coll := p.c.deps.Cache.CollectionByID(task.Collection); coll != nil {
		return "collection " + coll.DB + "." + coll.Name
	}
	return fmt.Sprintf("collection %d", task.Collection)
}

func sourceNames(task *catalog.Task) string {
	var names []string
	for i := range task.Sources {
		names = append(names, fmt.Sprint(task.Sources[i].ID))
	}
	return strings.Join(names, ", ")
}
