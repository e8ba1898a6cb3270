//go:build linux

package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gyr-db/gyr/pkg/objstore"
)

// shutdown ends an ext4 file system at once, without writing what is only in memory (FS_IOC_SHUTDOWN, no log flush).
func shutdown(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const fsIocShutdown, noLogFlush = 0x8004587D, 2
	if err := unix.IoctlSetPointerInt(int(d.Fd()), fsIocShutdown, noLogFlush); err != nil {
		t.Skipf("cannot shut the file system down: %v", err)
	}
}

// TestPowerLoss: what Put answered for is there after the power is lost, what it answered with an error is whole or
// absent. It needs the right to mount.
func TestPowerLoss(t *testing.T) {
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", name, err, out)
		}
	}
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(32<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	run("mkfs.ext4", "-q", "-F", image)
	run("mount", "-o", "loop", image, dir)
	defer func() { _ = exec.Command("umount", dir).Run() }()

	s := open(t, filepath.Join(dir, "store"))
	unsynced := filepath.Join(dir, "unsynced")
	body := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, 1000*i) }
	const objects = 30
	for i := range objects {
		key := fmt.Sprintf("a/%d/%d/x", i%3, i)
		if err := s.Put(t.Context(), key, bytes.NewReader(body(i)), int64(1000*i), objstore.PutOptions{IfAbsent: i%2 == 0}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(unsynced, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	shutdown(t, dir)
	run("umount", dir)
	run("mount", "-o", "loop", image, dir)
	if _, err := os.Stat(unsynced); err == nil {
		t.Log("a file that nobody synced survived: this loss was no real one")
	}
	s = open(t, filepath.Join(dir, "store"))
	for i := range objects {
		key := fmt.Sprintf("a/%d/%d/x", i%3, i)
		got := make([]byte, 1000*i)
		if _, err := s.ReadAt(t.Context(), key, got, 0); err != nil || !bytes.Equal(got, body(i)) {
			t.Errorf("%s after the loss: %v", key, err)
		}
	}
}
