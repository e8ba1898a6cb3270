package diskann

import (
	"context"
	"encoding/binary"

	"github.com/gyr-db/gyr/pkg/vector/internal/beam"
	"github.com/gyr-db/gyr/pkg/vector/topk"
)

// checkEvery is the number of expanded nodes between two looks at the context, besides those of each wait for a read.
const checkEvery = 256

// walk finds the size nodes nearest by code and scores those that are allowed.
func (s *searcher) walk(ctx context.Context, size int) error {
	img := s.x.img
	clear(s.visited)
	s.pool.Reset(size)
	s.near.Reset(starts)
	for i, key := range s.measure(img.hubs) {
		s.near.Push(topk.Pack(key, img.hubs[i]))
	}
	for _, p := range s.near.Sort() {
		s.see(topk.ID(p))
		s.pool.Insert(beam.Item(topk.Key(p), topk.ID(p)))
	}
	for hops := 0; ; hops++ {
		if hops%checkEvery == checkEvery-1 && ctx.Err() != nil {
			return ctx.Err()
		}
		for len(s.free) > 0 {
			it, ok := s.pool.Next()
			if !ok {
				break
			}
			s.expand(beam.ID(it))
		}
		if s.reader.InFlight() == 0 {
			return s.scoreHubs(ctx)
		}
		slot, err := s.arrived(ctx)
		if err != nil {
			return err
		}
		if err := s.takeBlock(slot); err != nil {
			return err
		}
	}
}

// see marks a row as visited and reports whether it was not before.
func (s *searcher) see(id uint32) bool {
	word, bit := &s.visited[id>>6], uint64(1)<<(id&63)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// enter puts the rows in ids that are near enough into the pool.
func (s *searcher) enter() {
	s.x.set.Prefetch(s.x.img.codes, s.ids, s.x.img.codes.Stride/64)
	bound := s.pool.Bound()
	for i, key := range s.measure(s.ids) {
		if key < bound {
			s.pool.Insert(beam.Item(key, s.ids[i]))
			bound = s.pool.Bound()
		}
	}
}

// expand follows the links of a node: at once if they are in memory, else when its block has been read.
func (s *searcher) expand(id uint32) {
	img := s.x.img
	s.stats.Hops++
	if links, ok := img.hub(id); ok {
		s.ids = s.ids[:0]
		for _, to := range links {
			if s.see(to) {
				s.ids = append(s.ids, to)
			}
		}
		s.enter()
		return
	}
	block, _ := img.place(id)
	for slot := range s.pending[:s.x.beam] {
		if p := &s.pending[slot]; len(p.rows) > 0 && p.block == block {
			p.rows = append(p.rows, id)
			return
		}
	}
	slot := s.begun(block)
	s.pending[slot].rows = append(s.pending[slot].rows[:0], id)
}

// takeBlock scores and expands the nodes of a block that was asked for, and others in it that the walk would come to.
func (s *searcher) takeBlock(slot int) error {
	img, p := s.x.img, &s.pending[slot]
	rows := p.rows
	p.rows = p.rows[:0]
	defer func() { s.free = append(s.free, slot) }()
	block := s.reader.Block(slot)
	for i := range img.geom.perBlock {
		if int(p.block)*img.geom.perBlock+i >= s.n {
			break
		}
		n := img.geom.at(block, i)
		id := n.row()
		if !contains(rows, id) && !s.passing(id) {
			continue
		}
		s.offer(id, n.vector)
		if err := s.follow(p.block, n); err != nil {
			return err
		}
	}
	return nil
}

func contains(rows []uint32, id uint32) bool {
	for _, r := range rows {
		if r == id {
			return true
		}
	}
	return false
}

// passing reports whether a node that was read along is one that the pool wants expanded, and marks it.
func (s *searcher) passing(id uint32) bool {
	s.ids = append(s.ids[:0], id)
	it := beam.Item(s.measure(s.ids)[0], id)
	if s.see(id) && beam.Key(it) < s.pool.Bound() {
		s.pool.Insert(it)
	}
	if !s.pool.Mark(it) {
		return false
	}
	s.stats.Hops++
	return true
}

// follow puts the links of a node that was read into the pool.
func (s *searcher) follow(block uint32, n node) error {
	s.ids = s.ids[:0]
	for b := n.links(); len(b) > 0; b = b[4:] {
		to := binary.LittleEndian.Uint32(b)
		if to == none {
			break
		}
		if int(to) >= s.n {
			return s.damaged(block, corrupt(kindNodes, "link to row %d of %d", to, s.n))
		}
		if s.see(to) {
			s.ids = append(s.ids, to)
		}
	}
	s.enter()
	return nil
}

// scoreHubs scores the nodes of the pool that were expanded from memory.
func (s *searcher) scoreHubs(ctx context.Context) error {
	s.order = s.order[:0]
	for _, it := range s.pool.Items() {
		id := beam.ID(it)
		if s.scored[id>>6]>>(id&63)&1 == 0 && s.allows(id) {
			s.order = append(s.order, topk.Pack(beam.Key(it), id))
		}
	}
	return s.rest(ctx, s.order)
}
