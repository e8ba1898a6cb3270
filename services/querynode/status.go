package querynode

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Status is what gyr-ctl and metrics show of a query node.
type Status struct {
	Node           int64          `json:"node"`
	Shards         int            `json:"shards"`
	Views          int            `json:"views"`
	SealedSegments int            `json:"sealed_segments"`
	SealedBytes    int64          `json:"sealed_bytes"`
	SealedRows     int64          `json:"sealed_rows"`
	MemoryLimit    int64          `json:"memory_limit,omitempty"`
	DiskBytes      int64          `json:"disk_bytes,omitempty"` // of the disk cache
	DiskLimit      int64          `json:"disk_limit,omitempty"`
	GrowingRows    int64          `json:"growing_rows"`
	GrowingBytes   int64          `json:"growing_bytes"`
	Applied        map[int]uint64 `json:"applied"`          // by log: position through which it is applied
	LogErrors      map[int]string `json:"errors,omitempty"` // by log: why it cannot be read
}

// Status returns a summary of what the node holds.
func (n *Node) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := Status{Node: n.id, Shards: len(n.open), MemoryLimit: n.cfg.MemoryLimit, Applied: map[int]uint64{}, LogErrors: map[int]string{}}
	st.DiskBytes, st.DiskLimit = n.cacheUsage()
	for _, byNumber := range n.views {
		st.Views += len(byNumber)
	}
	for _, s := range n.open {
		s.addStatus(&st)
	}
	for number, t := range n.logs {
		applied, err := t.state()
		st.Applied[number] = applied
		if err != nil {
			st.LogErrors[number] = err.Error()
		}
	}
	return st
}

func (s *shard) addStatus(st *Status) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.byOrdinal {
		st.GrowingRows += int64(g.Rows())
		st.GrowingBytes += g.Bytes()
	}
	for _, e := range s.sealed {
		if e.seg != nil {
			st.SealedSegments++
			st.SealedBytes += e.seg.Bytes()
			st.SealedRows += int64(e.seg.Rows())
		}
	}
}

// NodeStatus implements pb.QueryNodeServer.
func (n *Node) NodeStatus(context.Context, *pb.NodeStatusRequest) (*pb.NodeStatusResponse, error) {
	raw, err := json.Marshal(n.Status())
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	return &pb.NodeStatusResponse{StatusJson: raw}, nil
}
