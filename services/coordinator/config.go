package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Peers finds the services that the coordinator calls.
type Peers interface {
	DataNode(addr string) (pb.DataNodeClient, error)
	QueryNode(addr string) (pb.QueryNodeClient, error)
	Proxy(addr string) (pb.ProxyClient, error)
}

// Deps are what a coordinator works with. Cache must be running; Registerer may be nil.
type Deps struct {
	Meta       meta.Store
	Cache      *catalog.Cache
	Objects    objstore.Store
	Peers      Peers
	Queue      mq.Queue
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
}

// Config says how a coordinator works. Zero values mean the defaults of DefaultConfig.
type Config struct {
	// Node is this process as others see it: ID and Addr are required, Role is set by New.
	Node catalog.Node
	// LeaseTTL is how long the others wait for a leader that went silent.
	LeaseTTL time.Duration

	// Logs is the number of logs that the first start of a cluster makes; it is fixed from then on. QueueURL goes into
	// their records.
	Logs     int
	QueueURL string

	// OracleWindow is how far ahead the bound of timestamps is persisted; MaxClockLead how far timestamps may be ahead
	// of this machine's clock before the oracle waits for it.
	OracleWindow time.Duration
	MaxClockLead time.Duration
	// IDWindow is how many ids are reserved in one transaction.
	IDWindow int64

	// DDLTimeout bounds one change of the catalog whose caller gave no deadline; CallTimeout one call of another service.
	DDLTimeout  time.Duration
	CallTimeout time.Duration
	// LoadFlushTimeout is how long Load waits for the shards' flush before it goes on without.
	LoadFlushTimeout time.Duration

	Limits    Limits
	Placement PlacementConfig
	Tasks     TaskConfig
	Compact   CompactConfig
	GC        GCConfig
	Copies    CopyConfig
	Probe     ProbeConfig
}

// Limits are the API's bounds on names and numbers.
type Limits struct {
	Databases   int
	Collections int // in the cluster, and per database
	Partitions  int // per collection
	Shards      int // per collection
	Fields      int
	Vectors     int
	// Capacity bounds the sum of partitions x shards over all collections.
	Capacity int
}

// PlacementConfig is about views.
type PlacementConfig struct {
	// Interval is how often placement is looked at when nothing changed; Settle how long it waits for further changes.
	Interval, Settle time.Duration
	// PollMin and PollMax bound the delay between two calls of PrepareView for one node.
	PollMin, PollMax time.Duration
	// StuckAfter: a preparation that takes longer is reported, and given up when something else is wanted by then.
	StuckAfter time.Duration
	// Slack is how much above the average a node may be loaded before segments move away from it.
	Slack float64
	// AdvanceAfter: when seals brought nothing that a view serves (deletes only, other partitions), the view follows their
	// position after this time, so that it does not keep the log from being truncated.
	AdvanceAfter time.Duration
}

// TaskConfig is about work for indexnodes.
type TaskConfig struct {
	// Lease: a task whose node does not report for so long is given to another.
	Lease time.Duration
	// MaxFailures: a task that failed so often is tried again only every GiveUp.
	MaxFailures int
	GiveUp      time.Duration
	BackoffMin  time.Duration
	BackoffMax  time.Duration
	// MaxOpen bounds the tasks of each kind that exist at a time.
	MaxOpen int
	// Interval is how often tasks are planned when nothing changed.
	Interval time.Duration
	// IndexWait: a compaction's target replaces its sources once it has its index files, but waits no longer than this.
	IndexWait time.Duration
	// MinIndexRows: segments with fewer rows are searched by brute force and count as indexed.
	MinIndexRows int
}

// CompactConfig is about compaction.
type CompactConfig struct {
	Disabled bool
	// Width segments of one tier are merged to one of the next; tiers grow by Width from BaseBytes up.
	Width     int
	BaseBytes int64
	// MaxBytes bounds a merged segment.
	MaxBytes int64
	// Retention: versions that were dead so long ago are dropped; reads below are refused from then on.
	Retention time.Duration
	// DeadShare of a segment's rows killed by deletes since it was written makes it worth rewriting.
	DeadShare float64
	// MaxDeltas in a shard make the segments that keep the oldest ones alive worth rewriting.
	MaxDeltas int
	// MaxPerShard bounds the open compactions of one shard.
	MaxPerShard int
}

// GCConfig is about the removal of objects that nothing names.
type GCConfig struct {
	Disabled bool
	Interval time.Duration
	// Grace: objects younger than this, and segments replaced less long ago, are kept in any case.
	Grace time.Duration
	// Prefixes are the folders of the bucket in which objects may be removed.
	Prefixes []string
}

// DefaultConfig returns a configuration in which only Node is missing.
func DefaultConfig() Config {
	return Config{
		LeaseTTL: 3 * time.Second, Logs: 4,
		OracleWindow: 3 * time.Second, MaxClockLead: 5 * time.Second, IDWindow: 1 << 20,
		DDLTimeout: 60 * time.Second, CallTimeout: 10 * time.Second, LoadFlushTimeout: 5 * time.Second,
		Limits: Limits{Databases: 64, Collections: 65536, Partitions: 1024, Shards: 16, Fields: 64, Vectors: 10, Capacity: 65536},
		Placement: PlacementConfig{
			Interval: 2 * time.Second, Settle: 10 * time.Millisecond, PollMin: 20 * time.Millisecond, PollMax: time.Second,
			StuckAfter: 30 * time.Second, Slack: 0.05, AdvanceAfter: time.Minute,
		},
		Tasks: TaskConfig{
			Lease: 15 * time.Second, MaxFailures: 8, GiveUp: 30 * time.Minute, BackoffMin: time.Second, BackoffMax: time.Minute,
			MaxOpen: 256, IndexWait: 10 * time.Minute, Interval: 5 * time.Second, MinIndexRows: 1000,
		},
		Compact: CompactConfig{
			Width: 8, BaseBytes: 1 << 20, MaxBytes: 4 << 30, Retention: 15 * time.Minute, DeadShare: 0.3,
			MaxDeltas: 64, MaxPerShard: 4,
		},
		GC:     GCConfig{Interval: 10 * time.Minute, Grace: time.Hour, Prefixes: []string{"segments/", "deltas/", "indexes/", copies.Folder}},
		Copies: CopyConfig{Interval: 10 * time.Minute, AfterChange: 2 * time.Second, AfterBytes: 1 << 30, Keep: 8},
	}
}

// withDefaults fills zero values.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	or(&c.LeaseTTL, d.LeaseTTL)
	or(&c.Logs, d.Logs)
	or(&c.OracleWindow, d.OracleWindow)
	or(&c.MaxClockLead, d.MaxClockLead)
	or(&c.IDWindow, d.IDWindow)
	or(&c.DDLTimeout, d.DDLTimeout)
	or(&c.CallTimeout, d.CallTimeout)
	or(&c.LoadFlushTimeout, d.LoadFlushTimeout)
	or(&c.Limits, d.Limits)
	or(&c.Placement, d.Placement)
	or(&c.Tasks, d.Tasks)
	or(&c.Compact.Width, d.Compact.Width)
	or(&c.Compact.BaseBytes, d.Compact.BaseBytes)
	or(&c.Compact.MaxBytes, d.Compact.MaxBytes)
	or(&c.Compact.Retention, d.Compact.Retention)
	or(&c.Compact.DeadShare, d.Compact.DeadShare)
	or(&c.Compact.MaxDeltas, d.Compact.MaxDeltas)
	or(&c.Compact.MaxPerShard, d.Compact.MaxPerShard)
	or(&c.GC.Interval, d.GC.Interval)
	or(&c.GC.Grace, d.GC.Grace)
	or(&c.Copies.Interval, d.Copies.Interval)
	or(&c.Copies.AfterChange, d.Copies.AfterChange)
	or(&c.Copies.AfterBytes, d.Copies.AfterBytes)
	or(&c.Copies.Keep, d.Copies.Keep)
	if c.GC.Prefixes == nil {
		c.GC.Prefixes = d.GC.Prefixes
	}
	c.Node.Role = catalog.RoleCoordinator
	return c
}

func or[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	var bad []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format, args...))
		}
	}
	check(c.Node.ID > 0, "node id %d is not above zero", c.Node.ID)
	check(c.Node.Addr != "", "the advertised address is empty")
	check(c.Logs >= 1 && c.Logs <= 1024, "mq.logs %d is not in [1, 1024]", c.Logs)
	check(c.OracleWindow >= 100*time.Millisecond, "oracle window %s is below 100ms", c.OracleWindow)
	check(c.MaxClockLead >= c.OracleWindow, "clock lead %s is below the oracle window %s", c.MaxClockLead, c.OracleWindow)
	check(c.IDWindow >= 1000, "id window %d is below 1000", c.IDWindow)
	check(c.Copies.Keep >= catalog.ProtectedCopies, "%d copies of the catalog are below %d", c.Copies.Keep, catalog.ProtectedCopies)
	check(c.Copies.Interval > 0 && c.Copies.AfterChange > 0, "the times between copies of the catalog must be above zero")
	check(c.Compact.Width >= 2, "compaction width %d is below 2", c.Compact.Width)
	check(c.Placement.Slack >= 0, "placement slack %g is negative", c.Placement.Slack)
	return errors.Join(bad...)
}
