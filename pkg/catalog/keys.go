package catalog

import (
	"fmt"
	"strconv"
)

// Keys in the metadata store, relative to the cluster's root.
const (
	ClusterKey       = "cluster"
	LeaderKey        = "coordinator/leader" // under the leader's lease: value = Node JSON; its CreateRev is the coordinator's epoch
	OracleKey        = "coordinator/oracle" // persisted bound of the timestamp oracle, decimal
	IDsKey           = "coordinator/ids"    // persisted bound of the id allocator, decimal
	DatabasePrefix   = "database/"
	CollectionPrefix = "collection/"
	AliasPrefix      = "alias/"
	ShardPrefix      = "shard/"
	ViewPrefix       = "view/"
	LogPrefix        = "log/"
	MarksPrefix      = "marks/"
	EpochPrefix      = "epoch/"
	OwnerPrefix      = "owner/"
	NodePrefix       = "node/"
	TaskPrefix       = "task/"
)

// DatabaseKey is the key of a Database.
func DatabaseKey(name string) string { return DatabasePrefix + name }

// CollectionKey is the key of a Collection.
func CollectionKey(id int64) string { return fmt.Sprintf("%s%d", CollectionPrefix, id) }

// AliasKey is the key of an alias; its value is the decimal collection id.
func AliasKey(db, alias string) string { return AliasPrefix + db + "/" + alias }

// ShardKey is the key of a Shard.
func ShardKey(collection int64, shard int) string {
	return fmt.Sprintf("%s%d/%d", ShardPrefix, collection, shard)
}

// ViewKey is the key of the published View of a shard and replica.
func ViewKey(collection int64, shard, replica int) string {
	return fmt.Sprintf("%s%d/%d/%d", ViewPrefix, collection, shard, replica)
}

// LogKey is the key of a Log, MarksKey of its LogMarks, EpochKey of its last granted epoch (decimal), OwnerKey of its Owner.
func LogKey(n int) string { return fmt.Sprintf("%s%d", LogPrefix, n) }

// MarksKey is the key of a log's LogMarks.
func MarksKey(n int) string { return fmt.Sprintf("%s%d", MarksPrefix, n) }

// EpochKey is the key of a log's last granted epoch, decimal.
func EpochKey(n int) string { return fmt.Sprintf("%s%d", EpochPrefix, n) }

// OwnerKey is the key of a log's Owner.
func OwnerKey(n int) string { return fmt.Sprintf("%s%d", OwnerPrefix, n) }

// NodeKey is the key of a Node.
func NodeKey(role Role, id NodeID) string { return fmt.Sprintf("%s%s/%d", NodePrefix, role, id) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
