package diskann

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
)

// begun starts to read a block into a free slot.
func (s *searcher) begun(block uint32) (slot int) {
	slot = s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.pending[slot].block = block
	s.x.reads.Add(1)
	s.reader.Start(slot, s.x.img.offset(block))
	return slot
}

// arrived waits for a block and checks it.
func (s *searcher) arrived(ctx context.Context) (slot int, err error) {
	slot, err = s.reader.Wait(ctx)
	if slot < 0 {
		return slot, err
	}
	img, block := s.x.img, s.pending[slot].block
	if err != nil {
		return slot, s.damaged(block, err)
	}
	data := s.reader.Block(slot)
	if err := checkBlock(data, block); err != nil {
		return slot, s.damaged(block, corrupt(kindNodes, "%v", err))
	}
	// The rows of a block are what scores are reported for.
	for i := range img.geom.perBlock {
		if at := int(block)*img.geom.perBlock + i; at < s.n {
			if row := img.geom.at(data, i).row(); int(row) >= s.n || int(img.slots[row]) != at {
				return slot, s.damaged(block, corrupt(kindNodes, "row %d is not at place %d", row, at))
			}
		}
	}
	return slot, nil
}

// damaged says where a block lies that could not be read.
func (s *searcher) damaged(block uint32, err error) error {
	off := s.x.img.offset(block)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = corrupt(kindNodes, "%v", err)
	}
	return fmt.Errorf("%s: page %d (block %d of nodes, at %d): %w", s.x.name, off/imagefile.PageSize, block, off, err)
}

// readAll reads the nodes of rows, each block once and in the order of the file, and calls fn with each row's place in ids
// and its node. No other read is under way.
func (s *searcher) readAll(ctx context.Context, ids []uint32, fn func(i int, n node)) error {
	img, per := s.x.img, uint64(s.x.img.geom.perBlock)
	places := s.places[:0] // slot<<32 | index
	for i, id := range ids {
		places = append(places, uint64(img.slots[id])<<32|uint64(i))
	}
	s.places = places
	slices.Sort(places)
	blockOf := func(at int) uint64 { return places[at] >> 32 / per }
	for at := 0; at < len(places) || s.reader.InFlight() > 0; {
		for len(s.free) > 0 && at < len(places) {
			from := at
			for at++; at < len(places) && blockOf(at) == blockOf(from); at++ {
			}
			slot := s.begun(uint32(blockOf(from)))
			s.pending[slot].from, s.pending[slot].to = from, at
		}
		slot, err := s.arrived(ctx)
		if err != nil {
			return err
		}
		for _, p := range places[s.pending[slot].from:s.pending[slot].to] {
			fn(int(uint32(p)), img.geom.at(s.reader.Block(slot), int(p>>32%per)))
		}
		s.free = append(s.free, slot)
	}
	return nil
}

// IsDamaged reports whether an error means that a file is not what was written.
func IsDamaged(err error) bool {
	return errors.Is(err, vector.ErrCorrupt) || errors.Is(err, vector.ErrVersion)
}
