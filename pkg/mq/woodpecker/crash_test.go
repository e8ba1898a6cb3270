package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
)

// image is a log of three entries in one file, ended by a kill.
func image(t *testing.T) (fs *memFS, name string, ends []int64) {
	t.Helper()
	fs = newMemFS()
	q, l := logOf(t, fs, 2048)
	for _, data := range []string{"one", "two, which is a little longer", "three"} {
		mustAppend(t, l, data)
		ends = append(ends, q.logs["l"].last().end)
	}
	q.logs["l"].wg.Wait()
	return fs.kill(), q.logs["l"].last().path, ends
}

func reopenImage(fs *memFS, t *testing.T) (mq.Log, error) {
	t.Helper()
	return openMem(t, fs, 2048).Open(t.Context(), testID, 0)
}

// TestCutAtEveryByte cuts the file at, or fills it with garbage from, every byte of the last group.
func TestCutAtEveryByte(t *testing.T) {
	_, _, ends := image(t)
	for at := ends[1]; at < ends[2]; at++ {
		for _, tail := range []string{"", "\x00\x00\x00", groupMagic + "garbage", strings.Repeat("\xff", 100)} {
			fs, name, _ := image(t)
			ino := fs.names[name]
			ino.cache = append(slices.Clone(ino.cache[:at]), tail...)
			l, err := reopenImage(fs, t)
			if err != nil {
				t.Fatalf("cut at %d of %v with tail %q: %v", at, ends, tail, err)
			}
			if got := contents(t, l); len(got) != 2 {
				t.Fatalf("cut at %d of %v: %q", at, ends, got)
			}
			if p := mustAppend(t, l, "on"); p != 3 {
				t.Fatalf("next position %d", p)
			}
			l, err = reopenImage(fs.kill(), t)
			if err != nil || len(contents(t, l)) != 3 {
				t.Fatalf("cut at %d, after another restart: %v", at, err)
			}
		}
	}
}

// TestFlipAnyByte flips every byte: below an offset that is stated as durable this is corruption with the file's
// name, in the last group it is a torn tail.
func TestFlipAnyByte(t *testing.T) {
	_, _, ends := image(t)
	for at := range ends[2] {
		fs, name, _ := image(t)
		fs.names[name].cache[at] ^= 1 << (at % 8)
		l, err := reopenImage(fs, t)
		switch {
		case at < ends[1]:
			if err == nil {
				t.Fatalf("flip at %d of %v: opened with %q", at, ends, contents(t, l))
			}
			if !strings.Contains(err.Error(), filepath.Base(name)) || !errors.Is(err, mq.ErrCorrupt) {
				t.Fatalf("flip at %d: %v", at, err)
			}
		case err != nil || len(contents(t, l)) != 2:
			t.Fatalf("flip at %d, in the last group: %v", at, err)
		}
	}
}

// TestFlipAfterRestart: once a start has marked the end, damage to the last group is corruption too.
func TestFlipAfterRestart(t *testing.T) {
	_, _, ends := image(t)
	for at := ends[1]; at < ends[2]; at++ {
		fs, name, _ := image(t)
		if _, err := reopenImage(fs, t); err != nil {
			t.Fatal(err)
		}
		fs = fs.kill()
		fs.names[name].cache[at] ^= 0x10
		if _, err := reopenImage(fs, t); !errors.Is(err, mq.ErrCorrupt) {
			t.Fatalf("flip at %d: %v", at, err)
		}
	}
}

// TestCorruptionUnderReader: bytes that rot while the log is open are reported, not returned.
func TestCorruptionUnderReader(t *testing.T) {
	fs := newMemFS()
	q, l := logOf(t, fs, 2048)
	mustAppend(t, l, "one")
	last := q.logs["l"].last()
	fs.names[last.path].cache[last.end-1] ^= 1
	if got, err := l.Read(t.Context(), 1, 100); !errors.Is(err, mq.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(last.path)) {
		t.Errorf("read: %v, %v", got, err)
	}
}

// model is what a log must hold.
type model struct {
	entries   []string // acknowledged or shown
	maybe     []string // attempts whose outcome is unknown, for the next position
	truncated mq.Position
}

// TestRandomCrashes appends under injected faults and ends processes and machines at random: what was acknowledged or
// shown is there after every restart, in order, and nothing else but an attempt whose outcome was unknown.
func TestRandomCrashes(t *testing.T) {
	runs := 400
	if testing.Short() {
		runs = 50
	}
	for seed := range runs {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		fs, m := newMemFS(), &model{}
		for round := range 8 {
			if err := m.round(fs, r, round); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			if r.IntN(2) == 0 {
				fs = fs.kill()
			} else {
				fs = fs.powerLoss(r)
			}
		}
	}
}

func (m *model) round(fs *memFS, r *rand.Rand, round int) error {
	ctx := context.Background()
	q, err := OpenLocal(LocalConfig{Dir: "/d", FileBytes: 1024}, LocalDeps{FS: fs})
	if err != nil {
		return err
	}
	if round == 0 {
		if err := q.Create(ctx, testID); err != nil {
			return err
		}
	}
	l, err := q.Open(ctx, testID, 0)
	if err != nil {
		return err
	}
	if err := m.verify(l); err != nil {
		return err
	}
	defer func() {
		fs.inject(func(string, string) error { return errDead })
		q.logs["l"].cancel()
		q.logs["l"].wg.Wait()
	}()
	fs.inject(faults(r))
	for i := range max(0, r.IntN(20)-5) {
		if err := m.step(l, r, fmt.Sprintf("round %d entry %d %s", round, i, strings.Repeat("x", r.IntN(300)))); err != nil {
			return err
		}
	}
	if r.IntN(3) == 0 {
		_ = q.Close() // an orderly end, as far as it goes
	}
	return nil
}

func (m *model) step(l mq.Log, r *rand.Rand, data string) error {
	ctx := context.Background()
	p, err := l.Append(ctx, []byte(data), mq.AppendOptions{})
	switch {
	case err == nil && len(m.maybe) > 0:
		return fmt.Errorf("acknowledged at %d while the outcome of %q is unknown", p, m.maybe)
	case err == nil && p != mq.Position(len(m.entries)+1):
		return fmt.Errorf("position %d behind %d entries", p, len(m.entries))
	case err == nil:
		m.entries = append(m.entries, data)
	case errors.Is(err, mq.ErrUncertain):
		m.maybe = append(m.maybe, data)
	}
	if r.IntN(10) == 0 && len(m.entries) > 3 {
		mark := mq.Position(len(m.entries) - r.IntN(3))
		m.truncated = max(m.truncated, mark)
		_ = l.Truncate(ctx, mark)
	}
	return nil
}

// verify compares the log with the model after a restart, and takes over what the log shows.
func (m *model) verify(l mq.Log) error {
	ctx := context.Background()
	tail, err := l.Tail(ctx)
	if err != nil {
		return err
	}
	from := max(m.truncated, 1)
	if tail < mq.Position(len(m.entries)+1) {
		return fmt.Errorf("tail %d, %d entries were acknowledged", tail, len(m.entries))
	}
	for from < tail {
		got, err := l.Read(ctx, from, 500)
		if err != nil {
			return err
		}
		for _, e := range got {
			i := int(e.Position - 1)
			switch {
			case e.Position != from:
				return fmt.Errorf("position %d, want %d", e.Position, from)
			case i < len(m.entries) && string(e.Data) != m.entries[i]:
				return fmt.Errorf("position %d holds %q, want %q", e.Position, e.Data, m.entries[i])
			case i == len(m.entries) && !slices.Contains(m.maybe, string(e.Data)):
				return fmt.Errorf("position %d holds %q, which was refused for certain", e.Position, e.Data)
			case i > len(m.entries):
				return fmt.Errorf("position %d beyond all attempts: %q", e.Position, e.Data)
			}
			if i == len(m.entries) {
				m.entries = append(m.entries, string(e.Data))
				m.maybe = nil
			}
			from++
		}
	}
	m.maybe = nil
	return nil
}

// faults makes some operations fail, or all from some operation on: a machine that goes off in the middle.
func faults(r *rand.Rand) func(op, name string) error {
	kind, left := r.IntN(5), r.IntN(60)
	r = rand.New(rand.NewPCG(r.Uint64(), 1))
	return func(op, _ string) error {
		left--
		switch {
		case kind == 0 && left < 0:
			return errDead
		case kind == 1 && op == "sync" && r.IntN(8) == 0:
			return errInjected
		case kind == 2 && (op == "allocate" || op == "write") && r.IntN(8) == 0:
			return errNoSpace
		case kind == 3 && op != "read" && r.IntN(15) == 0:
			return errInjected
		}
		return nil
	}
}
