//go:build !linux

package woodpecker

import (
	"errors"
	"os"
	"syscall"
)

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// Datasync implements File.
func (f osFile) Datasync() error { return f.Sync() }

// Allocate implements File; it gives the size alone.
func (f osFile) Allocate(size int64) error { return f.Truncate(size) }
