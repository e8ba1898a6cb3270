package coordinator

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
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

// placeNode is a live querynode. One that drains keeps serving what it has until others are ready, and gets nothing new.
type placeNode struct {
	ID       catalog.NodeID
	Draining bool
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
// long as it is balanced: of n nodes each gets up to (1 + Slack) times the average of the bytes, and leads up to its share
// of the logs; one node more or less moves about 1/n. It depends on nothing but its input.
func place(in placeInput) (wanted []catalog.View, problems []string) {
	p := &placing{in: in, load: map[catalog.NodeID]int64{}, live: map[catalog.NodeID]bool{}}
	for _, n := range in.Nodes {
		if !n.Draining {
			p.nodes = append(p.nodes, n.ID)
			p.live[n.ID] = true
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
	sets     map[int64][][]catalog.NodeID // by collection and replica
	leaders  map[int][]catalog.NodeID     // by log: nodes, the most wanted first
	load     map[catalog.NodeID]int64     // bytes given out
	wanted   []catalog.View
	items    []item
	problems []string
}

// item is one segment of one wanted view.
type item struct {
	view    int // index in wanted
	segment placeSegment
	current []catalog.NodeID
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

// chooseLeaders orders the nodes for each log, so that a log is read by as few nodes as possible: all shards of a log and
// replica are led by the first node that is in their set. The node that leads most of a log today comes first, unless it
// leads more than its share of the logs.
func (p *placing) chooseLeaders() map[int][]catalog.NodeID {
	leads := map[int]map[catalog.NodeID]int{} // log -> node -> shards of replica 0 led today
	for _, s := range p.in.Shards {
		if leads[s.Log] == nil {
			leads[s.Log] = map[catalog.NodeID]int{}
		}
		if v := s.Current[0]; v != nil && p.live[v.Leader] {
			leads[s.Log][v.Leader]++
		}
	}
	logs := slices.Sorted(maps.Keys(leads))
	most := (len(logs) + len(p.nodes) - 1) / len(p.nodes)
	count := map[catalog.NodeID]int{}
	out := map[int][]catalog.NodeID{}
	for _, keep := range []bool{true, false} { // first the logs that stay where they are
		for _, log := range logs {
			if out[log] != nil {
				continue
			}
			order := p.leaderOrder(log, leads[log], count, most, keep)
			if order != nil {
				out[log] = order
				count[order[0]]++
			}
		}
	}
	return out
}

func (p *placing) leaderOrder(log int, leads map[catalog.NodeID]int, count map[catalog.NodeID]int, most int, keep bool) []catalog.NodeID {
	order := slices.Clone(p.nodes)
	full := func(n catalog.NodeID) int {
		if count[n] >= most {
			return 1
		}
		return 0
	}
	slices.SortFunc(order, func(a, b catalog.NodeID) int {
		return cmp.Or(cmp.Compare(full(a), full(b)), cmp.Compare(leads[b], leads[a]),
			cmp.Compare(score(b, int64(log)), score(a, int64(log))), cmp.Compare(a, b))
	})
	if keep && (leads[order[0]] == 0 || full(order[0]) == 1) {
		return nil
	}
	return order
}

// views makes the wanted views with their leaders, and the list of segments to give out.
func (p *placing) views() {
	for _, s := range p.in.Shards {
		for r, set := range p.sets[s.Collection] {
			if len(set) == 0 {
				continue
			}
			v := catalog.View{
				Collection: s.Collection, Shard: s.Shard, Replica: r, From: s.From, Partitions: s.Partitions,
				MinReadTS: s.MinReadTS, Segments: map[int64][]catalog.NodeID{},
			}
			for _, n := range p.leaders[s.Log] {
				if slices.Contains(set, n) {
					v.Leader = n
					break
				}
			}
			cur := s.Current[r]
			if cur != nil {
				v.From = max(v.From, cur.From)
			}
			p.wanted = append(p.wanted, v)
			for _, seg := range s.Segments {
				it := item{view: len(p.wanted) - 1, segment: seg, set: set}
				if cur != nil {
					it.current = cur.Segments[seg.ID]
				}
				p.items = append(p.items, it)
			}
		}
	}
}

// segments gives out the segments, the largest first: first those that can stay, then the rest by rendezvous hashing.
func (p *placing) segments() {
	var total, largest int64
	for _, it := range p.items {
		total += it.segment.Bytes
		largest = max(largest, it.segment.Bytes)
	}
	bound := max(largest, int64(float64(total)*(1+p.in.Slack))/int64(len(p.nodes)))
	slices.SortStableFunc(p.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(b.segment.Bytes, a.segment.Bytes), cmp.Compare(a.segment.ID, b.segment.ID))
	})
	var homeless []item
	for _, it := range p.items {
		if n, ok := p.stays(it, bound); ok {
			p.give(it, n)
		} else {
			homeless = append(homeless, it)
		}
	}
	for _, it := range homeless {
		p.give(it, p.choose(it, bound))
	}
}

func (p *placing) stays(it item, bound int64) (catalog.NodeID, bool) {
	for _, n := range it.current {
		if slices.Contains(it.set, n) && p.load[n]+it.segment.Bytes <= bound {
			return n, true
		}
	}
	return 0, false
}

// choose takes the node with the highest score that has room, or the least loaded one.
func (p *placing) choose(it item, bound int64) catalog.NodeID {
	var best, least catalog.NodeID
	var bestScore uint64
	for i, n := range it.set {
		if i == 0 || p.load[n] < p.load[least] {
			least = n
		}
		if s := score(n, it.segment.ID); p.load[n]+it.segment.Bytes <= bound && (best == 0 || s > bestScore) {
			best, bestScore = n, s
		}
	}
	if best == 0 {
		return least
	}
	return best
}

func (p *placing) give(it item, n catalog.NodeID) {
	p.load[n] += it.segment.Bytes
	p.wanted[it.view].Segments[it.segment.ID] = []catalog.NodeID{n}
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
