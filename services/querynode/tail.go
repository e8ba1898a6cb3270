package querynode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/wal"
)

// tailer reads one log and applies what counts to the shards that joined it.
//
// A shard that joins behind the place that the tailer has reached makes it go back. Shards that were here before have
// a floor: the position through which they were applied when it went back. They skip what lies at or below it, so a
// record is applied to a shard once.
type tailer struct {
	number int
	mq     mq.Log
	bytes  int
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards what follows
	members map[shardID]*member
	applied mq.Position
	inWork  mq.Position // the entry being applied, or the last one
	last    wal.Start   // behind the last entry that was applied: where to read on after a failure
	rewind  *wal.Start
	wake    context.CancelFunc // interrupts the read in work
	changed chan struct{}      // closed and replaced when applied grows or the state of the log changes
	err     error              // why the log cannot be read at present
}

type member struct {
	shard *shard
	floor mq.Position
}

// tailerOf returns the tailer of a log, starting it if there is none.
func (n *Node) tailerOf(ctx context.Context, number int) (*tailer, error) {
	n.mu.Lock()
	t := n.logs[number]
	n.mu.Unlock()
	if t != nil {
		return t, nil
	}
	desc := n.deps.Cache.Log(number)
	if desc == nil {
		return nil, errs.New(errs.Internal, "the catalog has no log %d", number)
	}
	marks, err := n.marks(ctx, number)
	if err != nil {
		return nil, err
	}
	log, err := n.deps.Queue.Open(ctx, mq.LogID{Name: desc.Name, UUID: desc.UUID}, marks.Truncated)
	if err != nil {
		return nil, fmt.Errorf("open log %d: %w", number, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if other := n.logs[number]; other != nil {
		return other, log.Close()
	}
	work, cancel := context.WithCancel(n.ctx)
	t = &tailer{
		number: number, mq: log, bytes: n.cfg.ReadBytes, log: n.log.With("log", number), cancel: cancel, done: make(chan struct{}),
		members: map[shardID]*member{}, changed: make(chan struct{}),
	}
	n.logs[number] = t
	go t.run(work)
	return t, nil
}

// marks reads a log's marks linearizably; a log without any has none yet.
func (n *Node) marks(ctx context.Context, number int) (catalog.LogMarks, error) {
	var m catalog.LogMarks
	return m, readRecord(ctx, n.deps.Meta, catalog.MarksKey(number), &m)
}

// readRecord reads one catalog record linearizably; a key that is not there leaves *into as it is.
func readRecord(ctx context.Context, store meta.Store, key string, into any) error {
	kv, err := store.Get(ctx, key)
	if errors.Is(err, meta.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(kv.Value, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// startOf finds where a shard's growing rows behind from begin in the log.
//
// The marks are read before the manifest: if the manifest's checkpoint is still from, then the shard has no record in
// (from, marks], because everything at or below the marks is in the bucket and named. So reading may start at the marks.
func (n *Node) startOf(ctx context.Context, t *tailer, id shardID, from mq.Position) (wal.Start, error) {
	marks, err := n.marks(ctx, t.number)
	if err != nil {
		return wal.Start{}, err
	}
	var manifest catalog.Shard
	if err := readRecord(ctx, n.deps.Meta, catalog.ShardKey(id.collection, id.shard), &manifest); err != nil {
		return wal.Start{}, err
	}
	if marks.Checkpoint >= from && manifest.Checkpoint == from {
		return wal.Start{Position: marks.Checkpoint, Epoch: marks.Epoch, Seq: marks.Seq}, nil
	}
	start, err := wal.StartAt(ctx, t.mq, from)
	if errors.Is(err, mq.ErrTruncated) {
		return wal.Start{}, errs.New(errs.ViewStale, "the view starts at position %d, which the log no longer has: %w", from, err)
	}
	return start, err
}

// join adds a shard whose records begin behind start.
func (t *tailer) join(s *shard, start wal.Start) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := len(t.members) == 0
	t.members[s.id] = &member{shard: s}
	if !first && t.rewind == nil && max(t.applied, t.inWork) <= start.Position || t.rewind != nil && t.applied <= start.Position {
		return // not there yet: the shard is met on the way
	}
	for _, m := range t.members {
		if m.shard != s {
			m.floor = max(m.floor, t.applied)
		}
	}
	// applied goes back at once: a shard that joins before the reader has gone back must not take it for done.
	t.rewind, t.applied = &start, start.Position
	if t.wake != nil {
		t.wake()
	}
}

// leave removes a shard.
func (t *tailer) leave(s *shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.members[s.id]; m != nil && m.shard == s {
		delete(t.members, s.id)
	}
}

func (t *tailer) stop() {
	t.cancel()
	<-t.done
	if err := t.mq.Close(); err != nil {
		t.log.Debug("close log", "error", err)
	}
}

// state returns the position through which the log is applied, and why it cannot be read if so.
func (t *tailer) state() (mq.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.applied, t.err
}

func (t *tailer) run(ctx context.Context) {
	defer close(t.done)
	var reader *wal.Reader
	for ctx.Err() == nil {
		read, cancel := context.WithCancel(ctx)
		reader = t.prepare(reader, cancel)
		if reader == nil { // no shard has joined yet
			<-read.Done()
			cancel()
			continue
		}
		err := t.read(read, reader)
		interrupted := read.Err() != nil
		cancel()
		if interrupted {
			continue
		}
		t.fail(err)
		reader = wal.NewReader(t.mq, t.lastApplied())
		sleep(ctx, 200*time.Millisecond)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errs.New(errs.Unavailable, "this node is stopping")
	t.broadcast()
}

// prepare takes a pending rewind over and makes the coming read interruptible.
func (t *tailer) prepare(reader *wal.Reader, wake context.CancelFunc) *wal.Reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wake = wake
	if t.rewind != nil {
		reader = wal.NewReader(t.mq, *t.rewind)
		t.last, t.inWork, t.rewind = *t.rewind, t.rewind.Position, nil
	}
	return reader
}

func (t *tailer) lastApplied() wal.Start {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// read applies entries until an error or an interruption.
func (t *tailer) read(ctx context.Context, reader *wal.Reader) error {
	for {
		entry, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := t.apply(entry, reader.Last()); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// apply gives an entry's records to their shards, then lets those go on who wait for its position.
func (t *tailer) apply(entry wal.Accepted, last wal.Start) error {
	t.mu.Lock()
	t.inWork = entry.Position
	t.mu.Unlock()
	byShard := map[shardID][]wal.Record{}
	for _, r := range entry.Records {
		if r.Kind != wal.Fence && r.Kind != wal.Moved {
			id := shardID{r.Collection, int(r.Shard)}
			byShard[id] = append(byShard[id], r)
		}
	}
	for id, records := range byShard {
		t.mu.Lock()
		m := t.members[id]
		skip := m == nil || t.rewind != nil || entry.Position <= m.floor
		t.mu.Unlock()
		if skip {
			continue
		}
		if err := m.shard.apply(entry.Position, records); err != nil {
			return err
		}
		t.mu.Lock()
		m.floor = max(m.floor, entry.Position)
		t.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rewind == nil {
		t.applied, t.last, t.err = entry.Position, last, nil
		t.broadcast()
	}
	return nil
}

// fail notes that the log cannot be read; requests that wait for it are told at once, reading is tried again.
func (t *tailer) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !errors.Is(err, context.Canceled) {
		t.log.Warn("log cannot be read", "error", err)
	}
	t.err = err
	t.broadcast()
}

func (t *tailer) broadcast() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// waitApplied waits until a shard has been applied through position.
func (t *tailer) waitApplied(ctx context.Context, s *shard, position mq.Position) error {
	for {
		t.mu.Lock()
		m := t.members[s.id]
		if m == nil || m.shard != s {
			t.mu.Unlock()
			return errs.New(errs.ViewStale, "shard %s has left this node", s.id)
		}
		through := max(m.floor, t.applied)
		changed, failed := t.changed, t.err
		t.mu.Unlock()
		switch {
		case through >= position:
			return nil
		case failed != nil:
			return errs.New(errs.Unavailable, "log %d cannot be read here: %w", t.number, failed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for position %d of log %d, applied through %d: %w", position, t.number, through, ctx.Err())
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
