package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gyr-db/gyr/pkg/mq"
)

// append writes one entry: one write and one fdatasync, unless a new file is needed.
//
// What may fail, and what that means:
//   - a write for which there is no room, or a new file that does not come about: the group was never whole on disk, or
//     lies in a file that nobody opens. The entry is certainly not there.
//   - any other write, or fdatasync, of the active file: the file ends at its last durable offset, whatever bytes lie behind, and the group
//     goes into a new file that says so. If that fails as well, a later start may find the group in the old file:
//     uncertain, and the log stops, since an entry of the same position must not follow.
func (l *localLog) append(ctx context.Context, data []byte, pinned bool) (mq.Position, error) {
	if int64(len(data)) > l.cfg.MaxEntryBytes {
		return 0, fmt.Errorf("entry of %d bytes, at most %d can be had", len(data), l.cfg.MaxEntryBytes)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := errors.Join(l.usable(), l.stopped, ctx.Err()); err != nil {
		return 0, err
	}
	flags := byte(0)
	if pinned {
		flags = flagPinned
	}
	g := group{flags: flags, position: l.tail, data: data}
	if err := l.put(g); err != nil {
		return 0, err
	}
	return g.position, nil
}

func (l *localLog) put(g group) error {
	f := l.last()
	if !l.active || f.end+g.size() > f.capacity {
		return l.roll(g)
	}
	g.durable = f.end
	l.buf = appendGroup(l.buf[:0], f.salt, g)
	if err := l.write(f, l.buf, f.end); err != nil {
		if isFull(err) {
			return fmt.Errorf("%w: %w", mq.ErrFull, err)
		}
		return l.failover(g, err)
	}
	if err := f.file.Datasync(); err != nil {
		return l.failover(g, err)
	}
	l.publish(f, f.end, f.end+g.size())
	l.trim()
	return nil
}

// trim lets a great group's buffer go.
func (l *localLog) trim() {
	if cap(l.buf) > 4<<20 {
		l.buf = nil
	}
}

// publish shows a durable entry to the readers.
func (l *localLog) publish(f *logFile, offset, end int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.offsets = append(f.offsets, offset)
	f.end = end
	l.tail = f.next()
	l.notify()
}

// failover goes on in a new file after the active one failed.
func (l *localLog) failover(g group, cause error) error {
	l.logger.Error("a log file failed, going on in a new one", "file", l.last().path, "offset", l.last().end, "error", cause)
	l.active = false
	if err := l.roll(g); err != nil {
		return l.stop(errors.Join(err, cause))
	}
	return nil
}

// stop ends all appends. They are uncertain from now on, because one before was.
func (l *localLog) stop(cause error) error {
	l.stopped = fmt.Errorf("%w: %w: %w", mq.ErrStopped, mq.ErrUncertain, cause)
	l.logger.Error("log stopped", "error", cause)
	return l.stopped
}

// roll puts a group into a new file, as its first.
func (l *localLog) roll(g group) error {
	old := l.last()
	h := fileHeader{number: old.number + 1, base: g.position, prevEnd: old.end, salt: newSalt(), uuid: l.uuid}
	g.durable = fileHeaderSize
	l.buf = appendGroup(append(l.buf[:0], h.encode()...), h.salt, g)
	f := &logFile{fileHeader: h, path: filepath.Join(l.dir, fileName(h))}
	if err := l.begin(f); err != nil {
		return err
	}
	if l.active {
		// The rest of the old file holds nothing; a failure costs space only.
		if err := old.file.Truncate(old.end); err != nil {
			l.logger.Warn("cannot cut the unused end of a log file", "file", old.path, "error", err)
		}
	}
	l.active = true
	l.mu.Lock()
	l.files = append(l.files, f)
	l.mu.Unlock()
	l.publish(f, fileHeaderSize, int64(len(l.buf)))
	l.trim()
	l.prepareSpare()
	return nil
}

// begin makes f from l.buf: under another name until its bytes are durable, so that a file that is there is whole.
func (l *localLog) begin(f *logFile) error {
	temporary, err := l.take(f)
	if err == nil {
		err = l.write(f, l.buf, 0)
	}
	if err == nil {
		err = f.file.Datasync()
	}
	if err == nil {
		err = l.fs.Rename(temporary, f.path)
	}
	if err != nil {
		if f.file != nil {
			err = errors.Join(err, f.file.Close(), l.fs.Remove(temporary))
		}
		if isFull(err) {
			err = fmt.Errorf("%w: %w", mq.ErrFull, err)
		}
		return fmt.Errorf("begin file: %w", err)
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		_ = f.file.Close()
		return l.stop(fmt.Errorf("sync folder %s: %w", l.dir, err)) // the name may or may not outlive a power loss
	}
	return nil
}

// take gets the space for f: the spare file if there is one that is large enough, else a new one.
func (l *localLog) take(f *logFile) (temporary string, err error) {
	f.capacity = max(l.cfg.FileBytes, int64(len(l.buf)))
	if f.file = l.spare.take(); f.file != nil {
		if f.capacity == l.cfg.FileBytes {
			return filepath.Join(l.dir, spareName), nil
		}
		l.spare.put(f.file)
	}
	path := filepath.Join(l.dir, nextName)
	if f.file, err = l.fs.Create(path); err != nil {
		return "", err
	}
	return path, f.file.Allocate(f.capacity)
}
