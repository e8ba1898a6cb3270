// Package catalog defines what Gyr keeps in the metadata store: key layout and the records, O(collections + shards)
// of them, and a Cache that mirrors them in every process.
//
// Who writes what: the coordinator's leader writes databases, collections, aliases, views, tasks; the owner of a log
// writes the shards' seals and the log's marks, by transactions that compare the log's epoch key; each process writes
// its own node key under its lease.
package catalog

import (
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// NodeID identifies one running process (a new one each start); it is drawn from the coordinator's ids or random.
type NodeID = int64

// Cluster is written once, at the first start.
type Cluster struct {
	UUID   string `json:"uuid"`
	Format int    `json:"format"`
	Logs   int    `json:"logs"`
}

// Database is a namespace of collections.
type Database struct {
	ID         int64             `json:"id"`
	Name       string            `json:"name"`
	Properties map[string]string `json:"properties,omitempty"`
	CreatedTS  tso.Timestamp     `json:"created_ts"`
}

// State of a collection or partition.
type State string

// States. A dropping thing refuses writes and reads; its record goes when every owner has confirmed.
const (
	Ready    State = "ready"
	Dropping State = "dropping"
)

// Collection is everything about one collection that is not per shard.
type Collection struct {
	ID          int64             `json:"id"`
	DB          string            `json:"db"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	State       State             `json:"state"`
	Schema      schema.Schema     `json:"schema"`
	ShardLogs   []int             `json:"shard_logs"` // by shard index: the number of the log it lives in
	Partitions  []Partition       `json:"partitions"`
	Indexes     []Index           `json:"indexes,omitempty"`
	Consistency int32             `json:"consistency"` // the API's ConsistencyLevel
	Properties  map[string]string `json:"properties,omitempty"`
	CreatedTS   tso.Timestamp     `json:"created_ts"`
	UpdatedTS   tso.Timestamp     `json:"updated_ts"` // of the last schema change
	Load        *Load             `json:"load,omitempty"`
	// TruncatedTS: rows written at or below it are gone; nobody reads, counts or seals them.
	TruncatedTS tso.Timestamp `json:"truncated_ts,omitempty"`
	// NumPartitions is what the user asked for with a partition key.
	NumPartitions int `json:"num_partitions,omitempty"`
}

// Partition of a collection. DefaultPartition always exists.
type Partition struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	State     State         `json:"state"`
	CreatedTS tso.Timestamp `json:"created_ts"`
}

// DefaultPartition is the name of the partition that every collection has.
const DefaultPartition = "_default"

// Index is an index definition on one field.
type Index struct {
	ID      int64  `json:"id"`
	FieldID int64  `json:"field_id"`
	Name    string `json:"name"`
	// UserParams are what DescribeIndex returns; Type, Metric and Params what is built.
	UserParams []schema.KV       `json:"user_params"`
	Type       string            `json:"type"`   // FLAT, HNSW, or a scalar index name
	Metric     string            `json:"metric"` // L2, IP, COSINE; empty for scalar indexes
	Params     map[string]string `json:"params,omitempty"`
	CreatedTS  tso.Timestamp     `json:"created_ts"`
}

// Load says that a collection, or some partitions, shall be loaded.
type Load struct {
	Replicas   int           `json:"replicas"`
	Partitions []int64       `json:"partitions,omitempty"` // nil: all, also later ones
	Fields     []int64       `json:"fields,omitempty"`     // as asked; all fields are loaded today
	At         tso.Timestamp `json:"at"`
}

// Shard is the manifest of one shard: what is in the bucket.
//
// Checkpoint: every row and delete of this shard in its log at or below it is in Segments and Deltas. A seal cuts the
// whole shard at one position, so segments never straddle it.
type Shard struct {
	Collection int64         `json:"collection"`
	Index      int           `json:"index"`
	Log        int           `json:"log"`
	Checkpoint mq.Position   `json:"checkpoint"`
	SealedTS   tso.Timestamp `json:"sealed_ts"` // timestamp of the seal at Checkpoint
	Segments   []Segment     `json:"segments,omitempty"`
	Deltas     []Delta       `json:"deltas,omitempty"`
	Horizon    tso.Timestamp `json:"horizon,omitempty"` // reads below are refused
}

// Segment is an immutable set of rows of one partition.
type Segment struct {
	ID        int64 `json:"id"`
	Partition int64 `json:"partition"`
	Rows      int   `json:"rows"`
	Bytes     int64 `json:"bytes"`
	// MinTS and MaxTS bound the rows' timestamps.
	MinTS tso.Timestamp `json:"min_ts"`
	MaxTS tso.Timestamp `json:"max_ts"`
	// AppliedThrough is the position X: deletes at or below it cannot concern this segment's rows any more.
	AppliedThrough mq.Position `json:"applied_through"`
	// Dir is the key prefix of this segment's files: Dir+"/rows.parquet", Dir+"/columns.gyrc".
	Dir     string         `json:"dir"`
	Indexes []SegmentIndex `json:"indexes,omitempty"`
	Schema  int32          `json:"schema"` // schema version of the files
}

// SegmentIndex is one built index file.
type SegmentIndex struct {
	IndexID int64  `json:"index_id"`
	FieldID int64  `json:"field_id"`
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
}

// Delta is a delta file: a shard's deletes at positions in (From, To].
type Delta struct {
	Path  string        `json:"path"`
	From  mq.Position   `json:"from"`
	To    mq.Position   `json:"to"`
	Count int           `json:"count"`
	MinTS tso.Timestamp `json:"min_ts"`
	MaxTS tso.Timestamp `json:"max_ts"`
}

// View says, for one shard and replica, which node serves what. It is immutable; a change is a new number.
// The growing rows are those at positions behind From; they are served by Leader. Segments are the sealed ones.
type View struct {
	Collection int64              `json:"collection"`
	Shard      int                `json:"shard"`
	Replica    int                `json:"replica"`
	Number     uint64             `json:"number"`
	Leader     NodeID             `json:"leader"`
	From       mq.Position        `json:"from"`
	Segments   map[int64][]NodeID `json:"segments"` // segment id -> nodes that hold it
	Partitions []int64            `json:"partitions,omitempty"`
	MinReadTS  tso.Timestamp      `json:"min_read_ts,omitempty"`
}

// Log is one of the cluster's logs.
type Log struct {
	Number int    `json:"number"`
	URL    string `json:"url"`
	Name   string `json:"name"`
	UUID   string `json:"uuid"`
	// Created is set once the queue holds the log; before that it may be created (again).
	Created bool `json:"created"`
}

// LogMarks are written by the owner only, comparing its epoch.
type LogMarks struct {
	// Checkpoint: a new owner reads from behind it. Truncated: entries below may be gone.
	Checkpoint mq.Position `json:"checkpoint"`
	Truncated  mq.Position `json:"truncated"`
	// Epoch and Seq of the last accepted record at or below Checkpoint: where the accept rule starts.
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
	// TS is not below the timestamp of any accepted record at or below Checkpoint.
	TS tso.Timestamp `json:"ts,omitempty"`
}

// Owner is the ownership key of a log, held under the datanode's lease.
type Owner struct {
	Node  NodeID `json:"node"`
	Addr  string `json:"addr"`
	Epoch uint64 `json:"epoch"`
}

// Role of a process.
type Role string

// Roles.
const (
	RoleProxy       Role = "proxy"
	RoleCoordinator Role = "coordinator"
	RoleDataNode    Role = "datanode"
	RoleQueryNode   Role = "querynode"
	RoleIndexNode   Role = "indexnode"
)

// Node is a live process, held under its lease.
type Node struct {
	ID      NodeID `json:"id"`
	Role    Role   `json:"role"`
	Addr    string `json:"addr"` // internal gRPC
	Metrics string `json:"metrics,omitempty"`
	Version string `json:"version"`
	Started int64  `json:"started"` // unix ms
	// Memory is how many bytes of segments a querynode holds at most; 0 is no limit.
	Memory int64 `json:"memory,omitempty"`
	// Draining: the node is stopping; it gets nothing new.
	Draining bool `json:"draining,omitempty"`
}

// TaskKind says what an indexnode is to do.
type TaskKind string

// Task kinds.
const (
	TaskIndex   TaskKind = "index"
	TaskCompact TaskKind = "compact"
)

// Task is a piece of heavy work for an indexnode. Results are committed by the coordinator in one transaction that
// compares the task, the attempt and "all sources live". Dir is the attempt's own folder in the bucket.
type Task struct {
	ID         int64         `json:"id"`
	Kind       TaskKind      `json:"kind"`
	Attempt    int64         `json:"attempt"`
	Collection int64         `json:"collection"`
	Shard      int           `json:"shard"`
	Dir        string        `json:"dir"`
	Node       NodeID        `json:"node,omitempty"` // who runs it
	Sources    []Segment     `json:"sources"`
	Deltas     []Delta       `json:"deltas,omitempty"` // compaction: the shard's deltas at planning time
	Index      *Index        `json:"index,omitempty"`
	Schema     schema.Schema `json:"schema"`
	Target     int64         `json:"target,omitempty"`  // compaction: id of the new segment
	Indexed    []int64       `json:"indexed,omitempty"` // compaction: fields for which a scalar index was asked
	Horizon    tso.Timestamp `json:"horizon,omitempty"` // compaction: drop versions whose delete is at or below
	// ApplyThrough: compaction folds deletes up to this position, which becomes the target's AppliedThrough.
	ApplyThrough mq.Position `json:"apply_through,omitempty"`
	// Built is a compaction's target, written and waiting for its index files before it replaces the sources.
	Built    *Segment `json:"built,omitempty"`
	Failures int      `json:"failures,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// TaskResult is what an indexnode reports when a task is done.
type TaskResult struct {
	Index   *SegmentIndex `json:"index,omitempty"`
	Segment *Segment      `json:"segment,omitempty"` // nil for a compaction that left no row
}

// TaskKey is the key of a Task.
func TaskKey(id int64) string { return TaskPrefix + itoa(id) }
