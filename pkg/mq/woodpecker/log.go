package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"

	"github.com/gyr-db/gyr/pkg/mq"
)

// localLog is one log of a folder; all handles of the process share it.
type localLog struct {
	fs     FS
	logger *slog.Logger
	cfg    LocalConfig
	name   string
	uuid   string
	dir    string
	ctx    context.Context // ends at shut
	cancel context.CancelFunc
	wg     sync.WaitGroup // makers of the spare file

	// writing lets one change the log at a time. It guards the fields of the writer, and is taken before mu.
	writing sync.Mutex
	active  bool   // the last file takes more groups
	stopped error  // no more appends
	buf     []byte // of the group being written
	spare   spareFile

	mu      sync.RWMutex  // guards all below
	files   []*logFile    // by number, never empty; the last one holds the tail
	tail    mq.Position   // of the next entry; all below is durable
	cut     mq.Position   // entries below were truncated
	ended   error         // why the log is unusable
	changed chan struct{} // closed and replaced when any of these changes
}

// logFile is one file. Its header never changes; offsets and end grow under localLog.mu.
type logFile struct {
	fileHeader
	path     string
	file     File
	capacity int64
	offsets  []int64 // of each entry's group
	end      int64   // bytes below are durable
}

// next is the position behind the file's last entry.
func (f *logFile) next() mq.Position { return f.base + mq.Position(len(f.offsets)) }

// last is called under mu or write.
func (l *localLog) last() *logFile { return l.files[len(l.files)-1] }

// find returns the file that holds position, which is below the tail. It is called under mu.
func (l *localLog) find(position mq.Position) int {
	return sort.Search(len(l.files), func(i int) bool { return l.files[i].next() > position })
}

// first is the position of the first entry that is still there. It is called under mu.
func (l *localLog) first() mq.Position { return max(l.files[0].base, l.cut) }

func (l *localLog) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *localLog) usable() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.ended
}

// truncate removes files all of whose entries lie below before, oldest first and each for certain before the next, so
// that a crash never leaves a gap. The last file stays, for the position of the next entry.
func (l *localLog) truncate(before mq.Position) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	if l.ended != nil {
		l.mu.Unlock()
		return l.ended
	}
	if before = min(before, l.tail); before > l.cut {
		l.cut = before
		l.notify()
	}
	l.mu.Unlock()
	for len(l.files) > 1 && l.files[1].base <= before {
		if err := l.dropFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (l *localLog) dropFirst() error {
	f := l.files[0]
	if err := l.fs.Remove(f.path); err != nil && !isMissing(err) {
		return fmt.Errorf("remove file: %w", err)
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("sync folder %s: %w", l.dir, err)
	}
	l.mu.Lock()
	l.files = l.files[1:]
	l.mu.Unlock()
	return f.file.Close() // a reader in the middle of it finds out, and looks at the files again
}

// shut ends the log for all handles, which get reason from now on.
func (l *localLog) shut(reason error) error {
	l.cancel()
	l.writing.Lock()
	defer l.writing.Unlock()
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil
	}
	l.ended = reason
	l.notify()
	l.spare.discard(l.fs)
	if l.active && l.stopped == nil {
		l.seal(l.last())
	}
	return l.closeFiles()
}

// seal gives back the space behind a file's end and marks it, for the log's next start to have nothing to do.
func (l *localLog) seal(f *logFile) {
	if err := f.file.Truncate(f.end); err != nil {
		l.logger.Warn("cannot cut the unused end of a log file", "file", f.path, "error", err)
		return
	}
	l.mark(f)
}

func (l *localLog) closeFiles() error {
	var errList []error
	for _, f := range l.files {
		errList = append(errList, f.file.Close())
	}
	return errors.Join(errList...)
}
