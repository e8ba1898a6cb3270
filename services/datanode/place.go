package datanode

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gyr-db/gyr/pkg/catalog"
)

// place says which of the nodes each log falls to: the one with the highest hash of (log, node) among those that have
// not more than their share. Every node computes the same, and a node that comes or goes moves few logs.
func place(logs []int, nodes []catalog.NodeID) map[int]catalog.NodeID {
	out := make(map[int]catalog.NodeID, len(logs))
	if len(nodes) == 0 {
		return out
	}
	share := (len(logs) + len(nodes) - 1) / len(nodes)
	load := map[catalog.NodeID]int{}
	for _, n := range slices.Sorted(slices.Values(logs)) {
		best := slices.MaxFunc(nodes, func(a, b catalog.NodeID) int {
			return cmp.Or(-cmp.Compare(boolInt(load[a] >= share), boolInt(load[b] >= share)), cmp.Compare(weight(n, a), weight(n, b)), cmp.Compare(a, b))
		})
		out[n] = best
		load[best]++
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func weight(log int, node catalog.NodeID) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(log))
	binary.LittleEndian.PutUint64(b[8:], uint64(node))
	return xxhash.Sum64(b[:])
}
