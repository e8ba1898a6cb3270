package diskann

import (
	"errors"
	"fmt"
	"os"
)

// load reads the hot part of a file.
func load(path string) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	img, err := loadFrom(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, joinClose(err, img)
	}
	return img, nil
}

func loadFrom(f *os.File) (*image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	l, fields, err := format().Header(f, info.Size())
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(&l, fields)
	if err != nil {
		return nil, err
	}
	img, err := newImage(*h, l)
	if err != nil {
		return nil, err
	}
	if err := img.file.Fill(f); err != nil {
		return nil, joinClose(err, img)
	}
	if err := img.check(); err != nil {
		return nil, joinClose(err, img)
	}
	return img, nil
}
