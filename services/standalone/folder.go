package standalone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// format is the version of the data folder's layout. A binary opens folders of formats that it knows and refuses
// others with words; golden folders of released formats are tested.
const format = 1

// folder is a locked data folder.
type folder struct {
	path string
	lock *os.File
}

// openFolder makes or opens a data folder, takes its lock and checks its format.
func openFolder(path string) (*folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %q: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f := &folder{path: abs}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.checkFormat(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *folder) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(f.path, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("data folder %s is in use by another Gyr process", f.path)
		}
		return fmt.Errorf("lock data folder %s: %w", f.path, err)
	}
	f.lock = lock
	return nil
}

func (f *folder) checkFormat() error {
	path := filepath.Join(f.path, "FORMAT")
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return f.writeFormat(path)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return fmt.Errorf("%s is damaged: it holds %q, not a number", path, raw)
	}
	if v != format {
		return fmt.Errorf("data folder %s has format %d; this version of Gyr reads format %d: use the version that wrote it", f.path, v, format)
	}
	return nil
}

// writeFormat marks a new folder, durably. A folder that holds something else is refused, so that a mistyped path
// mixes nothing up.
func (f *folder) writeFormat(path string) error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" && e.Name() != "lost+found" && e.Name() != "FORMAT.new" {
			return fmt.Errorf("%s is no data folder of Gyr: it has no FORMAT file but holds %s; give an empty or new folder", f.path, e.Name())
		}
	}
	tmp := path + ".new"
	file, err := os.Create(tmp)
	if err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	_, err = fmt.Fprintf(file, "%d\n", format)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(f.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close gives the lock back.
func (f *folder) Close() error { return f.lock.Close() }
