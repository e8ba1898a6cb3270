package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// spoolMemory is how much of a file under construction stays in memory; what is bigger goes to a temporary file.
const spoolMemory = 32 << 20

// spool collects a file before it is put into the bucket, which wants to know the size and to read it twice on a retry.
type spool struct {
	mem  []byte
	file *os.File // nil while everything is in mem
	size int64
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.mem)+len(p) > spoolMemory {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(p))
	if s.file == nil {
		s.mem = append(s.mem, p...)
		return len(p), nil
	}
	return s.file.Write(p)
}

func (s *spool) spill() error {
	f, err := os.CreateTemp("", "gyr-segment-*")
	if err != nil {
		return fmt.Errorf("temporary file: %w", err)
	}
	// The name goes at once, so that nothing is left behind by a crash.
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(fmt.Errorf("temporary file: %w", err), f.Close())
	}
	s.file = f
	_, err = f.Write(s.mem)
	s.mem = nil
	return err
}

// ReadAt implements io.ReaderAt over what was written.
func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	return bytes.NewReader(s.mem).ReadAt(p, off)
}

// put stores the content under key.
func (s *spool) put(ctx context.Context, store objstore.Store, key string) error {
	r := io.NewSectionReader(s, 0, s.size)
	if err := store.Put(ctx, key, r, s.size, objstore.PutOptions{}); err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	return nil
}

func (s *spool) close() {
	s.mem = nil
	if s.file != nil {
		_ = s.file.Close() // unlinked and read: nothing can be lost
	}
}
