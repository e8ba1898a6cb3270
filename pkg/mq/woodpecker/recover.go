package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gyr-db/gyr/pkg/mq"
)

// recoverLog opens a log's folder. When it returns, everything that it found is durable and checked.
func recoverLog(q *Local, id mq.LogID) (*localLog, error) {
	l := &localLog{
		fs: q.fs, logger: q.logger.With("log", id.Name), cfg: q.cfg,
		name: id.Name, uuid: id.UUID, dir: q.dir(id.Name), changed: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(q.ctx)
	if err := l.recover(); err != nil {
		l.cancel()
		return nil, errors.Join(err, l.closeFiles())
	}
	return l, nil
}

func (l *localLog) recover() error {
	if err := l.openFiles(); err != nil {
		return err
	}
	var buf []byte
	for i, f := range l.files {
		b, err := readAll(f.file, buf)
		if err != nil {
			return fmt.Errorf("read %s: %w", f.path, err)
		}
		buf = b
		limit := int64(-1)
		if i+1 < len(l.files) {
			limit = l.files[i+1].prevEnd
		}
		found, err := scan(f.path, b, f.fileHeader, limit)
		if err != nil {
			return err
		}
		f.offsets, f.end = found.offsets, found.end
		if i+1 < len(l.files) {
			if next := l.files[i+1]; next.base != f.next() {
				return fmt.Errorf("%s: it begins at position %d, the file before it ends at %d: %w", next.path, next.base, f.next(), mq.ErrCorrupt)
			}
			continue
		}
		if err := l.settle(f, b, found); err != nil {
			return err
		}
	}
	l.tail = l.files[len(l.files)-1].next()
	return nil
}

// openFiles opens the log's files and reads their headers.
func (l *localLog) openFiles() error {
	names, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	for _, name := range names {
		path := filepath.Join(l.dir, name)
		number, ok := parseFileName(name)
		switch {
		case name == spareName, name == nextName:
			if err := l.fs.Remove(path); err != nil {
				return fmt.Errorf("remove a left-over: %w", err)
			}
			continue
		case !ok:
			continue
		}
		if n := len(l.files); n > 0 && number != l.files[n-1].number+1 {
			return fmt.Errorf("%s: the file before it is missing: %w", path, mq.ErrCorrupt)
		}
		if err := l.openFile(path, number); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return fmt.Errorf("sync folder %s: %w", l.dir, err)
	}
	if len(l.files) == 0 {
		return fmt.Errorf("%s: there are no log files: %w", l.dir, mq.ErrCorrupt)
	}
	return nil
}

func (l *localLog) openFile(path string, number uint64) error {
	file, err := l.fs.Open(path)
	if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	f := &logFile{path: path, file: file}
	l.files = append(l.files, f)
	b := make([]byte, fileHeaderSize)
	n, err := file.ReadAt(b, 0)
	if n < fileHeaderSize && err != nil {
		return fmt.Errorf("%s: read header: %w: %w", path, err, mq.ErrCorrupt)
	}
	if f.fileHeader, err = decodeFileHeader(b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if f.number != number || f.uuid != l.uuid {
		return fmt.Errorf("%s: it is file %d of log %s: %w", path, f.number, f.uuid, mq.ErrCorrupt)
	}
	return nil
}

// settle makes what the last file holds durable, and cuts the rest. The bytes above the last stated offset are written
// again: after a fsync that failed the page cache calls them clean, and another fsync would succeed without them.
func (l *localLog) settle(f *logFile, b []byte, found scanned) error {
	if cut := int64(len(b)) - found.end; cut > 0 && !allZero(b[found.end:]) {
		l.logger.Warn("cut a torn tail", "file", f.path, "offset", found.end, "bytes", cut)
	}
	if found.marked && int64(len(b)) == found.end {
		f.end = found.end - groupHeaderSize // all before the mark is durable, the mark perhaps not
		return nil
	}
	if err := l.write(f, b[found.stated:found.end], found.stated); err != nil {
		return err
	}
	if err := f.file.Truncate(found.end); err != nil {
		return fmt.Errorf("cut %s at %d: %w", f.path, found.end, err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	l.mark(f)
	return nil
}

// mark states behind the file's last group that all before is durable, so that damage to the last group shows from now
// on. It is worth a try only: without it the log is as it was.
func (l *localLog) mark(f *logFile) {
	b := appendGroup(nil, f.salt, group{flags: flagMark, position: f.next(), durable: f.end})
	err := l.write(f, b, f.end)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		l.logger.Warn("cannot mark the end of a log file", "file", f.path, "error", err)
		return
	}
	f.end += int64(len(b))
}

func (l *localLog) write(f *logFile, b []byte, at int64) error {
	if _, err := f.file.WriteAt(b, at); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
