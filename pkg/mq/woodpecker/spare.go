package woodpecker

import (
	"errors"
	"path/filepath"
	"sync"
	"time"
)

// spareFile is the next file, made ahead: its blocks are written with zeros, so that an fdatasync of a group in it has
// no metadata to write, and a log goes on in it without waiting for the space.
type spareFile struct {
	mu   sync.Mutex // guards all below
	file File       // nil: there is none
	path string
}

func (s *spareFile) take() File {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.file
	s.file = nil
	return f
}

func (s *spareFile) put(f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = f
}

// discard removes the file.
func (s *spareFile) discard(fs FS) {
	if f := s.take(); f != nil {
		_ = f.Close()
		_ = fs.Remove(s.path) // the next start removes it otherwise
	}
}

// prepareSpare makes the spare file in the background. A failure is no loss: the next file is made when it is needed.
func (l *localLog) prepareSpare() {
	l.wg.Go(func() {
		path := filepath.Join(l.dir, spareName)
		file, err := l.fs.Create(path)
		if err != nil {
			return // there is one
		}
		if err := l.zero(file); err != nil {
			_ = errors.Join(file.Close(), l.fs.Remove(path))
			return
		}
		l.spare.mu.Lock()
		defer l.spare.mu.Unlock()
		l.spare.file, l.spare.path = file, path
	})
}

// zeroPause lies between two pieces of zeros.
const zeroPause = 30 * time.Millisecond

// zero writes a file full of zeros, piece by piece with pauses, so that the disk has time for the appends. A log that
// grows faster than this goes on in files whose blocks are allocated but not written.
func (l *localLog) zero(file File) error {
	if err := file.Allocate(l.cfg.FileBytes); err != nil {
		return err
	}
	zeros := make([]byte, min(1<<20, l.cfg.FileBytes))
	for at := int64(0); at < l.cfg.FileBytes; at += int64(len(zeros)) {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if at > 0 && sleep(l.ctx, zeroPause) != nil {
			return l.ctx.Err()
		}
		n := min(int64(len(zeros)), l.cfg.FileBytes-at)
		if _, err := file.WriteAt(zeros[:n], at); err != nil {
			return err
		}
		if err := file.Datasync(); err != nil {
			return err
		}
	}
	return file.Sync()
}
