package coordinator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/mq"
)

// Status is the cluster at a glance, for people and tools.
type Status struct {
	Cluster     *catalog.Cluster           `json:"cluster"`
	Leader      *catalog.Node              `json:"leader"`
	Epoch       int64                      `json:"epoch"`
	Leading     bool                       `json:"leading"` // this process is the leader
	Revision    int64                      `json:"revision"`
	Nodes       map[catalog.Role][]NodeRow `json:"nodes"`
	Logs        []LogRow                   `json:"logs"`
	Collections []CollectionRow            `json:"collections"`
	Tasks       []TaskRow                  `json:"tasks"`
	Copy        *catalog.KeptCopy          `json:"copy,omitempty"` // the newest copy of the catalog in object storage
	Problems    []string                   `json:"problems"`
}

// NodeRow is one live process.
type NodeRow struct {
	catalog.Node
	Logs     []int `json:"logs,omitempty"`     // datanode: owned
	Leads    int   `json:"leads,omitempty"`    // querynode: views
	Segments int   `json:"segments,omitempty"` // querynode: sealed segments in published views
	Bytes    int64 `json:"bytes,omitempty"`    // of those
}

// LogRow is one log and its owner.
type LogRow struct {
	Number     int             `json:"number"`
	Name       string          `json:"name"`
	URL        string          `json:"url"`
	Created    bool            `json:"created"`
	Owner      *catalog.NodeID `json:"owner"`
	Epoch      uint64          `json:"epoch"`
	Checkpoint mq.Position     `json:"checkpoint"`
	Truncated  mq.Position     `json:"truncated"`
	Shards     int             `json:"shards"`
}

// CollectionRow is one collection with its shards.
type CollectionRow struct {
	ID         int64      `json:"id"`
	DB         string     `json:"db"`
	Name       string     `json:"name"`
	State      string     `json:"state"`
	Partitions int        `json:"partitions"`
	Indexes    int        `json:"indexes"`
	Loaded     bool       `json:"loaded"`
	Progress   int32      `json:"progress,omitempty"` // of the load, percent
	Shards     []ShardRow `json:"shards"`
}

// ShardRow is one shard: what is in the bucket, and who serves it.
type ShardRow struct {
	Index      int         `json:"index"`
	Log        int         `json:"log"`
	Checkpoint mq.Position `json:"checkpoint"`
	Segments   int         `json:"segments"`
	Rows       int         `json:"rows"`
	Bytes      int64       `json:"bytes"`
	Deltas     int         `json:"deltas"`
	Unindexed  int         `json:"unindexed"` // segments that still lack an index file
	Views      []ViewRow   `json:"views,omitempty"`
}

// ViewRow is one published view.
type ViewRow struct {
	Replica  int              `json:"replica"`
	Number   uint64           `json:"number"`
	Leader   catalog.NodeID   `json:"leader"`
	From     mq.Position      `json:"from"`
	Segments int              `json:"segments"`
	Nodes    []catalog.NodeID `json:"nodes"`
}

// TaskRow is one open task.
type TaskRow struct {
	ID         int64            `json:"id"`
	Kind       catalog.TaskKind `json:"kind"`
	Collection int64            `json:"collection"`
	Shard      int              `json:"shard"`
	State      string           `json:"state"`
	Attempt    int64            `json:"attempt"`
	Node       catalog.NodeID   `json:"node,omitempty"`
	Progress   float32          `json:"progress,omitempty"`
	Failures   int              `json:"failures,omitempty"`
	Error      string           `json:"error,omitempty"`
}

// Status describes the cluster as this process sees it. A standby knows neither loads under way nor tasks' progress.
func (c *Coordinator) Status(ctx context.Context) (*Status, error) {
	if err := c.deps.Cache.Ready(ctx); err != nil {
		return nil, err
	}
	cache := c.deps.Cache
	s := &Status{Cluster: cache.Cluster(), Leading: c.Leading(), Revision: cache.Revision(), Copy: cache.Copies().Newest(), Nodes: map[catalog.Role][]NodeRow{}}
	s.Leader, s.Epoch = cache.Leader()
	for _, coll := range cache.AllCollections() {
		s.Collections = append(s.Collections, c.collectionRow(coll))
	}
	s.Logs = c.logRows(s.Collections)
	c.nodeRows(s)
	for _, task := range cache.Tasks() {
		s.Tasks = append(s.Tasks, c.taskRow(task))
	}
	s.Problems = c.Problems()
	return s, nil
}

func (c *Coordinator) collectionRow(coll *catalog.Collection) CollectionRow {
	row := CollectionRow{
		ID: coll.ID, DB: coll.DB, Name: coll.Name, State: string(coll.State),
		Partitions: len(coll.Partitions), Indexes: len(coll.Indexes), Loaded: coll.Load != nil,
	}
	if t := c.term.Load(); t != nil && coll.Load != nil {
		row.Progress, _ = t.loadProgress(coll, nil)
	}
	views := c.deps.Cache.Views(coll.ID)
	for _, shard := range c.deps.Cache.Shards(coll.ID) {
		sr := ShardRow{Index: shard.Index, Log: shard.Log, Checkpoint: shard.Checkpoint, Segments: len(shard.Segments), Deltas: len(shard.Deltas)}
		for i := range shard.Segments {
			sr.Rows += shard.Segments[i].Rows
			sr.Bytes += shard.Segments[i].Bytes
			if lacksIndex(coll, &shard.Segments[i], c.cfg.Tasks.MinIndexRows) {
				sr.Unindexed++
			}
		}
		for _, v := range views {
			if v.Shard == shard.Index {
				sr.Views = append(sr.Views, ViewRow{Replica: v.Replica, Number: v.Number, Leader: v.Leader, From: v.From, Segments: len(v.Segments), Nodes: nodesOfView(v)})
			}
		}
		row.Shards = append(row.Shards, sr)
	}
	return row
}

func (c *Coordinator) logRows(collections []CollectionRow) []LogRow {
	shards := map[int]int{}
	for _, coll := range collections {
		for _, s := range coll.Shards {
			shards[s.Log]++
		}
	}
	var out []LogRow
	for _, l := range c.deps.Cache.Logs() {
		row := LogRow{Number: l.Number, Name: l.Name, URL: l.URL, Created: l.Created, Epoch: c.deps.Cache.Epoch(l.Number), Shards: shards[l.Number]}
		if o := c.deps.Cache.Owner(l.Number); o != nil {
			row.Owner = &o.Node
		}
		if m := c.deps.Cache.Marks(l.Number); m != nil {
			row.Checkpoint, row.Truncated = m.Checkpoint, m.Truncated
		}
		out = append(out, row)
	}
	return out
}

func (c *Coordinator) nodeRows(s *Status) {
	for _, role := range []catalog.Role{catalog.RoleProxy, catalog.RoleCoordinator, catalog.RoleDataNode, catalog.RoleQueryNode, catalog.RoleIndexNode} {
		for _, n := range c.nodesOf(role) {
			row := NodeRow{Node: *n}
			for _, l := range s.Logs {
				if role == catalog.RoleDataNode && l.Owner != nil && *l.Owner == n.ID {
					row.Logs = append(row.Logs, l.Number)
				}
			}
			if role == catalog.RoleQueryNode {
				c.countServed(&row)
			}
			s.Nodes[role] = append(s.Nodes[role], row)
		}
	}
}

func (c *Coordinator) countServed(row *NodeRow) {
	for _, coll := range c.deps.Cache.AllCollections() {
		for _, v := range c.deps.Cache.Views(coll.ID) {
			if v.Leader == row.ID {
				row.Leads++
			}
			shard := c.deps.Cache.Shard(coll.ID, v.Shard)
			for id, holders := range v.Segments {
				if !slices.Contains(holders, row.ID) {
					continue
				}
				row.Segments++
				if shard == nil {
					continue
				}
				if i := slices.IndexFunc(shard.Segments, func(s catalog.Segment) bool { return s.ID == id }); i >= 0 {
					row.Bytes += shard.Segments[i].Bytes
				}
			}
		}
	}
}

func (c *Coordinator) taskRow(task *catalog.Task) TaskRow {
	row := TaskRow{
		ID: task.ID, Kind: task.Kind, Collection: task.Collection, Shard: task.Shard, Attempt: task.Attempt,
		Node: task.Node, Failures: task.Failures, Error: task.Error, State: taskState(task, c.cfg.Tasks.MaxFailures),
	}
	if t := c.term.Load(); t != nil {
		t.board.mu.Lock()
		row.Progress = t.board.leases[task.ID].progress
		t.board.mu.Unlock()
	}
	return row
}

// Problems says in words what is wrong with the cluster; empty means that nothing is known to be.
func (c *Coordinator) Problems() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	cache := c.deps.Cache
	if node, _ := cache.Leader(); node == nil {
		say("the coordinator has no leader: writes wait for timestamps, collections cannot be made, changed or loaded; reads go on")
	}
	for _, role := range []catalog.Role{catalog.RoleProxy, catalog.RoleDataNode, catalog.RoleQueryNode, catalog.RoleIndexNode} {
		if len(cache.Nodes(role)) == 0 {
			say("no %s is live", role)
		}
	}
	for _, l := range cache.Logs() {
		switch {
		case !l.Created:
			say("log %d is not created in the queue at %s yet", l.Number, l.URL)
		case cache.Owner(l.Number) == nil:
			say("log %d has no owner: writes to its shards, and Strong reads of them, wait", l.Number)
		}
	}
	out = append(out, c.serviceProblems()...)
	out = append(out, c.taskProblems()...)
	out = append(out, c.look.problems()...)
	unreadable := cache.Unreadable()
	for _, key := range slices.Sorted(maps.Keys(unreadable)) {
		say("the record %s cannot be read: %v", key, unreadable[key])
	}
	if t := c.term.Load(); t != nil {
		out = append(out, t.place.stuck()...)
		if why := t.copier.problem(); why != "" {
			out = append(out, why)
		}
		if lead := t.oracle.lead(); lead > c.cfg.OracleWindow {
			say("timestamps are %s ahead of the coordinator's clock", lead.Round(time.Millisecond))
		}
	}
	return out
}

// serviceProblems are shards that are not served as they should be.
func (c *Coordinator) serviceProblems() []string {
	var out []string
	for _, coll := range c.deps.Cache.AllCollections() {
		if coll.State == catalog.Dropping {
			out = append(out, fmt.Sprintf("collection %s.%s (%d) is still being dropped", coll.DB, coll.Name, coll.ID))
			continue
		}
		if coll.Load == nil {
			continue
		}
		for i := range coll.ShardLogs {
			for r := range max(coll.Load.Replicas, 1) {
				if why := c.unserved(coll, i, r); why != "" {
					out = append(out, fmt.Sprintf("collection %s.%s shard %d replica %d %s", coll.DB, coll.Name, i, r, why))
				}
			}
		}
	}
	return out
}

func (c *Coordinator) unserved(coll *catalog.Collection, shard, replica int) string {
	v := c.deps.Cache.View(coll.ID, shard, replica)
	switch {
	case v == nil:
		return "is to be loaded, but no view is published"
	case !covers(v, coll.Load.Partitions):
		return fmt.Sprintf("is served by view %d without some partitions that are to be loaded", v.Number)
	}
	for _, n := range nodesOfView(v) {
		if c.deps.Cache.Node(catalog.RoleQueryNode, n) == nil {
			return fmt.Sprintf("is served by view %d, but querynode %d of it is gone", v.Number, n)
		}
	}
	return ""
}

// taskProblems are the tasks that were given up for now.
func (c *Coordinator) taskProblems() []string {
	var out []string
	for _, task := range c.deps.Cache.Tasks() {
		if task.Failures >= c.cfg.Tasks.MaxFailures {
			out = append(out, fmt.Sprintf("task %d (%s, collection %d shard %d) failed %d times, last: %s", task.ID, task.Kind, task.Collection, task.Shard, task.Failures, task.Error))
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return out
}
