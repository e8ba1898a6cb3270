package diskann

import (
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
)

// File is a built index, ready to be written. It holds memory outside the Go heap until it is closed.
type File struct {
	img   *image
	rows  vector.Rows
	links []uint32
}

// Size returns the size of the file in bytes.
func (f *File) Size() int64 { return int64(f.img.file.Size) }

// Metric returns the metric that the index was built for.
func (f *File) Metric() vector.Metric { return f.img.head.metric }

// Close frees the memory after running writes have ended. Closing twice is harmless.
func (f *File) Close() error { return f.img.Close() }

// WriteTo writes the file. The blocks of nodes are made as they are written.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	img := f.img
	done, err := img.file.WriteTo(w)
	if err != nil {
		return done, err
	}
	if err := img.file.Acquire(); err != nil {
		return done, err
	}
	defer img.file.Release()
	at := make([]uint32, len(img.slots)) // slot -> row
	for row, slot := range img.slots {
		at[slot] = uint32(row)
	}
	g, r := img.geom, img.head.degree
	buf := make([]byte, g.block*max(1, writeSize/g.block))
	for block := 0; block < g.blocks(img.head.rows); {
		n := 0
		for ; n < len(buf) && block < g.blocks(img.head.rows); n += g.block {
			b := buf[n : n+g.block]
			clear(b)
			for i, row := range at[block*g.perBlock : min((block+1)*g.perBlock, len(at))] {
				g.at(b, i).set(row, f.rows.Row(int(row)), f.links[int(row)*r:(int(row)+1)*r])
			}
			sealBlock(b, uint32(block))
			block++
		}
		m, err := w.Write(buf[:n])
		done += int64(m)
		if err != nil {
			return done, fmt.Errorf("writing a vector index: %w", err)
		}
	}
	if pad := f.Size() - done; pad < 0 || pad >= imagefile.PageSize {
		return done, fmt.Errorf("writing a vector index: %d bytes written, %d planned", done, f.Size())
	}
	return done, nil
}

const writeSize = 1 << 20
