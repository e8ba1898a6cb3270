package diskann

import (
	"errors"
	"fmt"
	"os"

	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
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
		return nil, imagefile.JoinClose(err, img)
	}
	return img, nil
}

func loadFrom(f *os.File) (*image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return imagefile.Load(format(), f, info.Size(), place, (*image).check)
}

// place makes an image for a file whose header was read.
func place(l *imagefile.Layout, fields []byte) (*image, *imagefile.Image, error) {
	h, err := decodeHeader(l, fields)
	if err != nil {
		return nil, nil, err
	}
	img, err := newImage(*h, *l)
	if err != nil {
		return nil, nil, err
	}
	return img, img.file, nil
}
