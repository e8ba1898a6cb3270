package imagefile

import (
	"fmt"
	"io"
)

// Load reads a file of size bytes and checks it. place decodes the fields of the header, makes an index with memory for the
// file (New) and points it there; check looks, when the memory is filled, for what checksums cannot tell.
func Load[I io.Closer](f *Format, r io.ReaderAt, size int64, place func(*Layout, []byte) (I, *Image, error), check func(I) error) (I, error) {
	var none I
	l, fields, err := f.Header(r, size)
	if err != nil {
		return none, err
	}
	x, img, err := place(&l, fields)
	if err != nil {
		return none, err
	}
	if err = img.Fill(r); err == nil {
		err = check(x)
	}
	if err != nil {
		return none, JoinClose(err, x)
	}
	return x, nil
}

// JoinClose closes what err kept from being of use.
func JoinClose(err error, x io.Closer) error {
	if cerr := x.Close(); cerr != nil {
		return fmt.Errorf("%w (and freeing its memory: %v)", err, cerr)
	}
	return err
}
