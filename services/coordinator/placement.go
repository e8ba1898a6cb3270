package coordinator

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// placeInput is everything that placement depends on.
type placeInput struct {
	Nodes  []placeNode
	Shards []placeShard // of loaded collections
	Slack  float64
}

// placeNode is a live querynode. One that drains keeps serving what it has until others are ready. One to avoid did not
// become ready for a long time: it keeps what it has, and gets something new only where there is no other.
type placeNode struct {
	ID       catalog.NodeID
	Draining bool
	Avoid    bool
	Memory   int64 // bytes that it holds at most; 0 is no limit
}

// placeShard is one shard that shall be served Replicas times.
type placeShard struct {
	Collection int64
	Shard, Log int
	Replicas   int
	Partitions []int64 // nil: all
	From       mq.Position
	MinReadTS  tso.Timestamp
	Segments   []placeSegment        // of the loaded partitions
	Current    map[int]*catalog.View // published, by replica
}

type placeSegment struct {
	ID    int64
	Bytes int64
}

// place says which views are wanted, without numbers, and what stands against it in words. It keeps what is in place as
// long as it is balanced: of n nodes each gets up to (1 + Slack) times the average of the bytes where that is possible, and
// leads up to its share of the logs; one node more or less moves about 1/n. Rendezvous hashing chooses among the nodes with
// room. It depends on nothing but its input, and settles when it is applied again to what it wanted.
func place(in placeInput) (wanted []catalog.View, problems []string) {
	p := &placing{in: in, live: map[catalog.NodeID]bool{}, avoid: map[catalog.NodeID]bool{}, memory: map[catalog.NodeID]int64{}}
	for _, n := range in.Nodes {
		if !n.Draining {
			p.nodes = append(p.nodes, n.ID)
			p.live[n.ID] = true
			p.avoid[n.ID] = n.Avoid
			if n.Memory > 0 {
				p.memory[n.ID] = n.Memory
			}
		}
	}
	slices.Sort(p.nodes)
	if len(in.Shards) == 0 {
		return nil, nil
	}
	if len(p.nodes) == 0 {
		return nil, []string{"no querynode is live, nothing can be loaded"}
	}
	p.sets = p.replicaSets()
	p.leaders = p.chooseLeaders()
	p.views()
	p.segments()
	return p.wanted, p.problems
}

type placing struct {
	in       placeInput
	nodes    []catalog.NodeID // that may get something, ascending
	live     map[catalog.NodeID]bool
	avoid    map[catalog.NodeID]bool
	memory   map[catalog.NodeID]int64     // of those with a limit
	sets     map[int64][][]catalog.NodeID // by collection and replica
	leaders  map[logReplica]catalog.NodeID
	wanted   []catalog.View
	items    []item
	problems []string
}

// item is one segment of one wanted view.
type item struct {
	view    int // index in wanted
	segment placeSegment
	node    catalog.NodeID // where it is; 0 when nowhere that counts
	set     []catalog.NodeID
}

// replicaSets divides the nodes among each collection's replicas. A node stays with the replica that it serves today; the
// others join the smallest.
func (p *placing) replicaSets() map[int64][][]catalog.NodeID {
	out := map[int64][][]catalog.NodeID{}
	serves := p.serving()
	for _, s := range p.in.Shards {
		if out[s.Collection] != nil {
			continue
		}
		sets := make([][]catalog.NodeID, s.Replicas)
		var free []catalog.NodeID
		most := (len(p.nodes) + s.Replicas - 1) / s.Replicas
		for _, n := range p.nodes {
			if r, ok := serves[replicaNode{s.Collection, n}]; ok && r < s.Replicas && len(sets[r]) < most {
				sets[r] = append(sets[r], n)
			} else {
				free = append(free, n)
			}
		}
		slices.SortFunc(free, func(a, b catalog.NodeID) int {
			return cmp.Or(cmp.Compare(score(b, s.Collection), score(a, s.Collection)), cmp.Compare(a, b))
		})
		for _, n := range free {
			r := smallest(sets)
			sets[r] = append(sets[r], n)
		}
		for r := range sets {
			slices.Sort(sets[r])
			if len(sets[r]) == 0 {
				p.problems = append(p.problems, fmt.Sprintf("collection %d: replica %d has no querynode: %d are live for %d replicas", s.Collection, r, len(p.nodes), s.Replicas))
			}
		}
		out[s.Collection] = sets
	}
	return out
}

type replicaNode struct {
	collection int64
	node       catalog.NodeID
}

// serving is, by collection and node, the lowest replica in which the node has a part today.
func (p *placing) serving() map[replicaNode]int {
	out := map[replicaNode]int{}
	for _, s := range p.in.Shards {
		for r, v := range s.Current {
			for _, n := range nodesOfView(v) {
				key := replicaNode{s.Collection, n}
				if have, ok := out[key]; !ok || r < have {
					out[key] = r
				}
			}
		}
	}
	return out
}

func smallest(sets [][]catalog.NodeID) int {
	best := 0
	for r := range sets {
		if len(sets[r]) < len(sets[best]) {
			best = r
		}
	}
	return best
}

// logReplica is what one node leads, so that a log is read once per replica.
type logReplica struct {
	log     int
	replica int
}

// reader collects what speaks for a node as the leader of a log and replica.
type reader struct {
	covers int // shards of which it may be the leader
	leads  int // shards that it leads today
}

// chooseLeaders picks a node for each log and replica: one that may lead as many of the shards as possible, the one that
// leads them today if it leads no more than its share of all logs.
func (p *placing) chooseLeaders() map[logReplica]catalog.NodeID {
	readers := p.readers()
	keys := slices.SortedFunc(maps.Keys(readers), func(a, b logReplica) int {
		return cmp.Or(cmp.Compare(a.log, b.log), cmp.Compare(a.replica, b.replica))
	})
	most := (len(keys) + len(p.nodes) - 1) / len(p.nodes)
	count := map[catalog.NodeID]int{}
	out := map[logReplica]catalog.NodeID{}
	for _, keep := range []bool{true, false} { // first the logs that stay where they are
		for _, key := range keys {
			if out[key] != 0 {
				continue
			}
			if n := p.bestReader(key, readers[key], count, most); n != 0 && (!keep || readers[key][n].leads > 0 && count[n] < most) {
				out[key] = n
				count[n]++
			}
		}
	}
	return out
}

func (p *placing) readers() map[logReplica]map[catalog.NodeID]reader {
	out := map[logReplica]map[catalog.NodeID]reader{}
	for _, s := range p.in.Shards {
		for r, set := range p.sets[s.Collection] {
			key := logReplica{s.Log, r}
			if out[key] == nil {
				out[key] = map[catalog.NodeID]reader{}
			}
			for _, n := range set {
				have := out[key][n]
				have.covers++
				if v := s.Current[r]; v != nil && v.Leader == n {
					have.leads++
				}
				out[key][n] = have
			}
		}
	}
	return out
}

func (p *placing) bestReader(key logReplica, readers map[catalog.NodeID]reader, count map[catalog.NodeID]int, most int) catalog.NodeID {
	full := func(n catalog.NodeID) int {
		if p.avoid[n] && readers[n].leads == 0 {
			return 1 << 20
		}
		return count[n] / max(most, 1)
	}
	thing := int64(key.log)<<8 | int64(key.replica)
	var best catalog.NodeID
	for _, n := range p.nodes {
		have, ok := readers[n]
		if !ok {
			continue
		}
		if best == 0 || cmp.Or(cmp.Compare(full(best), full(n)), cmp.Compare(have.covers, readers[best].covers),
			cmp.Compare(have.leads, readers[best].leads), cmp.Compare(score(n, thing), score(best, thing))) > 0 {
			best = n
		}
	}
	return best
}

// leaderOf is the leader of one shard and replica: the log's, else who leads it today, else any of the set.
func (p *placing) leaderOf(s *placeShard, replica int, set []catalog.NodeID) catalog.NodeID {
	if n := p.leaders[logReplica{s.Log, replica}]; slices.Contains(set, n) {
		return n
	}
	if v := s.Current[replica]; v != nil && slices.Contains(set, v.Leader) {
		return v.Leader
	}
	set = p.fit(set)
	best := set[0]
	for _, n := range set {
		if score(n, int64(s.Log)) > score(best, int64(s.Log)) {
			best = n
		}
	}
	return best
}

// views makes the wanted views with their leaders, and the list of segments to give out.
func (p *placing) views() {
	for _, s := range p.in.Shards {
		for r, set := range p.sets[s.Collection] {
			if len(set) == 0 {
				continue // reported by replicaSets
			}
			v := catalog.View{
				Collection: s.Collection, Shard: s.Shard, Replica: r, From: s.From, Partitions: s.Partitions,
				MinReadTS: s.MinReadTS, Segments: map[int64][]catalog.NodeID{},
			}
			v.Leader = p.leaderOf(&s, r, set)
			cur := s.Current[r]
			if cur != nil {
				v.From = max(v.From, cur.From)
			}
			p.wanted = append(p.wanted, v)
			for _, seg := range s.Segments {
				p.items = append(p.items, item{view: len(p.wanted) - 1, segment: seg, set: p.fit(set), node: holder(cur, seg.ID, set)})
			}
		}
	}
}

// holder is the node of the set that has a segment today, 0 when none.
func holder(v *catalog.View, segment int64, set []catalog.NodeID) catalog.NodeID {
	if v == nil {
		return 0
	}
	for _, n := range v.Segments[segment] {
		if slices.Contains(set, n) {
			return n
		}
	}
	return 0
}

// worthMoving is how much the sum of squared loads must fall for segments to move.
const worthMoving = 0.97

// maxRounds bounds how often a better plan is sought from the last one.
const maxRounds = 8

// segments gives out the segments: those without a node first to where there is room; then, if that makes the loads
// clearly more even, or a node holds more than it has memory for, segments move away from nodes above the bound.
func (p *placing) segments() {
	var total, largest int64
	for _, it := range p.items {
		total += it.segment.Bytes
		largest = max(largest, it.segment.Bytes)
	}
	bound := p.bounds(int64(float64(total)*(1+p.in.Slack)), largest)
	slices.SortStableFunc(p.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(b.segment.Bytes, a.segment.Bytes), cmp.Compare(a.segment.ID, b.segment.ID), cmp.Compare(a.view, b.view))
	})
	items := assign(p.items, bound, true)
	for range maxRounds {
		if balanced(items, bound) {
			break
		}
		better := assign(items, bound, false)
		if fits := balanced(items, p.room); fits && unevenness(better) > worthMoving*unevenness(items) || !fits && !balanced(better, p.room) {
			break // not worth moving, or no use
		}
		items = better
	}
	for _, it := range items {
		p.wanted[it.view].Segments[it.segment.ID] = []catalog.NodeID{it.node}
	}
}

// bounds says up to where a node is filled: all alike, at least by the largest segment, but none beyond its memory; what a
// small node cannot take is divided among the others.
func (p *placing) bounds(total, largest int64) func(catalog.NodeID) int64 {
	nodes := slices.Clone(p.nodes)
	slices.SortFunc(nodes, func(a, b catalog.NodeID) int { return cmp.Compare(p.room(a), p.room(b)) })
	for len(nodes) > 1 && p.room(nodes[0]) < total/int64(len(nodes)) {
		total -= p.room(nodes[0])
		nodes = nodes[1:]
	}
	even := max(largest, total/int64(len(nodes)))
	return func(n catalog.NodeID) int64 { return min(even, p.room(n)) }
}

// room is the memory of a node.
func (p *placing) room(n catalog.NodeID) int64 {
	if memory, limited := p.memory[n]; limited {
		return memory
	}
	return math.MaxInt64
}

// fit is the set without the nodes to avoid, or the set if there are no others.
func (p *placing) fit(set []catalog.NodeID) []catalog.NodeID {
	var out []catalog.NodeID
	for _, n := range set {
		if !p.avoid[n] {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return set
	}
	return out
}

// assign gives each item a node. With keep, an item that has one keeps it; otherwise only while the node's load stays
// within the bound, the largest first. The others go to the node with the highest score that has room, or else to the
// least loaded.
func assign(items []item, bound func(catalog.NodeID) int64, keep bool) []item {
	out := slices.Clone(items)
	load := map[catalog.NodeID]int64{}
	for i := range out {
		n, bytes := out[i].node, out[i].segment.Bytes
		if n != 0 && (keep || load[n]+bytes <= bound(n)) {
			load[n] += bytes
		} else {
			out[i].node = 0
		}
	}
	for i := range out {
		if out[i].node == 0 {
			out[i].node = choose(out[i], load, bound)
			load[out[i].node] += out[i].segment.Bytes
		}
	}
	return out
}

func choose(it item, load map[catalog.NodeID]int64, bound func(catalog.NodeID) int64) catalog.NodeID {
	var best, least catalog.NodeID
	var bestScore uint64
	for i, n := range it.set {
		if i == 0 || bound(n)-load[n] > bound(least)-load[least] {
			least = n
		}
		if s := score(n, it.segment.ID); load[n]+it.segment.Bytes <= bound(n) && (best == 0 || s > bestScore) {
			best, bestScore = n, s
		}
	}
	if best == 0 {
		return least
	}
	return best
}

// balanced reports whether no node is above its bound.
func balanced(items []item, bound func(catalog.NodeID) int64) bool {
	load := map[catalog.NodeID]int64{}
	for _, it := range items {
		load[it.node] += it.segment.Bytes
		if load[it.node] > bound(it.node) {
			return false
		}
	}
	return true
}

// unevenness is the sum of the squared loads.
func unevenness(items []item) float64 {
	load := map[catalog.NodeID]float64{}
	for _, it := range items {
		load[it.node] += float64(it.segment.Bytes)
	}
	var sum float64
	for _, l := range load {
		sum += l * l
	}
	return sum
}

// score is the rendezvous hash of a node and a thing.
func score(node catalog.NodeID, thing int64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(node))
	binary.LittleEndian.PutUint64(b[8:], uint64(thing))
	return xxhash.Sum64(b[:])
}

// nodesOfView are the nodes that have a part in a view, ascending.
func nodesOfView(v *catalog.View) []catalog.NodeID {
	out := []catalog.NodeID{v.Leader}
	for _, holders := range v.Segments {
		out = append(out, holders...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameServing reports whether two views of a shard have the same nodes serve the same rows. The position may differ: it
// says where a new leader begins to read, and moves on when that is worth a change.
func sameServing(a, b *catalog.View) bool {
	return a.Leader == b.Leader && slices.Equal(a.Partitions, b.Partitions) && (a.Partitions == nil) == (b.Partitions == nil) &&
		maps.EqualFunc(a.Segments, b.Segments, slices.Equal)
}

// obsolete says why a view that is being prepared cannot be published any more, or "".
func obsolete(v *catalog.View, coll *catalog.Collection, shard *catalog.Shard, alive func(catalog.NodeID) bool) string {
	switch {
	case coll == nil || coll.State == catalog.Dropping:
		return "the collection is gone"
	case coll.Load == nil || v.Replica >= coll.Load.Replicas:
		return "the collection is released"
	case (coll.Load.Partitions == nil) != (v.Partitions == nil) || !slices.Equal(coll.Load.Partitions, v.Partitions):
		return "other partitions are to be loaded"
	case shard == nil:
		return "the shard has no manifest"
	}
	for id := range v.Segments {
		if !slices.ContainsFunc(shard.Segments, func(s catalog.Segment) bool { return s.ID == id }) {
			return fmt.Sprintf("segment %d was replaced", id)
		}
	}
	for _, n := range nodesOfView(v) {
		if !alive(n) {
			return fmt.Sprintf("node %d is gone", n)
		}
	}
	return ""
}
