//go:build !linux

package diskio

import (
	"errors"
	"os"
)

// openFile opens a file; past the page cache is not possible here.
func openFile(path string, _ bool) (f *os.File, direct bool, err error) {
	f, err = os.Open(path)
	return f, false, err
}

func allocate(size int) ([]byte, error) { return make([]byte, size), nil }

func release([]byte) error { return nil }

// nowait reads what is in memory already: never, as other systems do not tell.
type nowait struct{}

func (*nowait) read(*os.File, []byte, int64) bool { return false }

func newRing(*File, int) (queue, error) { return nil, errors.ErrUnsupported }
