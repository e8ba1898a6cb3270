package woodpecker

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Datasync implements File.
func (f osFile) Datasync() error {
	return f.control(func(fd int) error { return unix.Fdatasync(fd) })
}

// Allocate implements File. File systems that cannot reserve space give the size alone.
func (f osFile) Allocate(size int64) error {
	err := f.control(func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}

// control runs fn on the descriptor, again when a signal interrupts it, and keeps the file from being closed meanwhile.
func (f osFile) control(fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		for inner = unix.EINTR; errors.Is(inner, unix.EINTR); {
			inner = fn(int(fd))
		}
	})
	return errors.Join(err, inner)
}
